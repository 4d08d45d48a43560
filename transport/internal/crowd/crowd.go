// Package crowd bounds how many guests there are, connections mostly, and shares the
// room among the places that they come from.
package crowd

import (
	"iter"
	"net"
	"net/netip"
)

// A Crowd is a bounded number of guests, of whom those that come from one place, K,
// have no more than their share: when there are too many, one of the place with the
// most has to leave, the oldest. So who brings many of them harms but himself. Its
// fields must not be changed after the first use. It is guarded by its owner's mutex.
type Crowd[K, G comparable] struct {
	Limit int  // guests; at least one
	Each  int  // of one place; zero: as many as Limit
	Loyal bool // where all places have one guest: the last to come has to leave, not the first

	size   int
	arrive uint64
	places map[K][]seat[G] // in the order of arrival
}

type seat[G comparable] struct {
	guest   G
	arrived uint64
}

// Enter lets a guest in. If that makes one too many, it returns the one who has to
// leave, and takes him off: it may be the one who came. It costs a look at each place
// if there is no room, and none otherwise.
func (c *Crowd[K, G]) Enter(from K, g G) (out G, full bool) {
	if c.places == nil {
		c.places = make(map[K][]seat[G])
	}
	c.arrive++
	c.places[from] = append(c.places[from], seat[G]{g, c.arrive})
	c.size++
	place := from
	switch {
	case c.Each > 0 && len(c.places[from]) > c.Each:
	case c.size > c.Limit:
		place = c.fullest()
	default:
		return out, false
	}
	out = c.places[place][0].guest
	if c.Loyal && len(c.places[place]) == 1 {
		place, out = from, g
	}
	c.Leave(place, out)
	return out, true
}

// fullest returns the place with the most guests; among equals, that with the oldest.
func (c *Crowd[K, G]) fullest() (place K) {
	var most []seat[G]
	for k, seats := range c.places {
		more := len(seats) - len(most)
		if more > 0 || more == 0 && seats[0].arrived < most[0].arrived {
			place, most = k, seats
		}
	}
	return place
}

// Leave takes a guest off, if he is there.
func (c *Crowd[K, G]) Leave(from K, g G) {
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

// Len returns how many guests there are.
func (c *Crowd[K, G]) Len() int { return c.size }

// All returns the guests, in no order.
func (c *Crowd[K, G]) All() iter.Seq[G] {
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

// Origin returns the place that a connection from addr comes from: an address, or of
// IPv6 the network of 64 bits that one host may have all of. What has no address of
// either kind has one place, "".
func Origin(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
