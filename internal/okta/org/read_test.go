package org

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/text"
)

const (
	zonesPath = "GET /api/v1/zones"
	next      = `<http://acme.okta.com/api/v1/zones?after=%s&limit=200>; rel="next"`
)

// TestWrongOrg: an org that isn't the one that is meant, or doesn't say which it is, gets
// nothing more: no credentials, and not even a look for them.
func TestWrongOrg(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target objects.Target
		who    http.HandlerFunc
		err    string
		calls  int
	}{
		{"another", acme, reply(200, `{"id":"00o2","pipeline":"idx"}`),
			`identifying the org: it is the org "00o2", and "acme.okta.com" is "00o1" in Aerial: nothing else was sent to it`, 1},
		{"no id", acme, reply(200, `{"pipeline":"idx"}`), `identifying the org: the answer of "acme.okta.com" holds no id`, 1},
		{"null", acme, reply(200, `null`), `identifying the org: the answer of "acme.okta.com" holds no id`, 1},
		{"HTML", acme, reply(200, `<html>`, "Content-Type", "text/html"),
			`identifying the org: 200 with an unreadable body: it is "text/html", not JSON (tried 7 times)`, 7},
		{"redirect", acme, reply(302, ``, "Location", "https://evil.example/"),
			`identifying the org: 302 redirected to "https://evil.example"`, 1},
		{"not there", acme, reply(404, edge), `identifying the org: 404 Not Found (tried 7 times)`, 7},
		{"no id in Aerial", objects.Target{Domain: "acme.okta.com"}, nil,
			`the id of the org "acme.okta.com" is not known, so it can't be told whether it is the right one`, 0},
		{"no domain", objects.Target{Domain: "evil.example/x", OrgID: "00o1"}, nil, `"evil.example/x" is no domain`, 0},
		{"Classic", acme, reply(200, `{"id":"00o1","pipeline":"v1"}`), "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t).on(zonesPath, reply(200, "[]"))
				if tt.who != nil {
					a.on("GET /.well-known/okta-organization", tt.who)
				}
				asked := 0
				c := newClient(t, a, func(o *Options) {
					credentials := o.Credentials
					o.Credentials = func(target objects.Target) (Credentials, error) {
						asked++
						return credentials(target)
					}
				})
				live, err := c.Read(t.Context(), tt.target, reads("networkZones"))
				if got := message(err); got != tt.err || len(a.calls) != tt.calls {
					t.Errorf("%d calls, %s", len(a.calls), got)
				}
				if tt.err == "" {
					if live.OrgID != "00o1" || live.Engine != "v1" {
						t.Errorf("%+v", live)
					}
					return
				}
				if asked > 0 || slices.ContainsFunc(a.auth, func(s string) bool { return s != "" }) {
					t.Errorf("asked for credentials %d times, sent %q", asked, a.auth)
				}
			})
		})
	}
}

// TestSignedAhead: for a declared service app, the token call is signed while the org is
// asked who it is, and nothing of it is sent to an org that is another one.
func TestSignedAhead(t *testing.T) {
	for _, id := range []string{acme.OrgID, "00o2"} {
		signed := make(chan struct{})
		a := newAPI(t).on(zonesPath, reply(200, "[]")).
			on("POST /oauth2/v1/token", reply(200, `{"token_type":"Bearer","access_token":"t","expires_in":3600}`)).
			on("GET /.well-known/okta-organization", func(w http.ResponseWriter, r *http.Request) {
				<-signed // else this waits for ever
				reply(200, fmt.Sprintf(`{"id":%q,"pipeline":"idx"}`, id))(w, r)
			})
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		key, err := auth.ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, a, func(o *Options) {
			o.Credentials = func(target objects.Target) (Credentials, error) {
				return Credentials{ClientID: target.ClientID, KeyID: "k", Key: func(context.Context) (auth.Key, error) {
					defer close(signed) // panics if it is signed twice
					return key, nil
				}}, nil
			}
		})
		target := acme
		target.ClientID = "0oa1"
		_, err = c.Read(t.Context(), target, reads("networkZones"))
		want := []string{"POST /oauth2/v1/token", "GET /api/v1/zones?limit=200"}
		if id != acme.OrgID {
			want = nil
		}
		var got []string
		for _, call := range a.sent() {
			method, rest, _ := strings.Cut(call, " ")
			path, _, _ := strings.Cut(rest, " ")
			got = append(got, method+" "+path)
		}
		if (err == nil) != (id == acme.OrgID) || !slices.Equal(got, want) {
			t.Errorf("%s: sent %q, %v", id, got, err)
		}
	}
}

