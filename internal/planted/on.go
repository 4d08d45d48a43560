//go:build planted

package planted

import "os"

// Bug is the planted fault, one of [Names]; empty means none.
var Bug = os.Getenv("EVENTUAL_BUG")

// Set plants a fault, or none if name is empty. Nothing that has hooks may be
// running meanwhile.
func Set(name string) { Bug = name }
