package systemlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// week is where a simulated week begins.
var week = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const client = "0oaOurs"

// change is a change of the products of an org, as it really was.
type change struct {
	at   time.Time // by our clock
	org  int
	who  string // "" is us
	kind string
	// id is that of the event, and request that of the request.
	id, request string
	// comes is when the event is in the log; zero if never.
	comes time.Time
}

// event returns the event of a change.
func (c *change) event(ahead time.Duration) Event {
	e := Event{
		UUID: c.id, Published: c.at.Add(ahead), Type: c.kind, Outcome: "SUCCESS", RequestID: c.request,
		Targets: []Entity{{ID: fmt.Sprintf("00o%d", c.org), Type: "Org", Login: fmt.Sprintf("org%d.okta.com", c.org)}},
	}
	switch {
	case c.who == "":
		e.Actor = Entity{ID: client, Type: "PublicClientApp"}
	case c.who == "Okta":
		e.Actor = Entity{ID: "system", Type: systemActor, Name: "Okta System"}
	default:
		e.Actor = Entity{ID: "00u" + c.who, Type: "User", Login: c.who + "@acme.example"}
	}
	return e
}

// simulation is a week: who changed what, and when it was read.
type simulation struct {
	changes []change
	runs    []time.Time
	ahead   time.Duration
	// perfect is set if each event comes.
	perfect bool
}

// drawWeek draws a week. Changes are never within ten seconds of a run.
func drawWeek(t *rapid.T) *simulation {
	s := &simulation{
		ahead:   time.Duration(rapid.IntRange(-200, 200).Draw(t, "ahead")) * time.Second,
		perfect: rapid.Bool().Draw(t, "perfect"),
	}
	every := rapid.SampledFrom([]int{10, 30, 60, 240}).Draw(t, "every")
	for m := every; m < 7*24*60; m += every {
		s.runs = append(s.runs, week.Add(time.Duration(m)*time.Minute))
	}
	n := rapid.IntRange(1, 60).Draw(t, "changes")
	for i := range n {
		minute := rapid.IntRange(0, 7*24*60-1).Draw(t, "minute")
		if i > 0 && rapid.Bool().Draw(t, "soon") { // after the one before
			minute = int(s.changes[i-1].at.Sub(week)/time.Minute) + rapid.IntRange(0, every).Draw(t, "after")
		}
		c := change{
			at:   week.Add(time.Duration(minute)*time.Minute + time.Duration(rapid.IntRange(15, 45).Draw(t, "second"))*time.Second + time.Duration(i)*time.Millisecond),
			org:  rapid.IntRange(1, 2).Draw(t, "org"),
			who:  rapid.SampledFrom([]string{"", "", "ada", "bob", "eve", "Okta"}).Draw(t, "who"),
			kind: "account.org.product.update", id: fmt.Sprintf("uuid-%d", i), request: fmt.Sprintf("req-%d", i),
		}
		if c.who == "eve" && rapid.Bool().Draw(t, "support") {
			c.kind = supportUpdate
		}
		c.comes = c.at.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "late")) * time.Second)
		if !s.perfect && rapid.IntRange(0, 4).Draw(t, "missing") == 0 {
			c.comes = time.Time{}
		}
		s.changes = append(s.changes, c)
	}
	slices.SortStableFunc(s.changes, func(a, b change) int { return a.at.Compare(b.at) })
	return s
}

// log returns the events that are there at a time, with repeats and in any order.
func (s *simulation) log(t *rapid.T, at time.Time) []Event {
	var all []Event
	for i := range s.changes {
		if c := &s.changes[i]; !c.comes.IsZero() && !c.comes.After(at) {
			all = append(all, c.event(s.ahead))
			if i%3 == 0 {
				all = append(all, c.event(s.ahead))
			}
		}
	}
	return rapid.Permutation(all).Draw(t, "order")
}

// own returns how our events are known, given what was written up to a time: by their
// requests, or else by our client alone, and when they were.
func (s *simulation) own(org int, at time.Time, requests bool) Own {
	own := Own{Clients: []string{client}}
	for i := range s.changes {
		if c := &s.changes[i]; c.who == "" && c.org == org && !c.at.After(at) {
			w := Write{Time: c.at.Add(3 * time.Second)}
			if requests {
				w.RequestIDs = []string{c.request}
			}
			own.Writes = append(own.Writes, w)
		}
	}
	return own
}

