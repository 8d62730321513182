package reconcile

import (
	"slices"
	"sync"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// Holds returns the windows and suspensions of the config, and the suspensions
// of the journal that can be read.
func Holds(cfg *config.Config, j *journal.Journal) *freeze.Rules {
	made, err := j.Suspensions()
	return &freeze.Rules{Windows: cfg.Windows, Suspensions: slices.Concat(cfg.Suspend, made), Unreadable: err}
}

// Suspensions returns those that hold writes now; never nil. If some can't be read,
// everything is suspended, as the first of them says; the error says it too.
func (r *Reconciler) Suspensions() ([]freeze.Suspension, error) {
	rules := r.rules()
	active := freeze.Active(rules.Suspensions, time.Now())
	if err := rules.Unreadable; err != nil {
		active = slices.Insert(active, 0, freeze.Suspension{Owner: "reconciler", Reason: text.JoinLines(err.Error())})
	}
	return active, rules.Unreadable
}

// HeldByWindows returns what windows hold now; never nil.
func (r *Reconciler) HeldByWindows() []freeze.Hold { return r.rules().HeldByWindows(time.Now()) }

// holder answers what may not be written now, for the many goroutines of one Apply.
type holder struct {
	rules func() *freeze.Rules // read anew
	// mayWrite returns why this process may write nothing at all any more, or nil.
	mayWrite func() error

	mu   sync.Mutex
	at   time.Time
	held func(domain string) string
}

// heldFor is how long a hold that was found counts: of many orgs that are held, not
// each needs to find the end of a window. That nothing holds an org never counts for
// longer than the moment: what was suspended since must hold.
const heldFor = time.Second

// why returns why nothing may be written to an org ("" is the account) now, or "".
// Whether this process may write at all is asked last, as close to the send as can be.
func (h *holder) why(domain string) string {
	if reason := h.by(domain); reason != "" {
		return reason
	}
	if err := h.mayWrite(); err != nil {
		return err.Error()
	}
	return ""
}

// by returns which window or suspension holds an org now, or "".
func (h *holder) by(domain string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.held != nil && now.Sub(h.at) < heldFor {
		if held := h.held(domain); held != "" {
			return held
		}
	}
	h.at, h.held = now, h.rules().At(now)
	return h.held(domain)
}
