package apply

import "testing"

func TestCounts(t *testing.T) {
	r := &Result{Outcomes: []Outcome{
		{Result: Applied}, {Result: Failed}, {Result: Skipped}, {Result: Blocked},
		{Result: Skipped}, {Result: Blocked}, {Result: Blocked}, {Result: Applied}, {Result: Applied}, {Result: Applied},
	}}
	if got, wanted := r.Counts(), (Counts{Applied: 4, Failed: 1, Skipped: 2, Blocked: 3}); got != wanted {
		t.Errorf("got %+v, wanted %+v", got, wanted)
	}
	if got := (*Result)(nil).Counts(); got != (Counts{}) {
		t.Errorf("no result counts %+v", got)
	}
}
