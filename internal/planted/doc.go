// Package planted names faults that can be planted in production code on purpose,
// so that the simulator can show that it would have found them.
//
// In a normal build [Bug] is the constant "", so that a hook such as
//
//	if planted.Bug == planted.ContextGap { ... }
//
// is dead code that the compiler removes: nothing is compared, nothing is linked.
// Under the build tag "planted" Bug is a variable, read from the environment
// variable EVENTUAL_BUG when the program starts:
//
//	EVENTUAL_BUG=context-gap go test -tags planted ./internal/simulation -run TestSeeds
//
// A hook is one line, in the place where the mistake would really be made.
//
// # Concurrency
//
// Under the tag, Bug must not be written while code that has hooks runs.
package planted