// TestEngine: a kind that only orgs of another engine have is refused before anything
// else is sent.
func TestEngine(t *testing.T) {
	k := &objects.Kind{Name: "authenticators", API: objects.API{Engine: "idx"}}
	for pipeline, want := range map[string]string{
		"idx": "",
		"v1":  "authenticators is declared, which only orgs of the Identity Engine have, and this org is of the Classic Engine",
		"":    `authenticators is declared, which only orgs of the Identity Engine have, and this org is of the engine ""`,
	} {
		if got := message(checkEngine(pipeline, []*objects.Kind{k})); got != want {
			t.Errorf("%q: %s", pipeline, got)
		}
	}
}

// TestList: a list is read to its end, or not at all.
func TestList(t *testing.T) {
	type steps = []http.HandlerFunc
	page := func(body, after string) http.HandlerFunc { return reply(200, body, "Link", fmt.Sprintf(next, after)) }
	last := func(body string) http.HandlerFunc {
		return reply(200, body, "Link", `<http://acme.okta.com/api/v1/zones?limit=200>; rel="self"`)
	}
	var endless, barren steps
	for i := range maxPages + 1 {
		endless = append(endless, page(zones(i, 1), fmt.Sprint(i)))
		barren = append(barren, page("[]", fmt.Sprint(i)))
	}
	for _, tt := range []struct {
		name  string
		steps steps
		n     int
		err   string
	}{
		{"empty", steps{last("[]")}, 0, ""},
		{"one page", steps{last(zones(0, 3))}, 3, ""},
		{"three pages", steps{page(zones(0, 200), "a"), page(zones(200, 200), "b"), last(zones(400, 7))}, 407, ""},
		{"a next page beside one that isn't full, and empty", steps{page(zones(0, 3), "a"), last("[]")}, 3, ""},
		{"an empty page between", steps{page(zones(0, 3), "a"), page("[]", "b"), last(zones(3, 1))}, 4, ""},
		{"an edge 404", steps{reply(404, edge), last(zones(0, 3))}, 3, ""},
		{"an edge 404 between", steps{page(zones(0, 3), "a"), reply(404, edge), reply(404, edge), last(zones(3, 3))}, 6, ""},
		{"a lock", steps{reply(423, refusal("E0000239", "Policy priorities are being reconciled")), last(zones(0, 3))}, 3, ""},
		{"a limit without a wait", steps{reply(429, refusal("E0000047", "API call exceeded rate limit due to too many requests."),
			"X-Rate-Limit-Limit", "100", "X-Rate-Limit-Remaining", "0", "X-Rate-Limit-Reset", "946684830"), last(zones(0, 3))}, 3, ""},
		{"cut and whole", steps{cut, last(zones(0, 3))}, 3, ""},
		{"broken and whole", steps{hangUp, reply(502, "<html>"), last(zones(0, 3))}, 3, ""},

		{"null", steps{last("null")}, 0, "the answer is null instead of a list"},
		{"an object", steps{last("{}")}, 0, "200 with an unreadable body: it is of type object (tried 7 times)"},
		{"nothing", steps{last("")}, 0, "200 with an unreadable body: it is empty (tried 7 times)"},
		{"HTML", steps{reply(200, "<html>", "Content-Type", "text/html")}, 0, `200 with an unreadable body: it is "text/html", not JSON (tried 7 times)`},
		{"cut", steps{cut}, 0, "200 with an unreadable body: unexpected EOF (tried 7 times)"},
		{"a null among them", steps{last(`[null]`)}, 0, "an object has no id"},
		{"no id", steps{last(`[{"name":"a"}]`)}, 0, "an object has no id"},
		{"an id that is a number", steps{last(`[{"id":7}]`)}, 0, "an object has no id"},
		{"an id that is a path", steps{last(`[{"id":".."}]`)}, 0, "an object has no id"},
		{"an id twice", steps{last(`[{"id":"a"},{"id":"a"}]`)}, 0, `the id "a" is on the list twice`},
		{"an id twice, on two pages", steps{page(zones(0, 2), "a"), last(zones(1, 2))}, 0, `page 2: the id "nzo1" is on the list twice`},
		{"a circle", steps{page(zones(0, 1), "a"), page("[]", "a")}, 0, "page 2: the pages go in circles: the next one was read before"},
		{"nothing new", barren, 0, "page 3: the pages go in circles: 3 in a row brought nothing"},
		{"no end", endless, 0, "page 1000: there is no end to it: gave up after 1000 pages"},
		{"a page gone", steps{page(zones(0, 1), "a"), reply(404, refusal("E0000007", "Not found"))}, 0, "page 2: 404 E0000007 Not found (errorId oaeE0000007)"},
		{"another host", steps{reply(200, "[]", "Link", `<https://evil.example/api/v1/zones?after=x>; rel="next"`)}, 0,
			`the next page is on "https://evil.example", not on "http://acme.okta.com", and is not followed`},
		{"another list", steps{reply(200, "[]", "Link", `</api/v1/users?after=x>; rel="next"`)}, 0,
			`the next page is one of "/api/v1/users", not of "/api/v1/zones", and is not followed`},
		{"a damaged link", steps{reply(200, "[]", "Link", `<http://acme`)}, 0, "malformed Link header: a URL has no closing >"},
		{"forbidden", steps{reply(403, refusal("E0000006", "You do not have permission"))}, 0, "403 E0000006 You do not have permission (errorId oaeE0000006)"},
		{"no feature", steps{reply(401, refusal("E0000015", "You do not have permission to access the feature you are requesting"))}, 0,
			"401 E0000015 You do not have permission to access the feature you are requesting (errorId oaeE0000015)"},
		{"locked for good", steps{reply(423, refusal("E0000239", "Policy priorities are being reconciled"))}, 0,
			"423 E0000239 Policy priorities are being reconciled (errorId oaeE0000239) (tried 7 times)"},
		{"redirected", steps{reply(302, "", "Location", "https://evil.example/")}, 0, `302 redirected to "https://evil.example"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t).on(zonesPath, tt.steps...)
				live, err := newClient(t, a, func(o *Options) { o.Share = 100 }).Read(t.Context(), acme, reads("networkZones"))
				want := tt.err
				if want != "" {
					want = "reading networkZones: " + want
				}
				if got := message(err); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if err == nil && len(live.Objects) != tt.n || err != nil && live != nil {
					t.Errorf("%d objects", len(live.Objects))
				}
			})
		})
	}
}

// TestHints: each refusal says what to do, and names the config's keys.
func TestHints(t *testing.T) {
	for _, tt := range []struct {
		answer http.HandlerFunc
		hint   string
	}{
		{reply(401, refusal("E0000015", "no feature")), "the org lacks the feature that has these objects: ask Okta for it, or don't declare any for this org"},
		{reply(401, refusal("E0000011", "Invalid token provided")), "the org refused the credentials: check orgs.auth, and that the service app or the token is of this org and active"},
		{reply(403, refusal("E0000006", "no")), "the service app needs the scope okta.networkZones.read and an admin role that covers the object"},
		{reply(404, edge), "no such API is there: check orgs.url, and that the org is active"},
		{reply(423, "{}"), "Okta is still busy with an earlier change: run again in a minute"},
		{reply(307, "{}", "Location", "https://b.example"), "redirects are never followed: check orgs.url, and proxies on the way"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := newClient(t, newAPI(t).on(zonesPath, tt.answer), nil).Read(t.Context(), acme, reads("networkZones"))
			if got := text.Hint(err); got != tt.hint {
				t.Errorf("%v: %s", err, got)
			}
		})
	}
}

// TestReason: what goes into a plan is the same each time, and Okta's id apart from it.
func TestReason(t *testing.T) {
	forbidden := reply(403, refusal("E0000006", "You do not have permission"))
	a := newAPI(t).on(zonesPath, reply(200, "[]")).on("GET /api/v1/groups", forbidden).on("GET /api/v1/behaviors", forbidden)
	c := newClient(t, a, nil)
	for range 20 {
		_, err := c.Read(t.Context(), acme, reads("networkZones", "groups", "behaviors"))
		reason, id := Reason(err)
		if reason != "reading groups: 403 E0000006 You do not have permission" || id != "errorId oaeE0000006" {
			t.Fatalf("%s, %s", reason, id)
		}
	}
}

// TestNames: ids become names by the lists that were read; those that lead nowhere stay.
func TestNames(t *testing.T) {
	rule := func(id, name string, priority int) string {
		return fmt.Sprintf(`{"id":%q,"name":%q,"priority":%d,"status":"ACTIVE","type":"SIGN_ON","system":false,
			"conditions":{"network":{"connection":"ZONE","include":["nzo1","nzo9"]}},"actions":{"signon":{"access":"ALLOW"}}}`, id, name, priority)
	}
	policy := func(id, name string, priority int, groups ...string) string {
		return fmt.Sprintf(`{"id":%q,"name":%q,"priority":%d,"status":"ACTIVE","type":"OKTA_SIGN_ON","system":%v,"conditions":{"people":{"groups":{"include":%s}}}}`,
			id, name, priority, name == "Default Policy", asJSON(groups))
	}
	a := newAPI(t).
		on(zonesPath, reply(200, zones(1, 1))).
		on("GET /api/v1/groups", func(w http.ResponseWriter, r *http.Request) { // in no particular order
			list := `[{"id":"00g1","type":"OKTA_GROUP","profile":{"name":"Contractors"}},{"id":"00g2","type":"APP_GROUP","profile":{"name":"Contractors"}}]`
			if strings.Contains(r.URL.RawQuery, "BUILT_IN") {
				list = `[{"id":"00g3","type":"BUILT_IN","profile":{"name":"Everyone"}},{"id":"00g1","type":"OKTA_GROUP","profile":{"name":"Contractors"}}]`
			}
			reply(200, list)(w, r)
		}).
		on("GET /api/v1/policies", reply(200, "["+policy("00p2", "Default Policy", 2, "00g3")+","+policy("00p1", "Contractors", 1, "00g1", "00g2")+
			`,{"id":"00p3","name":"Password","type":"PASSWORD"}]`)).
		on("GET /api/v1/policies/00p1/rules", reply(200, "["+rule("0pr2", "Second", 2)+","+rule("0pr1", "First", 1)+"]"))
	what := reads("networkZones", "groups", "policies:OKTA_SIGN_ON")
	what.BuiltIn = true
	policies := objects.ByName("policies")
	what.Parents[objects.Ref{Kind: policies, Type: "OKTA_SIGN_ON", Name: "Contractors"}] = true
	c := newClient(t, a, func(o *Options) { o.CallsPerOrg = 1 })
	live, err := c.Read(t.Context(), acme, what)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range live.Objects {
		s := fmt.Sprintf("%s %s %s %s", o.Ref.Kind.Name, o.Ref.Object(), o.ID, o.ParentID)
		if o.System {
			s += " system"
		}
		switch o.Ref.Kind.Name {
		case "policies":
			s += " " + asJSON(at(o.Body, "conditions.people.groups.include"))
		case "policyRules":
			s += " " + asJSON(at(o.Body, "conditions.network.include"))
		}
		got = append(got, s)
	}
	want := []string{
		"networkZones Zone 1 nzo1 ",
		"groups Contractors 00g1 ",
		"groups Everyone 00g3  system",
		`policies Contractors 00p1  ["00g2","Contractors"]`,
		`policies Default Policy 00p2  system ["Everyone"]`,
		`policyRules Contractors/First 0pr1 00p1 ["Zone 1","nzo9"]`,
		`policyRules Contractors/Second 0pr2 00p1 ["Zone 1","nzo9"]`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	calls := a.sent()
	slices.Sort(calls)
	if d := cmp.Diff([]string{
		`GET /api/v1/groups?filter=type+eq+%22BUILT_IN%22&limit=200`,
		`GET /api/v1/groups?filter=type+eq+%22OKTA_GROUP%22&limit=200`,
		`GET /api/v1/policies/00p1/rules`,
		`GET /api/v1/policies?type=OKTA_SIGN_ON`,
		`GET /api/v1/zones?limit=200`,
	}, calls); d != "" {
		t.Error(d)
	}
	if c.Calls() != int64(len(calls))+1 {
		t.Errorf("counted %d calls", c.Calls())
	}
}

// TestSecretsDropped: what the table calls a secret is gone as soon as it is decoded.
func TestSecretsDropped(t *testing.T) {
	fields := []objects.Field{
		{Name: "key", Secret: true},
		{Name: "channel", Type: objects.Mapping, Fields: []objects.Field{{Name: "value", Secret: true}}},
		{Name: "headers", Type: objects.List, Elem: &objects.Field{Type: objects.Mapping, Fields: []objects.Field{{Name: "value", Secret: true}}}},
	}
	o := raw{
		"id": "1", "key": "s", "channel": raw{"uri": "u", "value": "s"},
		"headers": []any{raw{"key": "k", "value": "s"}, "odd", nil}, "unknown": raw{"value": "stays"},
	}
	dropSecrets(fields, o)
	want := raw{"id": "1", "channel": raw{"uri": "u"}, "headers": []any{raw{"key": "k"}, "odd", nil}, "unknown": raw{"value": "stays"}}
	if d := cmp.Diff(want, o); d != "" {
		t.Error(d)
	}
	dropSecrets(fields, nil)
	dropSecrets(fields, raw{"channel": "odd", "headers": raw{"value": 1}})
}

// TestFindApps: a list of apps that isn't whole is an error: what is not on it would be
// made a second time.
func TestFindApps(t *testing.T) {
	type answers = []http.HandlerFunc
	next := func(body, after string) http.HandlerFunc {
		return reply(200, body, "Link", `<http://acme.okta.com/api/v1/apps?after=`+after+`>; rel="next"`)
	}
	app := func(id string) string { return fmt.Sprintf(`[{"id":%q,"label":"reconciler","status":"ACTIVE"}]`, id) }
	for name, tt := range map[string]struct {
		steps answers
		n     int
		err   string
	}{
		"whole":       {answers{next("[]", "a"), next(app("0oa1"), "b"), reply(200, app("0oa2"))}, 2, ""},
		"null":        {answers{reply(200, "null")}, 0, "listing the org's apps: the answer is null instead of a list"},
		"null, later": {answers{next("[]", "a"), reply(200, "null")}, 0, "listing the org's apps: the answer is null instead of a list"},
		"a circle":    {answers{next(app("0oa1"), "a")}, 0, "listing the org's apps: the pages go in circles: the next one was read before"},
		"another host": {answers{reply(200, "[]", "Link", `<https://evil.example/api/v1/apps>; rel="next"`)}, 0,
			`listing the org's apps: the next page is on "https://evil.example", not on "http://acme.okta.com", and is not followed`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, newAPI(t).on("GET /api/v1/apps", tt.steps...), nil)
				apps, err := c.Apps(acme, Credentials{
					Key: func(context.Context) (auth.Key, error) { return auth.Key{}, nil }, Token: func() (string, error) { return "00token", nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				found, err := apps.Find(t.Context(), "reconciler")
				if message(err) != tt.err || len(found) != tt.n {
					t.Error(found, err)
				}
			})
		})
	}
}

