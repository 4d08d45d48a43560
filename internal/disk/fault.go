package disk

// A fault is when a disk fails. From then on it fails always.
type fault struct {
	writes, syncs int   // so many until then, counted down; none is to fail if zero
	with          error // to come
	failed        error // from now on

	held chan struct{} // until it is closed nothing becomes durable; nil if nothing is held
}

// Fail has the n-th write from now on, counted from 1, and all after it, fail with an error. Whether it is on the disk,
// nobody knows, see [Disk.Crash].
func (d *Disk) Fail(n int, with error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault.writes, d.fault.with = n, with
}

// FailSync has the n-th wait for a write from now on, counted from 1, and all that comes after it, fail with an error.
// What is not durable by then may be so or not, see [Disk.Crash].
func (d *Disk) FailSync(n int, with error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault.syncs, d.fault.with = n, with
}

// Hold has nothing become durable until Release: who waits for that waits on.
func (d *Disk) Hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault.held == nil {
		d.fault.held = make(chan struct{})
	}
}

// Release undoes Hold.
func (d *Disk) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault.held != nil {
		close(d.fault.held)
		d.fault.held = nil
	}
}

// pass waits while the disk is held.
func (d *Disk) pass() {
	d.mu.Lock()
	held := d.fault.held
	d.mu.Unlock()
	if held != nil {
		<-held
	}
}

// Mend has no error come that has not come yet.
func (d *Disk) Mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault.writes, d.fault.syncs = 0, 0
}

// Failed is the error that the disk has failed with, if it has since it was mounted.
func (d *Disk) Failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault.failed
}

// countDown counts one, and has the disk fail if it was the last.
func (f *fault) countDown(left *int) error {
	if *left > 0 {
		if *left--; *left == 0 {
			f.failed = f.with
		}
	}
	return f.failed
}
