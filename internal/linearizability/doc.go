// Package linearizability judges histories of real nodes with porcupine (github.com/anishathalye/porcupine): clients
// that call them at the same time, while links are slow and lossy, nodes crash, and partitions come and go. It is a
// module of its own so that nobody else needs the checker.
package linearizability
