package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/store/history"
)

// Entries are shown by their time, also where the chain has them in another order, as it
// has the changes of a run that was killed.
func TestByTime(t *testing.T) {
	at := func(seq int64, hour int) history.Entry {
		return history.Entry{Seq: seq, Time: time.Date(2026, 11, 30, hour, 0, 0, 0, time.UTC)}
	}
	var got []int64
	for _, e := range byTime([]history.Entry{at(9, 3), at(8, 1), at(7, 2), at(6, 2), at(0, 4)}) {
		got = append(got, e.Seq)
	}
	if want := []int64{0, 9, 7, 6, 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A change is told in the words of a plan, with its error.
func TestWhat(t *testing.T) {
	for _, tt := range []struct {
		entry history.Entry
		want  string
	}{
		{history.Entry{Type: history.TypeChange, Action: "link-org", Error: "404"}, "link to the account: 404"},
		{history.Entry{Type: history.TypeChange, Action: "set-status", Before: json.RawMessage(`"ACTIVE"`), After: json.RawMessage(`"INACTIVE"`), Error: "404"}, "ACTIVE → INACTIVE [destructive]: 404"},
		{history.Entry{Type: history.TypeChange}, ""},
	} {
		if got := what(&tt.entry, nil); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// What an org was like at a time has that time, and since when it was known.
func TestHistoryOrgAt(t *testing.T) {
	t.Parallel()
	e := newEditRig(t)
	e.do(exitOK, "apply", "--yes")
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	out, _ := e.do(exitOK, "history", "org", alpha, "--at", at.Format(time.RFC3339), "-o", "json")
	var got struct {
		Org       string
		At, Since time.Time
		Live      struct{ Products []string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Org != alpha || !got.At.Equal(at) || !got.Since.Before(time.Now()) || got.Since.IsZero() || !slices.Equal(got.Live.Products, []string{"P000052"}) {
		t.Errorf("got %+v", got)
	}
	out, _ = e.do(exitOK, "history", "org", alpha, "--at", at.Format(time.RFC3339))
	if want := alpha + " at " + at.Format(time.RFC3339) + ", as known since " + got.Since.Format(time.RFC3339); !strings.HasPrefix(out, want) {
		t.Errorf("no %q in\n%s", want, out)
	}
}
