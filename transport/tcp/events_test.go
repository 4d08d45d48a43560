package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Of refusals for each reason few are told, the others are counted for the next one.
func TestReportsAreBounded(t *testing.T) {
	var r reports
	now := time.Unix(1_000_000, 0)
	told := func(reason Reason, n int) (told, missed int) {
		for range n {
			if m, ok := r.take(reason, now); ok {
				told++
				missed += int(m)
			}
		}
		return told, missed
	}
	n, missed := told(ReasonBusy, 1_000)
	require.Equal(t, reportBurst, n)
	require.Zero(t, missed)
	n, _ = told(ReasonUntrusted, 1)
	require.Equal(t, 1, n, "each reason by itself")
	now = now.Add(reportEvery)
	n, missed = told(ReasonBusy, 10)
	require.Equal(t, 1, n)
	require.Equal(t, 1_000-reportBurst, missed)
	now = now.Add(time.Hour)
	n, missed = told(ReasonBusy, 1_000)
	require.Equal(t, reportBurst, n)
	require.Equal(t, 9, missed)
	now = now.Add(time.Hour)
	n, _ = told(Reason(200), 1)
	require.Equal(t, 1, n)
}
