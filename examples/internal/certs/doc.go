// Package certs makes the certificates of the examples' clusters, and finds them again: in one folder the
// authority, ca.crt and ca.key, and of each node NAME.crt and NAME.key.
//
// Nothing that is there is replaced unless that is asked for, and nothing is written before all that was asked
// for is found to be possible. Keys are readable by their owner alone from the first byte on.
package certs
