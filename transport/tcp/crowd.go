package tcp

import "iter"

// A crowd is a bounded number of guests, of whom those that come from one place, K,
// have no more than their share: when there are too many, one of the place with the
// most has to leave. It is guarded by its owner's mutex.
type crowd[K, G comparable] struct {
	limit  int
	loyal  bool // where all places have one guest: the last to come has to leave, not the first
	size   int
	arrive uint64
	places map[K][]seat[G] // in the order of arrival
}

type seat[G comparable] struct {
	guest   G
	arrived uint64
}

// enter lets a guest in. If that makes one too many, it returns the one who has to
// leave, and takes him off: it may be the one who came.
func (c *crowd[K, G]) enter(from K, g G) (out G, full bool) {
	if c.places == nil {
		c.places = make(map[K][]seat[G])
	}
	c.arrive++
	c.places[from] = append(c.places[from], seat[G]{g, c.arrive})
	c.size++
	if c.size <= c.limit {
		return out, false
	}
	place := c.fullest()
	out = c.places[place][0].guest
	if c.loyal && len(c.places[place]) == 1 {
		place, out = from, g
	}
	c.leave(place, out)
	return out, true
}

// fullest returns the place with the most guests; among equals, that with the oldest.
func (c *crowd[K, G]) fullest() (place K) {
	var most []seat[G]
	for k, seats := range c.places {
		more := len(seats) - len(most)
		if more > 0 || more == 0 && seats[0].arrived < most[0].arrived {
			place, most = k, seats
		}
	}
	return place
}

// leave takes a guest off, if he is there.
func (c *crowd[K, G]) leave(from K, g G) {
	seats := c.places[from]
	for i := range seats {
		if seats[i].guest == g {
			c.places[from] = append(seats[:i], seats[i+1:]...)
			c.size--
			break
		}
	}
	if len(c.places[from]) == 0 {
		delete(c.places, from)
	}
}

// all returns the guests, in no order.
func (c *crowd[K, G]) all() iter.Seq[G] {
	return func(yield func(G) bool) {
		for _, seats := range c.places {
			for _, s := range seats {
				if !yield(s.guest) {
					return
				}
			}
		}
	}
}