// drifts calls f for each drift of the week: a change by somebody else makes the org
// differ, and one of ours makes it as declared.
func (s *simulation) drifts(org int, f func(agreed, since time.Time, within []*change)) {
	var agreed time.Time
	var within []*change
	differs, seen := false, false
	next := 0
	for _, run := range s.runs {
		for ; next < len(s.changes) && s.changes[next].at.Before(run); next++ {
			c := &s.changes[next]
			if c.org != org {
				continue
			}
			differs = c.who != ""
			within = append(within, c)
		}
		switch {
		case !differs:
			agreed, within, seen = run, nil, false
		case !seen:
			f(agreed, run, within)
			seen = true
		}
	}
}

// TestWeek simulates a week of admins, support, pushes and writes of our own, with events
// that are late by up to an hour, missing, repeated and out of order: whenever it is asked,
// nobody is named who has not changed the org in the time in which it began to differ, and
// after whom we have not written; and with all events there, in the end, it is exactly
// the one who changed it last.
func TestWeek(t *testing.T) {
	named, asked := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := drawWeek(t)
		requests := rapid.Bool().Draw(t, "requests")
		for org := 1; org <= 2; org++ {
			s.drifts(org, func(agreed, since time.Time, within []*change) {
				d := Drift{
					Org: fmt.Sprintf("org%d.okta.com", org), OrgID: fmt.Sprintf("00o%d", org),
					Types: []string{"account.org.product.update", supportUpdate}, Agreed: agreed, Since: since,
				}
				for _, after := range []int{0, 5, 30, 69, 71, 300} {
					now := since.Add(time.Duration(after) * time.Minute)
					v := Attribute(d, s.log(t, now), s.own(org, since, requests), s.ahead, now)
					s.check(t, v, within, now)
					settled := after > 70
					if v.Pending == settled || settled && v.Cause == nil && v.Unknown == "" {
						t.Fatalf("after %d minutes: %+v", after, v)
					}
					if settled && s.perfect {
						asked++
						last := within[len(within)-1]
						close := slices.ContainsFunc(within, func(c *change) bool { return c.who == "" && last.at.Sub(c.at) < 5*time.Second })
						if v.Cause == nil && (requests || !close) || v.Cause != nil && v.Cause.UUID != last.id {
							t.Fatalf("got %+v, want %+v", v, last)
						}
						if v.Cause != nil {
							named++
						}
					}
				}
			})
		}
	})
	if named < asked*9/10 || named == 0 {
		t.Errorf("named only %d of %d", named, asked)
	}
}

// check fails if the verdict names anyone who can't have been it.
func (s *simulation) check(t *rapid.T, v Verdict, within []*change, now time.Time) {
	if v.Cause == nil {
		return
	}
	at := slices.IndexFunc(within, func(c *change) bool { return c.id == v.Cause.UUID })
	if at < 0 || within[at].who == "" || within[at].comes.IsZero() || within[at].comes.After(now) {
		t.Fatalf("blamed %+v, which is none of %d changes", v.Cause, len(within))
	}
	for _, c := range within[at+1:] {
		if c.who == "" {
			t.Fatalf("blamed %+v, but we wrote at %v", v.Cause, c.at)
		}
		if !c.comes.IsZero() && !c.comes.After(now) {
			t.Fatalf("blamed %+v, but the log has a later one: %+v", v.Cause, c)
		}
	}
	support, push := within[at].kind == supportUpdate, within[at].who == "Okta"
	if (v.By == "Okta Support") != support || (v.By == "Okta itself") != (push && !support) {
		t.Fatalf("says %q of %+v", v.By, within[at])
	}
}

