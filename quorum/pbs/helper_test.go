package pbs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// millis is a number of milliseconds, to the nanosecond.
func millis(x float64) time.Duration { return time.Duration(x * float64(ms)) }

func predict(t testing.TB, m Model, s Simulation) *Prediction {
	t.Helper()
	p, err := m.Predict(s)
	require.NoError(t, err)
	return p
}
