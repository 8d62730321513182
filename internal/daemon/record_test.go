package daemon

import (
	"regexp"
	"testing"
	"time"
)

func TestNewRunID(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 15, 0, 0, time.FixedZone("", 3600))
	form := regexp.MustCompile(`^20261121T091500Z-[a-z2-7]{6}$`)
	seen := map[string]bool{}
	for range 100 {
		id := newRunID(at)
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("id %q is malformed or was given before", id)
		}
		seen[id] = true
	}
}

// A result that is not counted would have no series from the start.
func TestResults(t *testing.T) {
	good := map[Result]bool{
		ResultInSync: true, ResultDrift: true, ResultApplied: true, ResultPartial: true, ResultRefused: true,
		ResultError: false, ResultInterrupted: false,
	}
	for _, r := range results() {
		want, known := good[r]
		if !known || r.Success() != want {
			t.Errorf("%s: success %v, want %v", r, r.Success(), want)
		}
		delete(good, r)
	}
	if len(good) > 0 {
		t.Errorf("results() lacks %v", good)
	}
}
