package antientropy

import "context"

// A gate lets those in who merge what peers pushed: many at once, each with one state, or one
// alone, with several. Of several that are merged at once nobody can tell which took effect
// before those of another, and an [order] could not hand them on in that order.
type gate struct {
	places chan struct{} // a token for each who is inside
	all    chan struct{} // a token for who takes them all
}

func newGate() gate {
	return gate{places: make(chan struct{}, lanes), all: make(chan struct{}, 1)}
}

// enter waits until so many states may be merged. The error is that of ctx.
func (g *gate) enter(ctx context.Context, states int) (leave func(), err error) {
	if states == 1 {
		return g.take(ctx, g.places, 1)
	}
	last, err := g.take(ctx, g.all, 1)
	if err != nil {
		return nil, err
	}
	defer last() // who waits for the places is behind
	return g.take(ctx, g.places, cap(g.places))
}

// take takes so many tokens, all or none.
func (g *gate) take(ctx context.Context, tokens chan struct{}, n int) (back func(), err error) {
	for taken := range n {
		select {
		case tokens <- struct{}{}:
		case <-ctx.Done():
			release(tokens, taken)
			return nil, ctx.Err()
		}
	}
	return func() { release(tokens, n) }, nil
}

func release(tokens chan struct{}, n int) {
	for range n {
		<-tokens
	}
}
