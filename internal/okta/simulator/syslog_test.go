package simulator_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

type logEvent struct {
	UUID      string
	Published time.Time
	EventType string
	Actor     struct{ ID, Type, AlternateID, DisplayName string }
	Target    []struct{ ID, Type, AlternateID string }
	Outcome   struct{ Result string }
	Debug     struct {
		Data struct{ RequestID, RequestURI string } `json:"debugData"`
	} `json:"debugContext"`
}

// logs reads one page of the log.
func (f *fixture) logs(token, at string) (events []logEvent, next string) {
	f.t.Helper()
	if !strings.HasPrefix(at, "http") {
		at = f.URL + "/api/v1/logs?" + at
	}
	r := f.send("GET", at, "", "Authorization", "Bearer "+token)
	wantStatus(f.t, r, 200)
	r.decode(f.t, &events)
	return events, links(f.t, r)["next"]
}

func kinds(events []logEvent) []string {
	all := []string{}
	for _, e := range events {
		all = append(all, strings.TrimPrefix(e.EventType, "account.org."))
	}
	return all
}

func TestEvents(t *testing.T) {
	seed := simulator.DefaultSeed(6)
	seed.Account.DeletionAllowed = true
	f := start(t, simulatortest.Config{Seed: seed})
	manage, logs := f.token(scopeManage), f.token(scopeLogs)
	domain := seed.Orgs[7].Domain
	id := f.orgID(domain)

	put := func(path, body string) {
		t.Helper()
		f.clock.Add(time.Second)
		wantStatus(t, f.aerial(manage, "PUT", "/api/v1/orgs/"+id+path, body), 200)
	}
	put("/products", `[{"id":"P000139"}]`)
	put("/products", `[{"id":"P000139"}]`) // no change, no event
	put("/status", `{"status":"INACTIVE"}`)
	put("/status", `{"status":"INACTIVE"}`)
	wantStatus(t, f.aerial(manage, "POST", "/api/v1/orgs/"+id+"/deletionRequest", ""), 200)
	wantStatus(t, f.aerial(manage, "POST", "/api/v1/orgs", `{"domain":"acme-new.okta.com","cell":"ok1"}`), 200)
	for _, err := range []error{
		f.CancelDeletion(domain, "eve@acme.example"),
		f.SetOrgStatus(domain, "ACTIVE", "eve@acme.example"),
		f.SetOrgProducts(domain, []string{"P000052"}, "eve@acme.example"),
		f.SetConsent("acme-merged.okta.com", true, "eve@acme.example"),
		f.SetConsent("acme-merged.okta.com", false, "eve@acme.example"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// Refused writes leave no event.
	wantStatus(t, f.aerial(manage, "PUT", "/api/v1/orgs/"+id+"/products", `[{"id":"P9"}]`), 400)

	events, next := f.logs(logs, "")
	want := []string{"product.update", "status.update", "delete.request", "add", "delete.cancel", "status.update", "product.update", "consent.grant", "consent.revoke"}
	if got := kinds(events); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	first, mine := events[0], events[4]
	if first.Actor.ID != f.Credentials.ClientID || first.Actor.Type != "PublicClientApp" || first.Target[0].ID != id ||
		first.Target[0].AlternateID != domain || first.Outcome.Result != "SUCCESS" ||
		first.Debug.Data.RequestURI != "/"+f.AccountID+"/api/v1/orgs/"+id+"/products" || !strings.HasPrefix(first.Debug.Data.RequestID, "req") ||
		!first.Published.Equal(newClock().now.Add(time.Second)) {
		t.Errorf("got %+v", first)
	}
	if mine.Actor.Type != "User" || mine.Actor.AlternateID != "eve@acme.example" || !strings.HasPrefix(mine.Actor.ID, "00u") {
		t.Errorf("got %+v", mine)
	}
	seen := map[string]bool{}
	for _, e := range events {
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(e.UUID) || seen[e.UUID] {
			t.Errorf("uuid %q", e.UUID)
		}
		seen[e.UUID] = true
	}

	// A polling query goes on where it was, with nothing new or something.
	events, next = f.logs(logs, next)
	if len(events) != 0 || next == "" {
		t.Fatalf("got %v, next %q", kinds(events), next)
	}
	if err := f.SetOrgStatus(domain, "INACTIVE", "eve@acme.example"); err != nil {
		t.Fatal(err)
	}
	if events, _ = f.logs(logs, next); !slices.Equal(kinds(events), []string{"status.update"}) {
		t.Errorf("got %v", kinds(events))
	}
}

func TestLogQueries(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 3})
	logs := f.token(scopeLogs)
	domain := f.Orgs()[6].Domain
	for i := range 10 {
		status := []string{"INACTIVE", "ACTIVE"}[i%2]
		if err := f.SetOrgStatus(domain, status, "eve@acme.example"); err != nil {
			t.Fatal(err)
		}
		f.clock.Add(time.Minute)
	}
	if err := f.SetOrgProducts(domain, nil, "bob@acme.example"); err != nil {
		t.Fatal(err)
	}
	at := func(minutes int) string {
		return newClock().now.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	}
	tests := []struct {
		query  string
		events int
		next   bool
	}{
		{"", 11, true},
		{"limit=4", 4, true},
		{"limit=0", 0, true},
		{"sortOrder=DESCENDING", 11, false},
		{"sortOrder=DESCENDING&limit=4", 4, true},
		{"since=" + at(5), 6, true},
		{"since=" + at(5) + "&until=" + at(10), 5, false},
		{"until=" + at(10) + "&limit=3", 3, true},
		{"filter=" + url.QueryEscape(`eventType eq "account.org.product.update"`), 1, true},
		{"filter=" + url.QueryEscape(`eventType sw "account.org."`), 11, true},
		{"filter=" + url.QueryEscape(`eventType eq "account.org.product.update" or actor.alternateId eq "eve@acme.example"`), 11, true},
		{"filter=" + url.QueryEscape(`target.id eq "`+f.orgID(domain)+`" and actor.alternateId sw "bob"`), 1, true},
		{"filter=" + url.QueryEscape(`target.id eq "00ox"`), 0, true},
		{"filter=" + url.QueryEscape(`published gt "2026-03-01T12:05:00.000Z"`), 5, true},
		{"filter=" + url.QueryEscape(`published le "2026-03-01T12:05:00.000Z"`), 6, true},
		{"filter=" + url.QueryEscape(`eventType co "status" and actor.alternateId ew "@acme.example"`), 10, true},
		{"filter=" + url.QueryEscape(`actor.alternateId ne "eve@acme.example"`), 1, true},
		{"filter=" + url.QueryEscape(`not (eventType eq "account.org.status.update")`), 1, true},
		{"filter=" + url.QueryEscape(`uuid pr and (actor.displayName sw "bob" or target.id eq "00ox")`), 1, true},
		{"filter=" + url.QueryEscape(`client.ipAddress eq "203.0.113.7"`), 11, true},
		{"filter=" + url.QueryEscape(`outcome.result eq "success" and debugContext.debugData.requestId sw "req"`), 11, true},
		{"q=BOB@acme.example", 1, true},
		{"q=products", 1, true},
		{"q=update+status", 10, true},
		{"q=bob@acme.example+status", 0, true},
		{"q=stat", 0, true},
		{"q=products&filter=" + url.QueryEscape(`actor.alternateId sw "eve"`), 0, true},
		{"filter=" + url.QueryEscape(`published lt "2026-03-01T12:05:00.000Z" and published ge "2026-03-01T12:01:00.000Z"`), 4, true},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			f.t = t
			events, next := f.logs(logs, tt.query)
			if len(events) != tt.events || (next != "") != tt.next {
				t.Errorf("got %d events, next %q", len(events), next)
			}
			descending := strings.Contains(tt.query, "DESC")
			if !slices.IsSortedFunc(events, func(a, b logEvent) int {
				if descending {
					a, b = b, a
				}
				return a.Published.Compare(b.Published)
			}) {
				t.Error("not in order")
			}
		})
	}

	for _, order := range []string{"ASCENDING", "DESCENDING"} {
		seen := map[string]bool{}
		for at, pages := "limit=3&sortOrder="+order, 0; at != "" && pages < 4; pages++ {
			var events []logEvent
			events, at = f.logs(logs, at)
			for _, e := range events {
				seen[e.UUID] = true
			}
		}
		if len(seen) != 11 {
			t.Errorf("%s: four pages of three have %d events, want 11", order, len(seen))
		}
	}

	bad := []struct{ query, says string }{
		{"limit=1001", "0 to 1000"},
		{"limit=x", "0 to 1000"},
		{"since=yesterday", "since"},
		{"until=1", "until"},
		{"sortOrder=UP", "ASCENDING"},
		{"filter=x", "filter"},
		{"filter=" + url.QueryEscape(`color eq "red"`), "can't have 'color'"},
		{"filter=" + url.QueryEscape(`uuid is "x"`), "can't use 'is'"},
		{"filter=" + url.QueryEscape(`(uuid pr`), "never closed"},
		{"filter=" + url.QueryEscape(`uuid pr)`), "instead of 'and' or 'or'"},
		{"filter=" + url.QueryEscape(`not uuid pr`), "parentheses after 'not'"},
		{"filter=" + url.QueryEscape(strings.Repeat("(", 21)+"uuid pr"+strings.Repeat(")", 21)), "more than 20"},
		{"q=" + strings.Repeat("k+", 11), "10 keywords"},
		{"q=" + strings.Repeat("k", 41), "40 characters"},
		{"after=x", "cursor"},
	}
	for _, tt := range bad {
		t.Run(tt.query, func(t *testing.T) {
			f.t = t
			wantError(t, f.send("GET", "/api/v1/logs?"+tt.query, "", "Authorization", "Bearer "+logs), 400, "E0000001", tt.says)
		})
	}

	// Aerial's events are in the Aerial org's log, in no other.
	if r := f.asParent("GET", "/api/v1/logs", ""); r.body != "[]" {
		t.Errorf("the parent's log holds %s", r.body)
	}
	// What is older than a week is not looked for unless asked for.
	f.clock.Add(7 * 24 * time.Hour)
	logs = f.token(scopeLogs)
	if events, _ := f.logs(logs, ""); len(events) != 1 {
		t.Errorf("got %d events after a week, want the last", len(events))
	}
	if events, _ := f.logs(logs, "since="+at(0)); len(events) != 11 {
		t.Errorf("got %d events since the start, want 11", len(events))
	}
}

