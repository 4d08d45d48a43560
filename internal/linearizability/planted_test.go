//go:build planted

package linearizability

import (
	"testing"

	"github.com/eventual-go/eventual/internal/planted"
)

// Requests of one key that do not wait for one another are found out.
func TestPlantedTurns(t *testing.T) {
	defer planted.Set(planted.Bug)
	planted.Set(planted.TurnsIgnored)
	for seed := range uint64(3000) {
		if ok, _ := linearizable(history(t, seed, seed%2 == 0, false, int(seed)%4)); !ok {
			t.Logf("found by seed %d", seed)
			return
		}
	}
	t.Fatal("not found")
}
