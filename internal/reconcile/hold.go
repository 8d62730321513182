package reconcile

import (
	"slices"
	"sync"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/text"
)

// holder says what may not be written at the moment. It may be used by many
// goroutines at once.
type holder struct {
	cfg   *config.Config
	store *freeze.Store // nil without a state folder

	mu   sync.Mutex
	at   time.Time
	held func(domain string) string
}

// heldFor is how long an answer counts. The writes of a run come many a second,
// and each asks.
const heldFor = time.Second

func newHolder(cfg *config.Config) *holder {
	h := &holder{cfg: cfg}
	if cfg.State.Dir != "" {
		h.store = freeze.OpenStore(cfg.State.Dir)
	}
	return h
}

// now gives the answers as of now, for one goroutine at a time.
func (h *holder) now() func(domain string) string { return h.rules().At(time.Now()) }

// why says why nothing may be written to an org ("" is the account) now; empty
// when it may.
func (h *holder) why(domain string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.held == nil || now.Sub(h.at) >= heldFor {
		h.at, h.held = now, h.rules().At(now)
	}
	return h.held(domain)
}

// rules are the windows and suspensions of the config, and the suspensions of
// the state folder, which are read anew.
func (h *holder) rules() *freeze.Rules {
	rules := &freeze.Rules{Windows: h.cfg.Windows, Suspensions: slices.Clone(h.cfg.Suspend)}
	if h.store == nil {
		return rules
	}
	var made []freeze.Suspension
	made, rules.Unreadable = h.store.Load()
	rules.Suspensions = append(rules.Suspensions, made...)
	return rules
}

// Suspensions returns those that hold writes now; see holder.suspensions.
func (r *Reconciler) Suspensions() ([]freeze.Suspension, error) { return r.held.suspensions() }

// suspensions gives those that hold writes now; the list is never nil. Where it
// can't be read what is suspended, everything is, and so says the first of them;
// the error says it too.
func (h *holder) suspensions() ([]freeze.Suspension, error) {
	rules := h.rules()
	active := freeze.Active(rules.Suspensions, time.Now())
	if err := rules.Unreadable; err != nil {
		active = slices.Insert(active, 0, freeze.Suspension{Owner: "reconciler", Reason: text.JoinLines(err.Error())})
	}
	return active, rules.Unreadable
}