// A log that got too long loses its older half; cursors stay where they were.
func TestLogOverflow(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 3})
	logs := f.token(scopeLogs)
	domain := f.Orgs()[6].Domain
	toggle := func(times int) {
		for i := range times {
			if err := f.SetOrgStatus(domain, []string{"INACTIVE", "ACTIVE"}[i%2], "eve@acme.example"); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(at string) (n int) {
		for {
			var events []logEvent
			if events, at = f.logs(logs, at); len(events) == 0 {
				return n
			}
			n += len(events)
		}
	}
	toggle(99_000)
	_, early := f.logs(logs, "limit=10")
	f.clock.Add(time.Second)
	_, late := f.logs(logs, "limit=1000&since="+f.clock.Now().Format(time.RFC3339))
	toggle(2000) // now the oldest 50,000 are gone
	if got := count(late); got != 2000 {
		t.Errorf("since the log was last read came %d events, want 2000", got)
	}
	if got, _ := f.logs(logs, early); len(got) != 10 {
		t.Errorf("after an event that is gone comes what is left: got %d events", len(got))
	}
	if got := count("limit=1000&since=" + f.clock.Now().Format(time.RFC3339)); got != 2000 {
		t.Errorf("got %d new events", got)
	}
}

// That an org was added is in its own log too.
func TestLogOfAddedOrg(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 2})
	r := f.asParent("POST", "/api/v1/orgs", creation("acme-fresh"))
	wantStatus(t, r, 201)
	var made struct{ ID, Token string }
	r.decode(t, &made)
	f.clock.Add(time.Minute)
	manage := f.token(scopeManage)
	wantStatus(t, f.aerial(manage, "POST", "/api/v1/orgs", `{"orgId":"`+made.ID+`","cell":"ok1"}`), 200)
	wantStatus(t, f.aerial(manage, "PUT", "/api/v1/orgs/"+made.ID+"/status", `{"status":"INACTIVE"}`), 200)
	r = f.send("GET", "/api/v1/logs", "", "Authorization", "SSWS "+made.Token)
	var events []logEvent
	r.decode(t, &events)
	if got := kinds(events); !slices.Equal(got, []string{"add"}) {
		t.Errorf("got %v", got)
	}
	all, next := f.logs(f.token(scopeLogs), "")
	if got := kinds(all); !slices.Equal(got, []string{"add", "status.update"}) {
		t.Errorf("got %v", got)
	}
	wantError(t, f.send("GET", next, "", "Authorization", "SSWS "+made.Token), 400, "E0000001", "cursor")
}

