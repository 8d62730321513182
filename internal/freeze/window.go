package freeze

import (
	"slices"
	"strings"
	"time"
)

// state reports whether any freeze window is open at t, and whether the windows
// that allow writing allow it.
func state(windows []*Window, t time.Time) (denied, allowed bool) {
	allowed = true
	limited := false
	for _, w := range windows {
		open := w.open(t)
		switch {
		case w.Deny:
			denied = denied || open
		case !limited:
			limited, allowed = true, open
		default:
			allowed = allowed || open
		}
	}
	return denied, allowed
}

// Hold is what windows hold at a moment.
type Hold struct {
	// Orgs are those of the windows; none stand for all orgs and the account.
	Orgs Globs `json:"orgs"`
	// Reason is why nothing may be written, and Until the time from which on it may; zero
	// if that isn't within a year.
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
}

// HeldByWindows returns what windows hold at that time, once for all windows of the same
// orgs, in the order of the config; never nil. What holds all orgs is not repeated.
func (r *Rules) HeldByWindows(at time.Time) []Hold {
	held := []Hold{}
	add := func(orgs []string, windows []*Window) {
		denied, allowed := state(windows, at)
		if !denied && allowed {
			return
		}
		h := Hold{Orgs: orgs, Reason: "freeze window"}
		if !denied {
			h.Reason = "outside of the allowed windows"
		}
		h.Until, _ = opening(windows, at)
		if len(held) == 0 || len(held[0].Orgs) > 0 || !held[0].Until.Equal(h.Until) {
			held = append(held, h)
		}
	}
	common := r.scoped(nil)
	add(nil, common)
	seen := map[string]bool{"": true}
	for i := range r.Windows {
		orgs := r.Windows[i].Orgs
		if key := strings.Join(orgs, " "); !seen[key] {
			seen[key] = true
			add(orgs, slices.Concat(common, r.scoped(orgs)))
		}
	}
	return held
}

// scoped returns the windows of exactly these patterns.
func (r *Rules) scoped(orgs []string) []*Window {
	var all []*Window
	for i := range r.Windows {
		if w := &r.Windows[i]; slices.Equal(w.Orgs, orgs) {
			all = append(all, w)
		}
	}
	return all
}

// opening returns the first time from t on at which no freeze window is open and,
// if there are windows that allow, one of those is; false if there is none before
// the horizon.
func opening(windows []*Window, t time.Time) (time.Time, bool) {
	limit := t.Add(horizon)
	for t.Before(limit) {
		free := t
		for _, w := range windows {
			if w.Deny && w.open(t) {
				if end := w.closes(t, limit); end.After(free) {
					free = end
				}
			}
		}
		if free.After(t) {
			t = free
			continue
		}
		if _, allowed := state(windows, t); allowed {
			return t, true
		}
		if t = firstAllowed(windows, t); t.IsZero() {
			break
		}
	}
	return time.Time{}, false
}

// firstAllowed returns the first start after t of a window that allows; zero if
// there is none.
func firstAllowed(windows []*Window, t time.Time) time.Time {
	var first time.Time
	for _, w := range windows {
		if w.Deny || w.For <= 0 {
			continue
		}
		if start := w.next(t); first.IsZero() || !start.IsZero() && start.Before(first) {
			first = start
		}
	}
	return first
}

// next returns the first start after t; zero if there is none.
func (w *Window) next(t time.Time) time.Time {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	return w.Opens.Next(t.In(zone))
}

// startedBy returns the first start within d before t, or at t, and whether there
// is one.
func (w *Window) startedBy(t time.Time, d time.Duration) (time.Time, bool) {
	start := w.next(t.Add(-d))
	return start, !start.IsZero() && !start.After(t)
}

func (w *Window) open(t time.Time) bool {
	_, open := w.startedBy(t, w.For)
	return open
}

// closes returns the end of a window that is open at t, without searching far
// beyond the limit. From each end it continues with the last start before it that
// it can find quickly: for a window that opens each minute for a day, most starts
// don't matter.
func (w *Window) closes(t, limit time.Time) time.Time {
	start, open := w.startedBy(t, w.For)
	end := t
	for open && end.Before(limit) {
		end = start.Add(w.For)
		open = false
		for d := min(time.Minute, w.For); !open; d = min(2*d, w.For) {
			start, open = w.startedBy(end, d)
			if d == w.For {
				break
			}
		}
	}
	return end
}
