package api

import (
	"net/url"
	"strings"
	"time"

	"reconciler/internal/text"
)

// SuspensionRequest is the body of POST /api/v1/suspensions. At most one of Until and For
// is there; without them, the suspension lasts until it is ended.
type SuspensionRequest struct {
	// Orgs are patterns of domains; without any, everything is suspended.
	Orgs   []string `json:"orgs"`
	Reason string   `json:"reason"`
	// Owner is who to ask; by default who suspends.
	Owner string     `json:"owner,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	// For is a duration, such as "72h".
	For string `json:"for,omitempty"`
	// By is who suspends, where nobody signs in. Nobody checks it.
	By string `json:"by,omitempty"`
}

// ReasonRequest is the body of DELETE /api/v1/suspensions/{id}, where the reason may also
// be a parameter, and of POST /api/v1/alarms/{id}/acknowledge.
type ReasonRequest struct {
	Reason string `json:"reason"`
	// By is who asks, where nobody signs in. Nobody checks it.
	By string `json:"by,omitempty"`
}

// Acknowledged is the response of POST /api/v1/alarms/{id}/acknowledge.
type Acknowledged struct {
	ID string `json:"id"`
	// By is who acknowledged, as the history has it.
	By string `json:"by"`
}

// What the forms of pages are posted to, as application/x-www-form-urlencoded, with the
// fields csrf, reason and return (where to go then), and:
const (
	// ActionRun needs no more, and no reason.
	ActionRun = "/actions/run"
	// ActionSuspend takes orgs (one or more, separated by blanks or commas; may be
	// empty), and for (a duration) or until (RFC 3339, or as datetime-local has it, in
	// UTC), of which none may be set.
	ActionSuspend = "/actions/suspend"
	// ActionResume takes id, a suspension's.
	ActionResume = "/actions/resume"
	// ActionAcknowledge takes id: the org's domain, or "journal".
	ActionAcknowledge = "/actions/acknowledge"
)

// DoneQuery returns the parameters with which a page is told what was done.
func DoneQuery(action, id string) url.Values {
	return url.Values{"done": {action}, "id": {id}}
}

// Done returns what was done, for the page that somebody is sent to after it; "" for a page
// that was asked for otherwise. Nothing of it is as the parameters say, but an id.
func Done(q url.Values) string {
	id := text.OneLine(q.Get("id"), 100)
	if strings.Contains(id, " ") {
		return ""
	}
	switch q.Get("done") {
	case ActionRun:
		return "A run was asked for: " + id
	case ActionSuspend:
		return "Writes are suspended: " + id
	case ActionResume:
		return "The suspension was ended: " + id
	case ActionAcknowledge:
		return "The alarm was acknowledged: " + id
	}
	return ""
}
