package crdt

// Parts are the rows, one by one.
func (c *BoundedCounter) Parts() (parts []*BoundedCounter) {
	for _, row := range c.rows {
		parts = append(parts, &BoundedCounter{rows: []share{row}})
	}
	return parts
}

// CheckInvariants panics where a row contradicts itself, or the ways to reckon the value differ.
func (c *BoundedCounter) CheckInvariants() {
	for i := range c.rows {
		if c.rows[i].overspent() || c.rows[i].version < c.rows[i].writes() {
			panic("impossible row")
		}
		if i > 0 && c.rows[i-1].replica.Compare(c.rows[i].replica) >= 0 {
			panic("rows out of order")
		}
	}
	if c.Value() != c.sumOfRights() {
		panic("the rights are not the value")
	}
	var sum wide
	for _, r := range c.replicas() {
		sum.add(c.Rights(r))
	}
	if c.Value() != sum.minus(wide{}) {
		panic("the rights of each are not the value")
	}
	for r, n := range c.Requests() {
		if n != c.Requested(r) {
			panic("requests differ")
		}
	}
}

// Whole reports whether no row relies on one that has not arrived.
func (c *BoundedCounter) Whole() bool { return c.whole() }
