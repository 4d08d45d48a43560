// Package carry holds what the transports share: the time that a call has left, the
// end of calls when a caller is closed, errors that are about something else than the
// call, and the room that calls take at the side that serves them.
package carry
