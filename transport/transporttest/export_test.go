package transporttest

import "time"

// Hurry has what never comes be waited for less long, where it must not come.
func Hurry() { patience = time.Second }
