// Package architecture holds no code, only tests: they keep the shape of the
// repository as ARCHITECTURE.md draws it. Imports point down, the root module
// needs only what it says, and every block of the README is a program that runs.
package architecture
