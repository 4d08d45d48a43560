package tcp

// A crew is the goroutines that run the calls of a connection. One call after the other
// is taken off a list by whoever is free, so many short ones cost few switches between
// goroutines. None waits behind a handler that does: as long as there is something on the
// list, somebody is on the way to it, who calls the next one before going to work. It is
// guarded by its owner's mutex.
type crew struct {
	list  []*served     // taken from the peer, not run yet: from first on
	first int           // what is before it has been taken
	came  bool          // nobody is on the way to the list
	idle  int           // of them wait to be called
	call  chan struct{} // holds one: an idle one is called
}

// maxIdle is how many goroutines of a connection wait for another call at most. To go on
// with a stack that has grown costs less than to grow one for each call.
const maxIdle = 32

func newCrew() crew { return crew{came: true, call: make(chan struct{}, 1)} }

// add puts a call on the list. It says whether another goroutine is to be started.
func (c *crew) add(k *served) (another bool) {
	c.list = append(c.list, k)
	return c.summon()
}

// summon has somebody come, unless somebody is on the way already.
func (c *crew) summon() (another bool) {
	if !c.came {
		return false
	}
	c.came = false
	if c.idle == 0 {
		return true
	}
	c.idle--
	c.call <- struct{}{}
	return false
}

// arrive is what somebody does first who was called, or started.
func (c *crew) arrive() (k *served, another bool) {
	c.came = true
	if k = c.next(); len(c.list) > 0 {
		another = c.summon()
	}
	return k, another
}

// next takes a call off the list, if there is one.
func (c *crew) next() *served {
	if len(c.list) == 0 {
		return nil
	}
	k := c.list[c.first]
	c.list[c.first] = nil
	if c.first++; 2*c.first >= len(c.list) { // what is moved is less than was taken
		n := copy(c.list, c.list[c.first:])
		clear(c.list[n:])
		c.list, c.first = c.list[:n], 0
	}
	return k
}

// rest says whether somebody who finds nothing to do is to wait to be called.
func (c *crew) rest() bool {
	if c.idle >= maxIdle {
		return false
	}
	c.idle++
	return true
}

// drop empties the list.
func (c *crew) drop() []*served {
	all := c.list[c.first:]
	c.list, c.first = nil, 0
	return all
}
