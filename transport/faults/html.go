package faults

import (
	"bufio"
	"fmt"
	"io"
)

// WriteHTML writes the drawing as a page of its own: the image of WriteSVG, with
// buttons to make it larger and smaller and boxes that hide what is not looked
// for. It loads nothing from elsewhere.
func (d Drawing) WriteHTML(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, pageHead)
	if err := d.WriteSVG(b); err != nil {
		return err
	}
	fmt.Fprint(b, pageFoot)
	return b.Flush()
}

const pageHead = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Time line</title>
<style>
body{margin:0;font:13px system-ui,sans-serif;color:#222;background:#fff}
form{position:sticky;top:0;left:0;padding:8px 12px;border-bottom:1px solid #ccc;background:#f6f6f6;z-index:1}
button{font:inherit;min-width:32px}label{margin-left:14px}
#view{overflow:auto}
.no-req .req,.no-rep .rep,.no-dup .dup,.no-lost .lost,.no-lost .x,.no-failed .failed{display:none}
svg .legend *{display:inline!important}
</style></head><body>
<form>
<button type="button" data-zoom="0.8" title="smaller">−</button>
<button type="button" data-zoom="1.25" title="larger">+</button>
<button type="button" data-zoom="0" title="as wide as the window">fit</button>
<label><input type="checkbox" data-class="req" checked> requests</label>
<label><input type="checkbox" data-class="rep" checked> replies</label>
<label><input type="checkbox" data-class="dup" checked> second copies</label>
<label><input type="checkbox" data-class="lost" checked> lost</label>
<label><input type="checkbox" data-class="failed" checked> failed calls</label>
</form>
<div id="view">
`

const pageFoot = `</div>
<script>
const view = document.getElementById('view'), svg = view.querySelector('svg');
const width = +svg.getAttribute('width'), height = +svg.getAttribute('height');
let zoom = 1;
function follow() {
  const by = 'translate(' + view.scrollLeft / zoom + ',0)';
  for (const g of svg.querySelectorAll('.names,.legend')) g.setAttribute('transform', by);
}
function set(z) {
  const middle = (view.scrollLeft + view.clientWidth / 2) / zoom;
  zoom = Math.min(Math.max(z, 0.02), 20);
  svg.setAttribute('width', width * zoom);
  svg.setAttribute('height', height * zoom);
  view.scrollLeft = middle * zoom - view.clientWidth / 2;
  follow();
}
view.addEventListener('scroll', follow);
for (const b of document.querySelectorAll('button'))
  b.onclick = () => set(+b.dataset.zoom ? zoom * b.dataset.zoom : view.clientWidth / width);
for (const c of document.querySelectorAll('input'))
  c.onchange = () => svg.classList.toggle('no-' + c.dataset.class, !c.checked);
</script>
</body></html>
`
