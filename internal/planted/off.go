//go:build !planted

package planted

// Bug is the planted fault: none in a normal build.
const Bug = ""
