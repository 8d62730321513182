package daemon

import (
	"runtime/debug"
	"testing"
)

func TestSaveMemory(t *testing.T) {
	before := debug.SetGCPercent(80)
	defer debug.SetGCPercent(before)
	SaveMemory([]string{"HOME=/", "GOGC=80"})
	if got := debug.SetGCPercent(80); got != 80 {
		t.Errorf("GOGC is overridden by %d", got)
	}
	SaveMemory([]string{"HOME=/", "GOGC_=1"})
	if got := debug.SetGCPercent(80); got != gcPercent {
		t.Errorf("%d, want %d", got, gcPercent)
	}
}
