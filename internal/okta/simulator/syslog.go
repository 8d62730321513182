package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	defaultEvents = 100
	maxEvents     = 1000
	// logMemory is how far back the log is searched by default.
	logMemory = 7 * 24 * time.Hour
	// maxKeywords and maxKeyword limit q: the number of keywords, and the
	// characters of each.
	maxKeywords = 10
	maxKeyword  = 40
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

	// org is the org that it happened in; nil for Aerial's.
	org *Org
	// arrived is when it came to be in the log, in the form of Published.
	arrived string
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

	"account.aerial_template_condition.delete": "Delete an access request condition template",
}

// message returns the displayMessage of an eventType; those of an org's own events
// are made of its words.
func message(kind string) string {
	if m, ok := messages[kind]; ok {
		return m
	}
	words := strings.FieldsFunc(kind, func(r rune) bool { return r == '.' || r == '_' })
	verb := words[len(words)-1]
	return strings.ToUpper(verb[:1]) + verb[1:] + " " + strings.Join(words[:len(words)-1], " ")
}

// orgEntity returns an org as the target of an event.
func orgEntity(o *Org) entity {
	return entity{ID: o.ID, Type: "Org", AlternateID: o.Domain, DisplayName: o.Name}
}

// record logs an event; c is nil if it did not come over HTTP. The caller holds the
// lock.
func (s *Simulator) record(who *caller, c *call, kind string, target entity) {
	s.recordIn(nil, who, c, kind, target)
}

// consoleAgent and consoleAddress are the client of a change that did not come over
// HTTP: a browser that shows a console.
const (
	consoleAgent   = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	consoleAddress = "203.0.113.7"
)

// recordIn logs an event of an org, or of Aerial if that is nil.
func (s *Simulator) recordIn(o *Org, who *caller, c *call, kind string, targets ...entity) {
	type nested = map[string]any
	request, agent, address := s.newID("req"), consoleAgent, consoleAddress
	debug := nested{}
	switch {
	case c != nil:
		request, agent, address = c.id, c.r.UserAgent(), "127.0.0.1"
		path := c.r.URL.Path
		if c.domain != "" {
			path = strings.TrimPrefix(path, "/org/"+c.domain) // which real orgs don't have
		}
		debug["requestUri"], debug["url"] = path, path
	case who.actor.Type != "User":
		agent, address = "", ""
	}
	debug["requestId"] = request
	now := s.opts.Now()
	e := &event{
		UUID: s.newUUID(), Published: formatTime(now), Type: kind, Version: "0", Severity: "INFO",
		Message: message(kind), org: o,
		Actor:       who.actor,
		Client:      nested{"userAgent": nested{"rawUserAgent": agent}, "ipAddress": address},
		Outcome:     nested{"result": "SUCCESS", "reason": nil},
		Target:      targets,
		Transaction: nested{"type": "WEB", "id": request, "detail": nested{}},
		Debug:       nested{"debugData": debug},
	}
	s.deliver(e, now)
}

// LogFaults make events of the System Log come late, twice or never, as Okta's do.
type LogFaults struct {
	// Late is how late an event comes at most; each comes at a random time until then.
	Late time.Duration
	// Lose and Repeat are how likely an event never comes, or comes twice: 0 to 1.
	Lose, Repeat float64
}

// SetLogFaults sets what becomes of the events that happen from now on.
func (s *Simulator) SetLogFaults(f LogFaults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logFaults = f
}

// deliver has an event come into the log, as the faults have it.
func (s *Simulator) deliver(e *event, now time.Time) {
	f := s.logFaults
	if f.Lose > 0 && s.random.Float64() < f.Lose {
		return
	}
	times := 1
	if f.Repeat > 0 && s.random.Float64() < f.Repeat {
		times = 2
	}
	for range times {
		at := now
		if f.Late > 0 {
			at = at.Add(time.Duration(s.random.Int64N(int64(f.Late) + 1)))
		}
		one := *e
		one.arrived = formatTime(at)
		s.late = append(s.late, &one)
	}
	s.arrive()
}

// arrive appends to the log the events that have come by now.
func (s *Simulator) arrive() {
	now := formatTime(s.opts.Now())
	slices.SortStableFunc(s.late, func(a, b *event) int { return strings.Compare(a.arrived, b.arrived) })
	for len(s.late) > 0 && s.late[0].arrived <= now {
		if len(s.log) >= maxHistory {
			s.dropped += maxHistory / 2
		}
		s.log = appendCapped(s.log, s.late[0])
		s.late = s.late[1:]
	}
}

