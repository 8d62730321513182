package daemon

import (
	"testing"

	"reconciler/internal/reconcile"
)

// A result that is not counted would have no series from the start.
func TestResults(t *testing.T) {
	good := map[Result]bool{
		ResultInSync: true, ResultDrift: true, ResultApplied: true, ResultPartial: true, ResultRefused: true,
		ResultError: false, ResultInterrupted: false,
	}
	for _, r := range reconcile.Results() {
		want, known := good[r]
		if !known || r.Success() != want {
			t.Errorf("%s: success %v, want %v", r, r.Success(), want)
		}
		delete(good, r)
	}
	if len(good) > 0 {
		t.Errorf("Results() lacks %v", good)
	}
}
