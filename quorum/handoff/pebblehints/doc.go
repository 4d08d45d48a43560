// Package pebblehints keeps the hints of a [handoff.Handoff] in a folder on the disk, by
// Pebble.
//
//	log, err := pebblehints.Open("/var/lib/app/hints", pebblehints.Options{})
//	h := &handoff.Handoff{Log: log, ...}
//	// ... and when h is not used any more
//	err = log.Close()
//
// It is a module of its own, so that who keeps hints in memory does not need Pebble. The
// folder is one of package pebblestore, of which it has the guarantees: what Apply has
// acknowledged survives a kill and a power cut, and an error of the disk is final, told
// as a *[pebblestore.FailedError]. It must not be the folder of a store.
//
// # Costs
//
// Each [handoff.Handoff.Keep] waits for a sync of the disk, which it shares with those
// that wait at the same time. A hint that was delivered before long is deleted before it
// gets into a table. On the disk lies what is held, the log up to about [Options.Table],
// and some that is to be compacted away.
//
// # Concurrency
//
// Apply and All may be called at the same time, Close when nothing else is called. The
// only goroutines are Pebble's, which end with Close.
//
// # Files
//
// Those of pebblestore; a key is the ID of a [handoff.Row]. A folder belongs to one
// process at a time, by a lock that ends with it.
package pebblehints
