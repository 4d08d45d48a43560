package simulation

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wanted is how often at least each thing must happen in the default seeds, by
// clients and to what they have written. What has no line here must not happen, so
// the list stays whole.
var wanted = map[string]int{
	"a copy of a closed disk":                        70,
	"a copy of a disk in use":                        35,
	"a copy put back":                                40,
	"a copy put back that nobody can tell":           8,
	"a crash that loses writes":                      100,
	"a crash while a store is opened":                12,
	"a damaged key found":                            50,
	"a disk cloned":                                  25,
	"a disk that failed":                             110,
	"a key damaged":                                  50,
	"a readmission that a crash came into":           0, // but it may
	"a record that a crash came into":                5,
	"a restored store meets what it had written":     2,
	"a write that nobody was told of":                6,
	"an identity changed: copied, restored or moved": 40,
	"an identity changed: not closed":                300,
	"an identity kept":                               180,
	"an update that a crash came into":               25,
	"what was lost is known elsewhere":               1000,
	"what was lost is known nowhere":                 40,
	"a collection of all there was":                  885,
	"a collection that ended early":                  0, // but it may
	"a collection that was held up":                  456,
	"a guest comes back after a record":              6,
	"a guest comes back after records":               7,
	"a guest leaves for good":                        5,
	"a key forgotten":                                1339,
	"a key kept that has more than was forgotten":    132,
	"a key made again that was forgotten":            131,
	"a key of which nothing lacked":                  270,
	"a key repaired by what it lacked":               430,
	"a part of a key sent":                           880,
	"a key set aside":                                640,
	"a key settled":                                  312,
	"a readmission":                                  25,
	"a record by which somebody inherits":            5,
	"a record settled":                               217,
	"a state of what was forgotten arrives late":     208,
	"a stream": 3,
	"a stream that goes on where another ended": 0, // but it may
	"a write lost that was set aside":           333,
	"an epoch":                                  310,
	"deltas that got too old":                   766,
	"heritage added":                            1048,
	"heritage counted":                          570,
	"heritage deleted":                          168,
	"heritage removed":                          410,
	"heritage set aside":                        1,
	"2pset add":                                 150,
	"2pset remove":                              70,
	"2pset reset":                               12,
	"2pset write comes after what displaces it": 100,
	"bounded grant":                             40,
	"bounded increment":                         250,
	"bounded request":                           250,
	"bounded request, taken back":               11,
	"bounded spend":                             90,
	"bounded spend, refused":                    400,
	"bounded tells of a transfer that it lacks": 70,
	"bounded transfer":                          20,
	"bounded transfer, refused":                 100,
	"delete":                                    200,
	"delete, refused":                           150,
	"dwflag disable":                            60,
	"dwflag enable":                             90,
	"dwflag is contested":                       10,
	"dwflag reset":                              6,
	"ewflag disable":                            40,
	"ewflag enable":                             100,
	"ewflag has siblings":                       18,
	"ewflag reset":                              6,
	"gcounter add":                              350,
	"gcounter reset":                            15,
	"gset add":                                  150,
	"log append":                                200,
	"log append of two":                         100,
	"lww reset":                                 20,
	"lww set":                                   400,
	"lww write comes after what displaces it":   750,
	"lwwmap remove":                             100,
	"lwwmap reset":                              16,
	"lwwmap set":                                250,
	"lwwmap write comes after what displaces it": 250,
	"lwwset add":    250,
	"lwwset remove": 150,
	"lwwset reset":  20,
	"lwwset write comes after what displaces it": 1150,
	"max set": 100,
	"max write comes after what displaces it": 90,
	"min set": 150,
	"min write comes after what displaces it":           100,
	"mv has siblings":                                   300,
	"mv put over nothing":                               80,
	"mv put over what was read":                         150,
	"mv reset":                                          20,
	"mv set":                                            200,
	"ormap counter add":                                 150,
	"ormap counter reset":                               20,
	"ormap flag disable":                                18,
	"ormap flag enable":                                 200,
	"ormap has two kinds under one key":                 650,
	"ormap lwwregister reset":                           20,
	"ormap lwwregister set":                             200,
	"ormap mvregister reset":                            20,
	"ormap mvregister set":                              150,
	"ormap nested removal comes before what it removes": 450,
	"ormap nested removal races":                        10,
	"ormap removal races":                               16,
	"ormap remove at depth 1":                           70,
	"ormap remove at depth 2":                           50,
	"ormap remove at depth 3":                           20,
	"ormap reset":                                       50,
	"ormap reset map at depth 1":                        20,
	"ormap reset map at depth 2":                        13,
	"ormap set add":                                     150,
	"ormap set remove":                                  6,
	"ormap set reset":                                   16,
	"orset add":                                         250,
	"orset remove":                                      50,
	"orset reset":                                       19,
	"pncounter add":                                     200,
	"pncounter reset":                                   14,
	"pncounter take":                                    150,
	"rwset add":                                         250,
	"rwset is contested":                                50,
	"rwset remove":                                      150,
	"rwset reset":                                       20,
}

// A type that clients no longer use, or use only where nothing is at stake, is a type
// that is not checked.
func TestSeedsReachEveryTypeAndOperation(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes all the default seeds")
	}
	sum, _ := swept()
	did := sum.counts.Did
	for what, n := range did {
		require.Contains(t, wanted, what, "it happens %d times", n)
	}
	for what, least := range wanted {
		assert.GreaterOrEqual(t, did[what], least, what)
	}
	for c := range component(components) {
		assert.GreaterOrEqual(t, countOf(did, c.String()+" "), 200, "component %d", c)
	}
}

// countOf adds up what has names that begin alike.
func countOf(did map[string]int, prefix string) (n int) {
	for what, times := range did {
		if strings.HasPrefix(what, prefix) {
			n += times
		}
	}
	return n
}