// Events come late, twice or never if they are told to; a polling query has them when they
// come, and others by when they happened.
func TestLogFaults(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 3})
	logs := f.token(scopeLogs)
	domain := f.Orgs()[6].Domain
	toggle := func() {
		t.Helper()
		o, _ := f.Org(domain)
		status := map[string]string{"ACTIVE": "INACTIVE", "INACTIVE": "ACTIVE"}[o.Status]
		if err := f.SetOrgStatus(domain, status, "eve@acme.example"); err != nil {
			t.Fatal(err)
		}
		f.clock.Add(time.Second)
	}
	count := func(query string) int {
		t.Helper()
		events, _ := f.logs(logs, query)
		seen := map[string]bool{}
		for _, e := range events {
			seen[e.UUID] = true
		}
		if len(seen) != len(events) {
			t.Logf("%d events of %d are repeated", len(events)-len(seen), len(events))
		}
		return len(events)
	}
	begin := f.clock.Now()
	f.SetLogFaults(simulator.LogFaults{Lose: 1})
	toggle()
	f.SetLogFaults(simulator.LogFaults{Repeat: 1})
	toggle()
	if n := count(""); n != 2 {
		t.Errorf("one lost and one repeated are %d", n)
	}
	f.SetLogFaults(simulator.LogFaults{Late: time.Hour})
	for range 20 {
		toggle()
	}
	soon := count("")
	f.clock.Add(30 * time.Minute)
	middle, since := count(""), f.clock.Now()
	f.clock.Add(30*time.Minute + time.Second)
	logs = f.token(scopeLogs)
	if end := count(""); soon >= middle || middle >= end || end != 22 {
		t.Errorf("%d, %d, then %d events", soon, middle, end)
	}
	at := func(t time.Time) string { return url.QueryEscape(t.Format(time.RFC3339)) }
	if n := count("since=" + at(since)); n != 22-middle {
		t.Errorf("%d events came since", n)
	}
	if n := count("since=" + at(begin) + "&until=" + at(begin.Add(time.Minute))); n != 22 {
		t.Errorf("%d events happened in the first minute", n)
	}
}

// What Okta itself and its support do is in the log as theirs.
func TestOktasHands(t *testing.T) {
	f := startOrg(t, simulatortest.Config{Orgs: 3, OrgScopes: []string{scopeLogs}})
	domain := f.domain
	all, err := f.Objects(domain).List("features")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	name, _ := all[0]["name"].(string)
	other := map[any]string{"ENABLED": "DISABLED", "DISABLED": "ENABLED"}
	for _, by := range []string{simulator.OktaSystem, simulator.OktaSupport} {
		now, _ := f.Objects(domain).Get("features", name)
		if err := f.Objects(domain).SetStatus("features", name, other[now["status"]], by); err != nil {
			t.Fatal(err)
		}
	}
	events, _ := f.logs(f.bearer, f.OrgURL(domain)+"/api/v1/logs")
	if len(events) != 2 || events[0].Actor.Type != "SystemPrincipal" || !strings.HasPrefix(events[0].EventType, "system.feature.") ||
		events[1].EventType != "support.org.update" || events[1].Actor.AlternateID != simulator.OktaSupport {
		t.Errorf("got %+v", events)
	}
}