// logAttributes are the attributes of events that filter and q look at.
var logAttributes = map[string]func(*event) string{
	"uuid":              func(e *event) string { return e.UUID },
	"published":         func(e *event) string { return e.Published },
	"eventType":         func(e *event) string { return e.Type },
	"severity":          func(e *event) string { return e.Severity },
	"displayMessage":    func(e *event) string { return e.Message },
	"actor.id":          func(e *event) string { return e.Actor.ID },
	"actor.type":        func(e *event) string { return e.Actor.Type },
	"actor.alternateId": func(e *event) string { return e.Actor.AlternateID },
	"actor.displayName": func(e *event) string { return e.Actor.DisplayName },

	"target.id":          func(e *event) string { return e.Target[0].ID },
	"target.type":        func(e *event) string { return e.Target[0].Type },
	"target.alternateId": func(e *event) string { return e.Target[0].AlternateID },
	"target.displayName": func(e *event) string { return e.Target[0].DisplayName },

	"outcome.result":                    func(e *event) string { return within(e.Outcome, "result") },
	"transaction.id":                    func(e *event) string { return within(e.Transaction, "id") },
	"client.ipAddress":                  func(e *event) string { return within(e.Client, "ipAddress") },
	"client.userAgent.rawUserAgent":     func(e *event) string { return within(e.Client, "userAgent", "rawUserAgent") },
	"debugContext.debugData.requestId":  func(e *event) string { return within(e.Debug, "debugData", "requestId") },
	"debugContext.debugData.requestUri": func(e *event) string { return within(e.Debug, "debugData", "requestUri") },
	"debugContext.debugData.url":        func(e *event) string { return within(e.Debug, "debugData", "url") },
}

// within returns a string of nested objects, or "".
func within(v any, keys ...string) string {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	text, _ := v.(string)
	return text
}

// logGrammar is that of the log's filters, which know all operators of SCIM.
var logGrammar = func() grammar {
	g := grammar{attributes: map[string]attribute{}, nested: true}
	for name := range logAttributes {
		g.attributes[name] = attribute{kind: textual, ops: []string{"eq", "ne", "co", "sw", "ew", "pr", "gt", "ge", "lt", "le"}}
	}
	return g
}()

// logQuery is a query of the log.
type logQuery struct {
	since, until string // in Okta's form; until is "" for a polling query
	limit        int
	descending   bool
	match        matcher
	keywords     []string // that must all be there
	org          *Org     // whose log it is
	at           int      // where to continue, counted from the first event ever; -1 at the start
}

// getLogs returns the System Log of the caller's org.
func (s *Simulator) getLogs(c *call) *answer {
	q, problem := s.readLogQuery(c)
	if problem != "" {
		return s.invalid("logs", problem)
	}
	out, next, more := s.search(q)
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
	return strings.Join([]string{"log", c.who.org.ID, q.Get("since"), q.Get("until"), q.Get("filter"), q.Get("q"), q.Get("sortOrder")}, " ")
}

// readLogQuery returns the query; problem is what is wrong with it, or "".
func (s *Simulator) readLogQuery(c *call) (q logQuery, problem string) {
	v := c.r.URL.Query()
	q = logQuery{limit: defaultEvents, at: -1, org: c.who.org, keywords: strings.Fields(v.Get("q")), since: formatTime(s.opts.Now().Add(-logMemory))}
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
	if len(q.keywords) > maxKeywords || slices.ContainsFunc(q.keywords, func(word string) bool { return utf8.RuneCountInString(word) > maxKeyword }) {
		return q, fmt.Sprintf("q: The field can have at most %d keywords of at most %d characters", maxKeywords, maxKeyword)
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
	s.arrive()
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
	at := e.Published
	if q.until == "" && !q.descending { // polled by when it came, so that late ones aren't missed
		at = e.arrived
	}
	if at < q.since || q.until != "" && at >= q.until {
		return false
	}
	return e.in(q.org) && q.match(e.attribute) && !slices.ContainsFunc(q.keywords, func(word string) bool { return !e.has(word) })
}

func (e *event) attribute(name string) string { return logAttributes[name](e) }

// has reports whether a value of the event, or a word of one, is the keyword, in
// any case.
func (e *event) has(keyword string) bool {
	for _, value := range logAttributes {
		text := value(e)
		if strings.EqualFold(text, keyword) || slices.ContainsFunc(strings.Fields(text), func(word string) bool {
			return strings.EqualFold(word, keyword)
		}) {
			return true
		}
	}
	return false
}

// in reports whether the event is in the log of an org: its own, and all of Aerial's are in
// the Aerial org's, and that an org was added is in its own as well.
func (e *event) in(o *Org) bool {
	if e.org != nil {
		return e.org == o
	}
	return o.AerialOrg || e.Type == "account.org.add" && e.Target[0].ID == o.ID
}