func TestAttribute(t *testing.T) {
	at := func(minute int) time.Time { return week.Add(time.Duration(minute) * time.Minute) }
	eve := Entity{ID: "00uEve", Type: "User", Login: "eve@acme.example", Name: "Eve"}
	bob := Entity{ID: "00uBob", Type: "User", Login: "bob@acme.example", Name: "Bob"}
	us := Entity{ID: client, Type: "PublicClientApp"}
	system := Entity{ID: "system", Type: systemActor}
	org := Entity{ID: "00oA", Type: "Org", Login: "a.okta.com"}
	event := func(minute int, typ string, who Entity, targets ...Entity) Event {
		return Event{UUID: fmt.Sprintf("%s-%d-%s", typ, minute, who.ID), Published: at(minute), Type: typ, Outcome: "SUCCESS", Actor: who, Targets: targets}
	}
	products := "account.org.product.update"
	drift := Drift{Org: "a.okta.com", OrgID: "00oA", Types: []string{products}, Agreed: at(10), Since: at(20)}
	zone := Drift{
		Own: true, Org: "a.okta.com", OrgID: "00oA", Types: []string{"zone.", "network_zone."}, Object: "Offices",
		Paths: []string{"/api/v1/zones"}, Agreed: at(10), Since: at(20),
	}
	rule := zone
	rule.Types, rule.Object, rule.Parent, rule.Paths = []string{"policy.rule."}, "Default Rule", "Staff", []string{"/api/v1/policies/{parent}/rules"}
	feature := zone
	feature.Types, feature.Object, feature.Paths = []string{"system.feature.", supportUpdate}, "Some", []string{"/api/v1/features"}
	setting := Drift{
		Own: true, Types: []string{"system.org.", supportUpdate}, Paths: []string{"/api/v1/org"}, Agreed: at(10), Since: at(20),
	}
	target := func(name string) Entity { return Entity{ID: "x" + name, Name: name} }
	with := func(e Event, f func(*Event)) Event { f(&e); return e }
	uri := func(e Event, path string) Event { return with(e, func(e *Event) { e.RequestURI = path }) }
	never := drift
	never.Agreed = time.Time{}

	tests := map[string]struct {
		drift Drift
		log   []Event
		own   Own
		now   int
		// who is the actor, or why there is none.
		who, by, doubt string
	}{
		"one":               {drift, []Event{event(15, products, eve, org)}, Own{}, 200, "00uEve", "", ""},
		"the newest":        {drift, []Event{event(16, products, bob, org), event(15, products, eve, org)}, Own{}, 200, "00uBob", "", "one other"},
		"at first":          {drift, []Event{event(15, products, eve, org)}, Own{}, 21, "00uEve", "", "a later event may still come"},
		"none yet":          {drift, nil, Own{}, 89, "pending", "", ""},
		"none":              {drift, nil, Own{}, 91, noneFound, "", ""},
		"before":            {drift, []Event{event(9, products, eve, org)}, Own{}, 91, noneFound, "", ""},
		"after":             {drift, []Event{event(21, products, eve, org)}, Own{}, 91, noneFound, "", ""},
		"never agreed":      {never, []Event{event(1, products, eve, org)}, Own{}, 91, "00uEve", "", "when it was last as declared"},
		"another org":       {drift, []Event{event(15, products, eve, Entity{ID: "00oB", Login: "a.okta.com"})}, Own{}, 91, noneFound, "", ""},
		"org by domain":     {drift, []Event{event(15, products, eve, Entity{ID: "x", Login: "A.okta.com"})}, Own{}, 91, "00uEve", "", ""},
		"org by path":       {drift, []Event{uri(event(15, products, eve), "/acc/api/v1/orgs/00oA/products")}, Own{}, 91, "00uEve", "", ""},
		"no org at all":     {drift, []Event{event(15, products, eve)}, Own{}, 91, noneFound, "", ""},
		"another type":      {drift, []Event{event(15, "account.org.status.update", eve, org)}, Own{}, 91, noneFound, "", ""},
		"longer type":       {drift, []Event{event(15, products+"d", eve, org)}, Own{}, 91, noneFound, "", ""},
		"failed":            {drift, []Event{with(event(15, products, eve, org), func(e *Event) { e.Outcome = "FAILURE" })}, Own{}, 91, noneFound, "", ""},
		"nothing can":       {Drift{Since: at(20)}, nil, Own{}, 21, noEvents, "", ""},
		"ours by client":    {drift, []Event{event(15, products, eve, org), event(16, products, us, org)}, Own{Clients: []string{client}}, 91, weWere, "", ""},
		"ours, then eve":    {drift, []Event{event(16, products, eve, org), event(15, products, us, org)}, Own{Clients: []string{client}}, 91, "00uEve", "", ""},
		"ours, maybe":       {drift, []Event{event(15, products, us, org)}, Own{Clients: []string{client}}, 21, "pending", "", ""},
		"ours by request":   {drift, []Event{with(event(15, products, eve, org), func(e *Event) { e.RequestID = "r" })}, Own{Writes: []Write{{at(15), []string{"r"}}}}, 91, weWere, "", ""},
		"ours by run":       {drift, []Event{with(event(15, products, eve, org), func(e *Event) { e.UserAgent = "reconciler/1 (run X)" })}, Own{Runs: func(id string) bool { return id == "X" }}, 91, weWere, "", ""},
		"another's run":     {drift, []Event{with(event(15, products, eve, org), func(e *Event) { e.UserAgent = "reconciler/1 (run Y)" })}, Own{Runs: func(id string) bool { return id == "X" }}, 91, "00uEve", "", ""},
		"ours has no event": {drift, []Event{event(15, products, eve, org)}, Own{Writes: []Write{{at(16), []string{"r"}}}}, 91, weWere, "", ""},
		"ours was before":   {drift, []Event{event(15, products, eve, org)}, Own{Writes: []Write{{at(14), []string{"r"}}}}, 91, "00uEve", "", ""},
		"Okta itself":       {drift, []Event{event(15, products, system, org)}, Own{}, 91, "system", "Okta itself", ""},

		"zone":               {zone, []Event{event(15, "zone.update", eve, target("Offices"))}, Own{}, 91, "00uEve", "", ""},
		"another zone":       {zone, []Event{event(15, "zone.update", eve, target("Others"))}, Own{}, 91, noneFound, "", ""},
		"zone by API":        {zone, []Event{uri(event(15, "zone.update", eve, target("Offices")), "/api/v1/zones/nzo1/lifecycle/activate")}, Own{}, 91, "00uEve", "", ""},
		"another API":        {zone, []Event{uri(event(15, "zone.update", eve, target("Offices")), "/api/v1/groups/g1")}, Own{}, 91, noneFound, "", ""},
		"zone by console":    {zone, []Event{uri(event(15, "zone.update", eve, target("Offices")), "/admin/zones")}, Own{}, 91, "00uEve", "", ""},
		"rule":               {rule, []Event{event(15, "policy.rule.update", eve, target("Staff"), target("Default Rule"))}, Own{}, 91, "00uEve", "", ""},
		"rule of another":    {rule, []Event{event(15, "policy.rule.update", eve, target("Admins"), target("Default Rule"))}, Own{}, 91, noneFound, "", ""},
		"rule of no policy":  {rule, []Event{event(15, "policy.rule.update", eve, target("Default Rule"))}, Own{}, 91, noneFound, "", ""},
		"support":            {feature, []Event{event(15, supportUpdate, system)}, Own{}, 91, "system", "Okta Support", "doesn't say what"},
		"push":               {feature, []Event{event(15, "system.feature.enable", system, target("Some"))}, Own{}, 91, "system", "a push from the parent org", ""},
		"setting":            {setting, []Event{uri(event(15, "system.org.update", eve), "/api/v1/org?x=y")}, Own{}, 91, "00uEve", "", "doesn't say what"},
		"another setting":    {setting, []Event{uri(event(15, "system.org.update", eve), "/api/v1/org/preferences")}, Own{}, 91, noneFound, "", ""},
		"support, then ours": {feature, []Event{event(15, supportUpdate, system), event(16, "system.feature.enable", us, target("Some"))}, Own{Clients: []string{client}}, 91, weWere, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := Attribute(tt.drift, tt.log, tt.own, 0, at(tt.now))
			who := v.Unknown
			switch {
			case v.Cause != nil:
				who = v.Cause.Actor.ID
			case v.Pending:
				who = "pending"
			}
			if who != tt.who || v.By != tt.by || (tt.doubt == "") != (v.Doubt == "") || !strings.Contains(v.Doubt, tt.doubt) {
				t.Errorf("got %q, by %q, doubt %q", who, v.By, v.Doubt)
			}
		})
	}
}
