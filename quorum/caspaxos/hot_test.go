package caspaxos_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/transport/mem"
)

// Callers of one node that change one key do not stand in each other's way.
func TestCallersOfOneNodeAreNoRivals(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			all := cluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond, Jitter: time.Millisecond}}, 3, ahead)
			var calls atomic.Int64
			all[0].Caller = counted{all[0].Caller, &calls}
			const callers = 32
			versions := make(map[caspaxos.Ballot]bool)
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					v, err := all[0].Change(t.Context(), "k", func(v caspaxos.Value) ([]byte, error) { return fmt.Append(v.Data, i, " "), nil })
					mu.Lock()
					defer mu.Unlock()
					assert.NoError(t, err)
					assert.Contains(t, strings.Fields(string(v.Data)), fmt.Sprint(i))
					versions[v.Version] = true
				})
			}
			wg.Wait()
			assert.LessOrEqual(t, calls.Load(), int64(4+2+4), "one is made by itself, and all others together")
			assert.Len(t, versions, callers, "each change has a version of its own")
			v, err := all[1].Read(t.Context(), "k")
			require.NoError(t, err)
			assert.Len(t, strings.Fields(string(v.Data)), callers)
		})
	}
}

// A call whose time is over before its turn has come was never proposed.
func TestCallsThatWaitTooLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net := new(mem.Network)
		all := cluster(t, net, 3, false)
		net.Partition([]node{"a"}, []node{"b", "c"})
		first := make(chan error, 1)
		go func() {
			_, err := all[0].Create(t.Context(), "k", nil)
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := all[0].Create(ctx, "k", nil)
		require.Equal(t, context.DeadlineExceeded, err)
		var late *quorum.TimeoutError
		require.ErrorAs(t, <-first, &late)
	})
}

// What calls cost where many change one key: on a clock of its own, so that the machine plays no part.
func TestManyChangeOneKey(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		for _, nodes := range []int{1, 3, 5} {
			for _, callers := range []int{16, 64} {
				bubble(t, func(t *testing.T) { hot(t, callers, nodes, ahead) })
			}
		}
	}
}

func hot(t *testing.T, callers, nodes int, ahead bool) {
	all := cluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond, Jitter: time.Millisecond}}, max(3, nodes), ahead)
	var calls, made, failed atomic.Int64
	var worst time.Duration
	var mu sync.Mutex
	for _, r := range all {
		r.Caller = counted{r.Caller, &calls}
	}
	by := make([]int64, nodes)
	length := 5 * time.Second
	if testing.Short() {
		length = time.Second
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for time.Since(began) < length {
				at := time.Now()
				_, err := all[i%nodes].Change(t.Context(), "k", func(caspaxos.Value) ([]byte, error) { return []byte("x"), nil })
				mu.Lock()
				worst = max(worst, time.Since(at))
				if err == nil {
					by[i%nodes]++
				}
				mu.Unlock()
				if err != nil {
					failed.Add(1)
				} else {
					made.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("ahead=%-5v %2d callers at %d nodes: %4d/s, %d failed, %.1f requests each, worst %v, by node %v",
		ahead, callers, nodes, made.Load()*int64(time.Second)/int64(length), failed.Load(), float64(calls.Load())/float64(made.Load()), worst.Round(time.Millisecond), by)
	assert.Less(t, failed.Load(), made.Load()/10)
	for _, n := range by {
		assert.Greater(t, n, made.Load()/int64(4*nodes), "no node is left out")
	}
}

// Readers of a key, on all nodes, leave its writer alone: whoever reads writes nothing while the writer goes on.
func TestReadersDoNotStopAWriter(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		made := make(map[int]int)
		for _, readers := range []int{0, 15} {
			bubble(t, func(t *testing.T) {
				all := cluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond, Jitter: time.Millisecond}}, 3, ahead)
				began, reads := time.Now(), new(atomic.Int64)
				on := func() bool { return time.Since(began) < 2*time.Second }
				var wg sync.WaitGroup
				wg.Go(func() {
					for ; on(); made[readers]++ {
						_, err := all[0].Change(t.Context(), "k", func(caspaxos.Value) ([]byte, error) { return []byte("x"), nil })
						assert.NoError(t, err)
					}
				})
				for i := range readers {
					wg.Go(func() {
						for ; on(); reads.Add(1) {
							_, err := all[i%3].Read(t.Context(), "k")
							assert.NoError(t, err)
						}
					})
				}
				wg.Wait()
				t.Logf("ahead=%-5v %2d readers: %d changes and %d reads a second", ahead, readers, made[readers]/2, reads.Load()/2)
			})
		}
		assert.Greater(t, made[15], made[0]*3/4)
	}
}