// TestNoWayIn: why there are no credentials is the error, and nothing is sent with none.
func TestNoWayIn(t *testing.T) {
	a := newAPI(t)
	c := newClient(t, a, func(o *Options) {
		o.Credentials = func(objects.Target) (Credentials, error) {
			return Credentials{}, errors.New("no client id and no token")
		}
	})
	_, err := c.Read(t.Context(), acme, reads("networkZones"))
	if message(err) != "no client id and no token" || len(a.sent()) > 0 {
		t.Error(err, a.sent())
	}
}

// TestReadEnds: a read ends at once with its context, wherever it is.
func TestReadEnds(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"waiting for an answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"waiting to try again":  reply(503, ""),
		"waiting for the limit": reply(429, "{}", "X-Rate-Limit-Limit", "10", "X-Rate-Limit-Remaining", "0", "X-Rate-Limit-Reset", "946684860"),
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			start := time.Now()
			_, err := newClient(t, newAPI(t).on(zonesPath, h), nil).Read(ctx, acme, reads("networkZones"))
			if !errors.Is(err, context.Canceled) || time.Since(start) > time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
		})
	}
}

// TestOrgsApart: an org that fails takes nothing from another one: not its retries, not
// its endpoints, not its limits.
func TestOrgsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := newAPI(t).on(zonesPath, reply(503, ""))
		good := newAPI(t).on(zonesPath, reply(503, ""), reply(200, zones(0, 2)))
		good.id = "00o2"
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "bad.okta.com" {
				bad.ServeHTTP(w, r)
			} else {
				good.ServeHTTP(w, r)
			}
		}), nil)
		for range 20 { // its retries are used up
			if _, err := c.Read(t.Context(), objects.Target{Domain: "bad.okta.com", OrgID: "00o1"}, reads("networkZones")); err == nil {
				t.Fatal("read")
			}
		}
		live, err := c.Read(t.Context(), objects.Target{Domain: "good.okta.com", OrgID: "00o2"}, reads("networkZones"))
		if err != nil || len(live.Objects) != 2 {
			t.Error(err)
		}
	})
}

// TestRecent: what is remembered of orgs has a bound, and the oldest goes.
func TestRecent(t *testing.T) {
	r := newRecent[int, string](2)
	r.put(1, "a")
	r.put(2, "b")
	r.get(1)
	r.put(3, "c")
	var there []string
	for i := range 4 {
		if v, ok := r.get(i); ok {
			there = append(there, v)
		}
	}
	if got := strings.Join(there, ""); got != "ac" || len(r.byKey) != 2 || r.order.Len() != 2 {
		t.Error(got)
	}
}
