package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	defaultEvents = 100
	maxEvents     = 1000
	// logMemory is how far back the log is searched by default.
	logMemory = 7 * 24 * time.Hour
)

// event is an event of the System Log. Fields of type any have nested objects.
type event struct {
	UUID        string   `json:"uuid"`
	Published   string   `json:"published"`
	Type        string   `json:"eventType"`
	Version     string   `json:"version"`
	Severity    string   `json:"severity"`
	LegacyType  *string  `json:"legacyEventType"`
	Message     string   `json:"displayMessage"`
	Actor       entity   `json:"actor"`
	Client      any      `json:"client"`
	Outcome     any      `json:"outcome"`
	Target      []entity `json:"target"`
	Transaction any      `json:"transaction"`
	Debug       any      `json:"debugContext"`
}

type entity struct {
	ID          string  `json:"id"`
	Type        string  `json:"type"`
	AlternateID string  `json:"alternateId"`
	DisplayName string  `json:"displayName"`
	Detail      *string `json:"detailEntry"`
}

// messages are the displayMessage of each eventType.
var messages = map[string]string{
	"account.org.add":            "Add an org to an account",
	"account.org.product.update": "Update the products of an org",
	"account.org.status.update":  "Update the status of an org",
	"account.org.delete.request": "Request the deletion of an org",
	"account.org.delete.cancel":  "Cancel the deletion of an org",
	"account.org.consent.grant":  "Grant an account consent to an org",
	"account.org.consent.revoke": "Revoke an account's consent to an org",
}

// record logs an event; c is nil if it did not come over HTTP. The caller holds the
// lock.
func (s *Simulator) record(who *caller, c *call, kind string, o *Org) {
	type nested = map[string]any
	request, agent, address := s.newID("req"), "", ""
	debug := nested{}
	if c != nil {
		request, agent, address = c.id, c.r.UserAgent(), "127.0.0.1"
		debug["requestUri"], debug["url"] = c.r.URL.Path, c.r.URL.Path
	}
	debug["requestId"] = request
	e := &event{
		UUID: s.newUUID(), Published: formatTime(s.opts.Now()), Type: kind, Version: "0", Severity: "INFO",
		Message:     messages[kind],
		Actor:       who.actor,
		Client:      nested{"userAgent": nested{"rawUserAgent": agent}, "ipAddress": address},
		Outcome:     nested{"result": "SUCCESS", "reason": nil},
		Target:      []entity{{ID: o.ID, Type: "Org", AlternateID: o.Domain, DisplayName: o.Name}},
		Transaction: nested{"type": "WEB", "id": request, "detail": nested{}},
		Debug:       nested{"debugData": debug},
	}
	if len(s.log) >= maxHistory {
		s.dropped += maxHistory / 2
	}
	s.log = appendCapped(s.log, e)
}

var logGrammar = grammar{
	"eventType":         {kind: textual, ops: []string{"eq", "sw"}},
	"actor.id":          {kind: textual, ops: []string{"eq"}},
	"actor.alternateId": {kind: textual, ops: []string{"eq", "sw"}},
	"target.id":         {kind: textual, ops: []string{"eq"}},
	"uuid":              {kind: textual, ops: []string{"eq"}},
	"published":         {kind: textual, ops: []string{"gt", "ge", "lt", "le", "eq"}},
}

// logQuery is a query of the log.
type logQuery struct {
	since, until string // in Okta's form; until is "" for a polling query
	limit        int
	descending   bool
	match        matcher
	at           int // where to continue, counted from the first event ever; -1 at the start
}

// getLogs returns the System Log of the caller's org. All events about Aerial are
// in the Aerial org's.
func (s *Simulator) getLogs(c *call) *answer {
	q, problem := s.readLogQuery(c)
	if problem != "" {
		return s.invalid("logs", problem)
	}
	out, next, more := []*event{}, 0, false
	if c.who.org.AerialOrg {
		out, next, more = s.search(q)
	}
	a := jsonAnswer(http.StatusOK, out)
	link(a, "self", c.url, c.r.URL.Query())
	if more || q.until == "" && !q.descending {
		link(a, "next", c.url, cursorQuery(c, "after", s.cursor(next, logCursorOf(c))))
	}
	return a
}

// logCursorOf returns the query to which a cursor of the log is bound.
func logCursorOf(c *call) string {
	q := c.r.URL.Query()
	return "log " + q.Get("since") + " " + q.Get("until") + " " + q.Get("filter") + " " + q.Get("sortOrder")
}

// readLogQuery returns the query; problem is what is wrong with it, or "".
func (s *Simulator) readLogQuery(c *call) (q logQuery, problem string) {
	v := c.r.URL.Query()
	q = logQuery{limit: defaultEvents, at: -1, since: formatTime(s.opts.Now().Add(-logMemory))}
	for _, bound := range []struct {
		name string
		at   *string
	}{{"since", &q.since}, {"until", &q.until}} {
		if !v.Has(bound.name) {
			continue
		}
		t, err := time.Parse(time.RFC3339, v.Get(bound.name))
		if err != nil {
			return q, fmt.Sprintf("%s: The field must be a date and time as in ISO 8601", bound.name)
		}
		*bound.at = formatTime(t)
	}
	if v.Has("limit") {
		n, err := strconv.Atoi(v.Get("limit"))
		if err != nil || n < 0 || n > maxEvents {
			return q, fmt.Sprintf("limit: The limit must be a number from 0 to %d", maxEvents)
		}
		q.limit = n
	}
	switch v.Get("sortOrder") {
	case "", "ASCENDING":
	case "DESCENDING":
		q.descending = true
	default:
		return q, "sortOrder: The field must be ASCENDING or DESCENDING"
	}
	if q.match, problem = parseFilter(v.Get("filter"), logGrammar); problem != "" {
		return q, "filter: " + problem
	}
	if v.Has("after") {
		n, ok := s.readCursor(v.Get("after"), logCursorOf(c))
		if !ok {
			return q, "after: The cursor is not one of this query"
		}
		q.at = n
	}
	return q, ""
}

// search returns the events of one page, where the next page starts, and whether
// that has any.
func (s *Simulator) search(q logQuery) (out []*event, next int, more bool) {
	out = []*event{}
	i, step := max(q.at, s.dropped)-s.dropped, 1
	if q.descending {
		step = -1
		if i = q.at - s.dropped; q.at < 0 {
			i = len(s.log) - 1
		}
	}
	for ; i >= 0 && i < len(s.log); i += step {
		if !q.matches(s.log[i]) {
			continue
		}
		if len(out) == q.limit {
			return out, i + s.dropped, true
		}
		out = append(out, s.log[i])
	}
	return out, max(i, 0) + s.dropped, false
}

func (q *logQuery) matches(e *event) bool {
	if e.Published < q.since || q.until != "" && e.Published >= q.until {
		return false
	}
	return q.match(e.attribute)
}

func (e *event) attribute(name string) string {
	switch name {
	case "eventType":
		return e.Type
	case "actor.id":
		return e.Actor.ID
	case "actor.alternateId":
		return e.Actor.AlternateID
	case "target.id":
		return e.Target[0].ID
	case "uuid":
		return e.UUID
	default:
		return e.Published
	}
}
