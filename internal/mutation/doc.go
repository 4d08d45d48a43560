// Command mutation shows that the tests of a package would notice a mistake in its code: it makes the
// mistakes, one at a time, and says which test fails.
//
//	go run ./internal/mutation ./vclock                           # remake the whole list
//	go run ./internal/mutation -stale ./vclock                    # only files that have changed since
//	go run ./internal/mutation ./vclock clock.go hlc.go:Observe   # one file, and the functions that match
//	go run ./internal/mutation ./vclock 'clock.go:!String'        # all functions that do not match
//
// The list is kept beside the package, in testdata/mutants.txt: one line for each mutant with its file and
// line, the function, what was changed, and the test that fails. It holds no times, so that remaking it
// changes only what changed; a digest of each file tells whether its part is out of date. A part is about the
// functions that were named when it was first made. Those that are named later are asked again, and the others of
// the part stay as they were; to make it about other functions, cut it out first. Parts of files that are gone go too.
//
// A mutant that no test can tell from the original, because it means the same, stands with the reason in
// testdata/mutants_equivalent.txt, kept by hand: lines that name mutants, and below them, indented, why.
// The command fails when a mutant survives without a reason, when one dies only now and then, and when a
// reason is given for a mutant that is gone or dies.
//
// # What is changed
//
//   - a statement is deleted: an assignment, a call, a whole loop, a return, break or continue
//   - a condition, an operand of && and ||, or a result is taken as true, and as false
//   - a ! is dropped; < becomes <=, > becomes >=, and the reverse
//   - + becomes -, += becomes -=, min becomes max, and the reverse
//   - a result that is not a bool becomes its zero value
//
// A condition is evaluated before its value is replaced, so what it does on the way still happens. Code
// behind a constant that is false is left alone. A mutant that another one stands for is not made: the only
// statement of an if is not deleted, since its condition is already taken as false.
//
// # How
//
// All mutants are compiled into one test binary, through the overlay of the go command, and an environment
// variable picks one (mutant schemata: Untch, Offutt, Harrold, "Mutation Analysis Using Mutant Schemata",
// ISSTA 1993). A first run, one test at a time, notes which mutants each test sees make a difference where
// they stand; only those tests are asked, the quick ones first. A test counts when it fails five times out
// of five, or twice if it takes more than a second, or when it runs into its time limit: ten times what it took,
// and five seconds more, of which it must have computed half, since the machine may be busy. So one that draws
// its cases by chance counts only if it hardly ever misses.
//
// The tools of this kind that are maintained swap operators, but delete no statements and force no
// conditions, which is how a join breaks; nor do they keep reasons. Those are the mutants that matter here.
package main
