// Package notify tells people and programs what has changed: Slack, Microsoft Teams, and
// webhooks. Messages are queued on disk, and are sent beside the runs, never in their way.
package notify

import (
	"encoding/json"
	"time"
)

// Type is what an event is about.
type Type string

const (
	// Drift: a field began to differ, or differs in another way.
	Drift Type = "drift"
	// Repaired: drift is gone.
	Repaired Type = "repaired"
	// Failed and Recovered: runs began to fail, and succeed again.
	Failed    Type = "failed"
	Recovered Type = "recovered"
	// Refused: a guard refuses the plan.
	Refused Type = "refused"
	// Stale: the desired state in force is not the newest.
	Stale Type = "stale"
	// Signature: a commit is refused because of its signature or history.
	Signature Type = "signature"
	// Onboarded: an org was created or linked.
	Onboarded Type = "onboarded"
	// TokenLost: the token of a new org is lost.
	TokenLost Type = "token-lost"
	// Suspension: writes are suspended, are about to be resumed, or are resumed.
	Suspension Type = "suspension"
	// Limit: a product is enabled in more orgs than its limit, or no longer is.
	Limit Type = "limit"
)

// Types returns all of them, in the order of the documentation.
func Types() []Type {
	return []Type{Drift, Repaired, Failed, Recovered, Refused, Stale, Signature, Onboarded, TokenLost, Suspension, Limit}
}

// Urgent reports whether events of this type are sent at once, even to a receiver for
// which others are collected. Those that Recovered ends are: nobody is told of an end
// before its begin.
func (t Type) Urgent() bool {
	switch t {
	case Failed, Recovered, Refused, Stale, Signature, TokenLost:
		return true
	}
	return false
}

// Event is one thing that has changed. Its JSON form is a public interface. It holds no
// secrets.
type Event struct {
	Type Type `json:"type"`
	// Org is a domain; empty for the account.
	Org   string `json:"org"`
	Field string `json:"field"`
	// Before is what is declared and After what is live for drift, and the other way
	// round once it is repaired: what was before the event, and after it.
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
	// Since is when it began; null if that is not known.
	Since *time.Time `json:"since"`
	// By is who caused it; empty if that is not known.
	By     string `json:"by"`
	Commit string `json:"commit"`
	// Link leads to the page of the org, the run or the commit; empty if there is none.
	Link string `json:"link"`
	// Message says in words what has changed, with the field and both values; Hint what to
	// do, if anything is to be done. Without a message, the values are shown.
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`

	// Owner and Labels are those of the org.
	Owner  string            `json:"owner,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Report is all events of one run, or of what an operator did between two.
type Report struct {
	Account string
	Time    time.Time
	// Run is the id of the run; empty if it was none.
	Run string
	// Link leads to the page of the run, for what doesn't fit into a message; empty if
	// there is none.
	Link   string
	Events []Event
}
