package org

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/text"
)

// interfere lets h see each call of the org whose METHOD PATH has the suffix, counted
// from 1; h may answer it.
func (f *fleet) interfere(suffix string, h func(n int, w http.ResponseWriter, r *http.Request) bool) {
	n := 0
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.Method+" "+r.URL.Path, suffix) {
			return false
		}
		f.mu.Lock()
		n++
		now := n
		f.mu.Unlock()
		return h(now, w, r)
	}
}

// times answers the first calls by h, and lets the others through.
func times(most int, h http.HandlerFunc) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n > most {
			return false
		}
		h(w, r)
		return true
	}
}

const always = 1 << 30

// effective carries a call out, and loses the answer.
func (f *fleet) effective(w http.ResponseWriter, r *http.Request) {
	f.sim.ServeHTTP(discard{http.Header{}}, r)
	panic(http.ErrAbortHandler)
}

// discard is a ResponseWriter that nobody reads.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// put changes something behind the client's back.
func (f *fleet) put(kind, object string) {
	f.t.Helper()
	if err := f.sim.Objects(f.target(0).Domain).Put(kind, object, "jane@acme.example"); err != nil {
		f.t.Fatal(err)
	}
}

// status returns the status of an object.
func (f *fleet) status(kind, key string) any {
	o, ok := f.sim.Objects(f.target(0).Domain).Get(kind, key)
	if !ok {
		return nil
	}
	return o["status"]
}

const (
	staff      = `{"profile":{"name":"Staff"}}`
	byType     = `{"name":"By type","status":"ACTIVE","conditions":{"expression":{"type":"urn:okta:expression:1.0","value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`
	byTypeNew  = `groupRules {"name":"By type","conditions":{"expression":{"value":"false"}}}`
	offices    = `{"name":"Offices","type":"IP","gateways":[{"type":"CIDR","value":"198.51.100.0/24"}]}`
	officesNew = `networkZones {"name":"Offices","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}]}`
)

// ruleFleet has an ACTIVE group rule, and a plan that changes its expression.
func ruleFleet(t *testing.T) (f *fleet, plan []objects.Difference) {
	f = newFleet(t, simulatortest.Config{}, nil)
	f.put("groups", staff)
	f.put("groupRules", byType)
	return f, f.compare(f.target(0), declare(t, byTypeNew))
}

var locked = reply(423, refusal("E0000239", "Policy priorities are being reconciled"))

// TestGroupRule: a rule is switched off, written and switched on again, whatever of it
// has to be tried again; and if that fails for good it is on again as it was, or the
// error says that it isn't.
func TestGroupRule(t *testing.T) {
	invalid := reply(400, refusal("E0000001", "Api validation failed: expression"))
	const (
		off   = "/lifecycle/deactivate"
		on    = "/lifecycle/activate"
		write = "PUT rule"
	)
	for _, tt := range []struct {
		name, at string
		h        http.HandlerFunc
		times    int
		err      string
		writes   []string
		status   string
		expr     string
		open     bool // a step
	}{
		{"plain", "", nil, 0, "", []string{off, write, on}, "ACTIVE", "false", false},
		{"locked when switched off", "deactivate", locked, 2, "", []string{off, off, off, write, on}, "ACTIVE", "false", false},
		{"locked when written", "PUT", locked, 2, "", []string{off, write, write, write, on}, "ACTIVE", "false", false},
		{"locked when switched on", "/activate", locked, 2, "", []string{off, write, on, on, on}, "ACTIVE", "false", false},
		{"edge 404s", "PUT", reply(404, edge), 2, "", []string{off, write, write, write, on}, "ACTIVE", "false", false},
		{"not set up yet", "PUT", reply(409, refusal("E0000249", "Group rules are being set up")), 2, "", []string{off, write, write, write, on}, "ACTIVE", "false", false},
		{"failing and repeated", "PUT", reply(500, "{}"), 1, "", []string{off, write, write, on}, "ACTIVE", "false", false},
		{"refused when switched off", "deactivate", reply(403, refusal("E0000006", "No permission")), always,
			"deactivating it: 403 E0000006 No permission (errorId oaeE0000006)", []string{off}, "ACTIVE", "true", false},
		{"refused when written", "PUT", invalid, always,
			"400 E0000001 Api validation failed: expression (errorId oaeE0000001); it is ACTIVE again as it was",
			[]string{off, write, on}, "ACTIVE", "true", false},
		{"refused when switched on, then not", "/activate", reply(403, refusal("E0000006", "No permission")), 1,
			"it is written, but setting status to \"ACTIVE\": 403 E0000006 No permission (errorId oaeE0000006); it is ACTIVE again as it was",
			[]string{off, write, on, on}, "ACTIVE", "false", false},
		{"refused when switched on, for good", "/activate", reply(403, refusal("E0000006", "No permission")), always,
			"it is written, but setting status to \"ACTIVE\": 403 E0000006 No permission (errorId oaeE0000006); it was ACTIVE and is INACTIVE now: activating it again failed: 403 E0000006 No permission (errorId oaeE0000006)",
			[]string{off, write, on, on}, "INACTIVE", "false", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, plan := ruleFleet(t)
				f.writes()
				f.before = func(w http.ResponseWriter, r *http.Request) bool { return false }
				if tt.at != "" {
					n := 0
					f.before = func(w http.ResponseWriter, r *http.Request) bool {
						hit := strings.HasSuffix(r.URL.Path, tt.at) || r.Method == tt.at
						if hit {
							n++
						}
						if hit && n <= tt.times {
							tt.h(w, r)
							return true
						}
						return false
					}
				}
				_, err := f.apply(f.target(0), plan, yes)
				want := tt.err
				if want != "" {
					want = `update-object group rule "By type": ` + want
				}
				if got := message(err); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				var writes []string
				for _, w := range f.writes() {
					if strings.HasPrefix(w, "PUT") {
						w = write
					}
					writes = append(writes, w[max(0, strings.LastIndex(w, "/lifecycle")):])
				}
				if d := cmp.Diff(tt.writes, writes); d != "" {
					t.Error(d)
				}
				rule, _ := f.sim.Objects(f.target(0).Domain).Get("groupRules", "By type")
				if rule["status"] != tt.status || at(rule, "conditions.expression.value") != tt.expr {
					t.Errorf("the rule is %v", rule)
				}
				if open := len(f.steps.open) > 0; open != tt.open {
					t.Errorf("open steps: %v", f.steps.open)
				}
			})
		})
	}
}

// TestKilled: what a process that was killed has left switched off is remembered, and
// with its status the change is finished.
func TestKilled(t *testing.T) {
	for _, tt := range []struct {
		name, at string // the call at which the process is killed
		after    bool   // it takes effect before
	}{
		{"before it is off", "/deactivate", false},
		{"after it is off", "/deactivate", true},
		{"before it is written", "PUT", false},
		{"after it is written", "PUT", true},
		{"before it is on", "/activate", false},
		{"after it is on", "/activate", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, plan := ruleFleet(t)
				target := f.target(0)
				dead := false
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					switch {
					case dead:
						reply(403, "{}")(w, r)
						return true
					case !strings.HasSuffix(r.URL.Path, tt.at) && r.Method != tt.at:
						return false
					}
					dead = true
					if tt.after {
						f.effective(w, r)
					}
					panic(http.ErrAbortHandler)
				}
				if _, err := f.apply(target, plan, yes); err == nil {
					t.Fatal("it was not killed")
				}
				f.before = nil
				if !f.steps.open[target.OrgID+" groupRules "+plan[0].ID] {
					t.Fatalf("steps: %v", f.steps.open)
				}
				f.converge(target, declare(t, `groupRules {"name":"By type","status":"ACTIVE","conditions":{"expression":{"value":"false"}}}`))
				if now := f.status("groupRules", "By type"); now != "ACTIVE" {
					t.Errorf("it is %v", now)
				}
			})
		})
	}
}

// TestKilledNew: the same for a new rule, which Okta makes INACTIVE.
func TestKilledNew(t *testing.T) {
	for _, at := range []string{"/groups/rules", "/activate"} {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, simulatortest.Config{}, nil)
				target := f.target(0)
				f.put("groups", staff)
				d := declare(t, `groupRules {"name":"By type","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`)
				dead := false
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					switch {
					case dead:
						reply(403, "{}")(w, r)
						return true
					case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, at):
						return false
					}
					dead = true
					if after {
						f.effective(w, r)
					}
					panic(http.ErrAbortHandler)
				}
				if _, err := f.apply(target, f.compare(target, d), yes); err == nil {
					t.Fatal("it was not killed")
				}
				f.before = nil
				if !f.steps.open[target.OrgID+" groupRules name:By type"] {
					t.Errorf("%s: steps: %v", at, f.steps.open)
				}
				d.Objects[0].Body["status"] = "ACTIVE"
				f.converge(target, d)
				if now := f.status("groupRules", "By type"); now != "ACTIVE" {
					t.Errorf("%s: it is %v", at, now)
				}
			})
		}
	}
}

// TestKilledNewLate: a new rule that a killed process left INACTIVE stays remembered if
// the plan was made before the list had it.
func TestKilledNewLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		target := f.target(0)
		f.put("groups", staff)
		plan := f.compare(target, declare(t, `groupRules {"name":"By type","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`))
		f.put("groupRules", `{"name":"By type","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`)
		if err := f.steps.Begin(target.OrgID, "groupRules", "name:By type"); err != nil {
			t.Fatal(err)
		}
		var moved *objects.MovedError
		if _, err := f.apply(target, plan, yes); !errors.As(err, &moved) {
			t.Error(err)
		}
		if !f.steps.open[target.OrgID+" groupRules name:By type"] {
			t.Error("it is forgotten")
		}
	})
}

// TestStepsFirst: where a step can't be remembered, nothing is switched off.
func TestStepsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, plan := ruleFleet(t)
		f.steps.err = errors.New("the disk is full")
		f.writes()
		if _, err := f.apply(f.target(0), plan, yes); !errors.Is(err, f.steps.err) || len(f.writes()) > 0 {
			t.Error(err)
		}
	})
}

// TestMaySend: it is asked before each send, and nothing is sent without it but what
// takes a half-made change back.
func TestMaySend(t *testing.T) {
	frozen := errors.New("frozen")
	for allowed := range 4 {
		synctest.Test(t, func(t *testing.T) {
			f, plan := ruleFleet(t)
			f.writes()
			asked := 0
			_, err := f.apply(f.target(0), plan, func(context.Context) error {
				if asked++; asked > allowed {
					return frozen
				}
				return nil
			})
			writes := f.writes()
			want := []int{0, 2, 3, 3}[allowed] // the last one takes the first one back, or is part of the change
			if (err != nil) != (allowed < 3) || err != nil && !errors.Is(err, frozen) || len(writes) != want {
				t.Errorf("%d allowed: %v, %v", allowed, writes, err)
			}
			if now := f.status("groupRules", "By type"); now != "ACTIVE" || len(f.steps.open) > 0 {
				t.Errorf("%d allowed: it is %v, %v", allowed, now, f.steps.open)
			}
		})
	}
}

// TestGate: between the look and the send there is nothing but maySend, and another
// send is preceded by another look.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		f.put("networkZones", offices)
		plan := f.compare(f.target(0), declare(t, officesNew))
		f.interfere("PUT /org/"+f.target(0).Domain+"/api/v1/zones/"+plan[0].ID, times(1, reply(503, "")))
		f.writes()
		_, err := f.apply(f.target(0), plan, func(context.Context) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.sent = append(f.sent, "asked")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		zone := "/api/v1/zones/" + plan[0].ID
		want := []string{"GET /.well-known/okta-organization", "POST /oauth2/v1/token", "GET " + zone, "asked", "PUT " + zone, "GET " + zone, "asked", "PUT " + zone, "GET " + zone}
		if d := cmp.Diff(want, f.sent); d != "" {
			t.Error(d)
		}
	})
}

// TestMoved: what somebody else has changed since the plan was made isn't written over,
// at the first send nor at another one.
func TestMoved(t *testing.T) {
	other := strings.Replace(offices, "198.51.100.0", "203.0.113.0", 1)
	for _, again := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, simulatortest.Config{}, nil)
			f.put("networkZones", offices)
			plan := f.compare(f.target(0), declare(t, officesNew))
			f.writes()
			if again {
				f.interfere("PUT /org/"+f.target(0).Domain+"/api/v1/zones/"+plan[0].ID, times(1, func(w http.ResponseWriter, r *http.Request) {
					f.put("networkZones", other)
					reply(503, "")(w, r)
				}))
			} else {
				f.put("networkZones", other)
			}
			_, err := f.apply(f.target(0), plan, yes)
			var moved *objects.MovedError
			if !errors.As(err, &moved) {
				t.Error(err)
			}
			sent := len(f.writes())
			if again && sent != 1 || !again && sent != 0 {
				t.Errorf("%d sent", sent)
			}
			zone, _ := f.sim.Objects(f.target(0).Domain).Get("networkZones", "Offices")
			if !strings.Contains(asJSON(zone), "203.0.113.0") {
				t.Errorf("%v", zone)
			}
		})
	}
}

// TestGone: an object that is to be changed and isn't there any more is no success, and
// one that is to be deleted is.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		f.put("networkZones", offices)
		change := f.compare(f.target(0), declare(t, officesNew))
		deletion := f.compare(f.target(0), declare(t, `networkZones {"name":"Offices","absent":true}`))
		if err := f.sim.Objects(f.target(0).Domain).Delete("networkZones", "Offices", "jane@acme.example"); err != nil {
			t.Fatal(err)
		}
		f.writes()
		var moved *objects.MovedError
		if _, err := f.apply(f.target(0), change, yes); !errors.As(err, &moved) {
			t.Error(err)
		}
		if _, err := f.apply(f.target(0), deletion, yes); !errors.Is(err, objects.ErrAlready) {
			t.Error(err)
		}
		if w := f.writes(); len(w) > 0 {
			t.Error(w)
		}
	})
}

// TestLostAnswer: a write the answer to which is lost is looked for. A creation is not
// sent again, and there is one object in the end.
func TestLostAnswer(t *testing.T) {
	for _, tt := range []struct {
		name, declared, at string
		writes             int
	}{
		{"creation", `networkZones {"name":"New","type":"IP","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}]}`, "POST /api/v1/zones", 1},
		{"change", officesNew, "PUT /api/v1/zones/", 1},
		{"status", `networkZones {"name":"Offices","status":"INACTIVE"}`, "POST /api/v1/zones/", 1},
		{"deletion", `networkZones {"name":"Offices","absent":true}`, "DELETE /api/v1/zones/", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, simulatortest.Config{}, nil)
				f.put("networkZones", offices)
				d := declare(t, tt.declared)
				plan := f.compare(f.target(0), d)
				f.writes()
				n := 0
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/org/"+f.target(0).Domain)
					if !strings.HasPrefix(call, tt.at) {
						return false
					}
					if n++; n == 1 {
						f.effective(w, r)
					}
					return false
				}
				if _, err := f.apply(f.target(0), plan, yes); err != nil {
					t.Error(err)
				}
				if w := f.writes(); len(w) != tt.writes {
					t.Error(w)
				}
				if left := f.compare(f.target(0), d); len(left) > 0 {
					t.Error(left)
				}
			})
		})
	}
}

// TestUnknownCreation: a creation that may have happened, and that the list doesn't
// have, is not sent again; the error says that its outcome is open.
func TestUnknownCreation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		plan := f.compare(f.target(0), declare(t, "groups "+staff))
		f.interfere("POST /org/"+f.target(0).Domain+"/api/v1/groups", times(always, reply(502, "<html>")))
		f.writes()
		_, err := f.apply(f.target(0), plan, yes)
		var uncertain *rest.UncertainError
		if !errors.As(err, &uncertain) || len(f.writes()) != 1 {
			t.Error(err)
		}
	})
}

// TestCreationAgain: a creation that Okta didn't look at is sent again, after another
// look; if somebody else has made the object meanwhile, it isn't.
func TestCreationAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		h     http.HandlerFunc
		other string
		err   string
	}{
		{"locked", locked, "", ""},
		{"edge 404", reply(404, edge), "", ""},
		{"limited", reply(429, "{}"), "", ""},
		{"made meanwhile", locked, staff, "already in this state"},
		{"made otherwise", locked, `{"profile":{"name":"Staff","description":"other"}}`,
			`profile.description is "other", and was not there when the change was planned`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, simulatortest.Config{}, nil)
				plan := f.compare(f.target(0), declare(t, `groups {"profile":{"name":"Staff","description":null}}`))
				f.interfere("POST /org/"+f.target(0).Domain+"/api/v1/groups", times(1, func(w http.ResponseWriter, r *http.Request) {
					if tt.other != "" {
						f.put("groups", tt.other)
					}
					tt.h(w, r)
				}))
				_, err := f.apply(f.target(0), plan, yes)
				if got := message(err); got != tt.err && !strings.HasPrefix(got, `create-object group "Staff": `+tt.err) || (err != nil) != (tt.err != "") {
					t.Error(got)
				}
				all, _ := f.sim.Objects(f.target(0).Domain).List("groups")
				n := 0
				for _, g := range all {
					if at(g, "profile.name") == "Staff" {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%d groups", n)
				}
			})
		})
	}
}

// TestNewObjectLate: a new object that can't be read for some seconds is waited for.
func TestNewObjectLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		plan := f.compare(f.target(0), declare(t, "groups "+staff))
		start := time.Now()
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/groups/") && time.Since(start) < 7*time.Second {
				reply(404, refusal("E0000007", "Not found: Resource not found"))(w, r)
				return true
			}
			return false
		}
		if _, err := f.apply(f.target(0), plan, yes); err != nil {
			t.Error(err)
		}
	})
}

// TestNewNameLate: what is made may be named at once, also if no list has it yet.
func TestNewNameLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		d := declare(t, "groups "+staff, `policies/OKTA_SIGN_ON {"name":"P","conditions":{"people":{"groups":{"include":["Staff"]}}}}`,
			`policyRules/OKTA_SIGN_ON/P {"name":"R","actions":{"signon":{"access":"ALLOW"}}}`)
		plan := f.compare(f.target(0), d)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			late := r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, "/groups") || strings.HasSuffix(r.URL.Path, "/policies"))
			if late {
				reply(200, "[]")(w, r)
			}
			return late
		}
		if _, err := f.apply(f.target(0), plan, yes); err != nil {
			t.Error(err)
		}
		f.before = nil
		if left := f.compare(f.target(0), d); len(left) > 0 {
			t.Error(left)
		}
	})
}

// TestOneWriter: two editors of one org never write at once.
func TestOneWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		target := f.target(0)
		f.put("networkZones", offices)
		plans := [][]objects.Difference{
			f.compare(target, declare(t, "groups "+staff)),
			f.compare(target, declare(t, officesNew)),
		}
		var now, most atomic.Int32
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/token") {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
			}
			return false
		}
		var wg sync.WaitGroup
		for _, plan := range plans {
			wg.Go(func() {
				if _, err := f.apply(target, plan, yes); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 {
			t.Errorf("%d writes at once", most.Load())
		}
	})
}

// TestTokensKept: tokens are kept from one read to the next, and by set of scopes.
func TestTokensKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		for range 3 {
			if _, err := f.Read(t.Context(), f.target(0), reads("networkZones", "groups")); err != nil {
				t.Fatal(err)
			}
		}
		if n := f.sim.OrgRequests(f.target(0).Domain); n["TOKEN"] != 1 || n["GET"] != 9 || f.Calls() != 10 {
			t.Error(n, f.Calls())
		}
	})
}

// TestIgnored: what Okta accepts and doesn't do is an error.
func TestIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		f.put("networkZones", offices)
		plan := f.compare(f.target(0), declare(t, officesNew))
		f.interfere("PUT /org/"+f.target(0).Domain+"/api/v1/zones/"+plan[0].ID, times(always, reply(200, offices)))
		_, err := f.apply(f.target(0), plan, yes)
		const want = `update-object network zone "Offices": the change was accepted, and does not read back as written: it is as it was before`
		if message(err) != want {
			t.Error(err)
		}
	})
}

// TestRefusedWrite: the error has what Okta says, its causes and its id, and a hint that
// names the scope.
func TestRefusedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		f.put("networkZones", offices)
		plan := f.compare(f.target(0), declare(t, officesNew))
		put := "PUT /org/" + f.target(0).Domain + "/api/v1/zones/" + plan[0].ID
		f.interfere(put, times(always, reply(400,
			`{"errorCode":"E0000001","errorSummary":"Api validation failed: gateways","errorId":"oae1","errorCauses":[{"errorSummary":"gateways: too many"}]}`)))
		_, err := f.apply(f.target(0), plan, yes)
		if got := message(err); !strings.HasSuffix(got, "400 E0000001 Api validation failed: gateways: gateways: too many (errorId oae1)") {
			t.Error(got)
		}
		f.interfere(put, times(always, reply(403, refusal("E0000006", "no"))))
		_, err = f.apply(f.target(0), plan, yes)
		if got := text.Hint(err); got != "the service app needs the scope okta.networkZones.manage and an admin role that covers the object" {
			t.Error(got)
		}
	})
}

// TestLacksFeature: where Okta refuses or ignores fields that only some orgs have, the hint
// names what these need.
func TestLacksFeature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		plan := f.compare(f.target(0), declare(t, `policies/OKTA_SIGN_ON {"name":"P","conditions":{"people":{"groups":{"include":["Everyone"]}}}}`,
			`policyRules/OKTA_SIGN_ON/P {"name":"Risky","conditions":{"riskScore":{"level":"HIGH"}},"actions":{"signon":{"access":"DENY","primaryFactor":"PASSWORD_IDP"}}}`))
		_, err := f.apply(f.target(0), plan, yes)
		if got := message(err); !strings.Contains(got, "400 E0000001") || !strings.Contains(got, "riskScore") {
			t.Error(got)
		}
		const want = "actions.signon.primaryFactor needs Identity Engine, and conditions.riskScore needs risk scoring: ask Okta for that, or don't declare it for this org"
		if got := text.Hint(err); got != want {
			t.Errorf("hint %q", got)
		}
		plan = f.compare(f.target(0), declare(t, `policies/PASSWORD {"name":"Default Policy","system":true,"settings":{"password":{"breachedProtection":{"expireAfterDays":0}}}}`))
		put := "PUT /org/" + f.target(0).Domain + "/api/v1/policies/" + plan[0].ID
		f.interfere(put, times(always, reply(200, "{}")))
		_, err = f.apply(f.target(0), plan, yes)
		if got := text.Hint(err); !strings.Contains(message(err), "does not read back as written") ||
			got != "settings.password.breachedProtection needs breached password protection: ask Okta for that, or don't declare it for this org" {
			t.Errorf("%v, hint %q", err, got)
		}
	})
}

// TestAmbiguousName: a name that leads to two objects, or to none, isn't written.
func TestAmbiguousName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := ruleFleet(t)
		d := declare(t, "groups "+`{"profile":{"name":"Late"}}`,
			`groupRules {"name":"By type","actions":{"assignUserToGroups":{"groupIds":["Late"]}}}`)
		plan := slices.DeleteFunc(f.compare(f.target(0), d), func(d objects.Difference) bool { return d.Op == objects.Create })
		_, err := f.apply(f.target(0), plan, yes)
		if got := message(err); !strings.Contains(got, `the org has no group "Late"`) || !strings.HasSuffix(got, "it is ACTIVE again as it was") {
			t.Error(got)
		}
		n := &known{names: map[string]string{}, ids: map[string][]string{}}
		n.add("1", "Late")
		n.add("2", "Late")
		n.add("2", "Late")
		k := objects.ByName("groups")
		e := &Editor{what: objects.Reads{Kinds: []*objects.Kind{k}}, known: map[*objects.Kind]*known{k: n}}
		if _, err := e.idOf(t.Context(), "groups", "Late"); message(err) != `2 objects are called "Late" among the org's groups: it can't be told which is meant` {
			t.Error(err)
		}
		n.remove("1")
		if id, err := e.idOf(t.Context(), "groups", "Late"); err != nil || id != "2" {
			t.Error(id, err)
		}
	})
}

// TestNumbersKept: numbers that nobody declares are sent back as they were read, also
// those that a float64 can't hold; one that is too large for any is an error.
func TestNumbersKept(t *testing.T) {
	group := func(description, badge string) string {
		return fmt.Sprintf(`{"id":"00g1","type":"OKTA_GROUP","profile":{"name":"Staff","description":%q,"badge":%s,"list":[12345678901234567890]}}`, description, badge)
	}
	for _, tt := range []struct{ badge, sent, err string }{
		{"9007199254740993", `"badge":9007199254740993`, ""},
		{"1e999", "", "an unreadable body"},
	} {
		synctest.Test(t, func(t *testing.T) {
			const list, one = "GET /api/v1/groups", "/api/v1/groups/00g1"
			before, after := group("old", tt.badge), group("new", tt.badge)
			a := newAPI(t).on(list, reply(200, "["+group("old", "1")+"]")).on("PUT "+one, reply(200, after))
			a.on("GET "+one, reply(200, before), reply(200, after))
			c := newClient(t, a, nil)
			live, err := c.Read(t.Context(), acme, reads("groups"))
			if err != nil {
				t.Fatal(err)
			}
			found, err := objects.Compare(declare(t, `groups {"profile":{"name":"Staff","description":"new"}}`), live)
			if err != nil || len(found.Differences) != 1 {
				t.Fatal(err, found)
			}
			e, err := c.Open(t.Context(), acme, found.Differences)
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Write(t.Context(), &found.Differences[0], yes)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatal(err)
			}
			for _, call := range a.sent() {
				if strings.HasPrefix(call, "PUT ") && (tt.sent == "" || !strings.Contains(call, tt.sent) || !strings.Contains(call, "[12345678901234567890]")) {
					t.Error(call)
				}
			}
		})
	}
}

// TestSystemKept: what Okta made is not deleted, whatever the plan says.
func TestSystemKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		live, err := f.Read(t.Context(), f.target(0), reads("networkZones"))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(live.Objects, func(o *objects.LiveObject) bool { return o.System })
		o := live.Objects[i]
		plan := []objects.Difference{{Op: objects.Delete, Ref: o.Ref, ID: o.ID, System: true}}
		f.writes()
		if _, err := f.apply(f.target(0), plan, yes); err == nil || !strings.Contains(err.Error(), "this network zone is one of Okta's own, and can't be deleted") || len(f.writes()) > 0 {
			t.Error(err)
		}
	})
}

// TestInvalidRule: a rule whose group is gone can only be deleted, and is, without being
// switched off; its successor has a new id.
func TestInvalidRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, plan := ruleFleet(t)
		o := f.sim.Objects(f.target(0).Domain)
		if err := o.Delete("groups", "Staff", "jane@acme.example"); err != nil {
			t.Fatal(err)
		}
		if now := f.status("groupRules", "By type"); now != "INVALID" {
			t.Fatal(now)
		}
		f.writes()
		if _, err := f.apply(f.target(0), plan, yes); err == nil || !strings.Contains(err.Error(), "it is INVALID, and Okta lets nobody change it any more") || len(f.writes()) > 0 {
			t.Error(err)
		}
		f.converge(f.target(0), declare(t, "groups "+staff, "groupRules "+byType))
		if now := f.status("groupRules", "By type"); now != "ACTIVE" {
			t.Error(now)
		}
	})
}

// TestFeatures: what a feature needs is switched on first if the plan says so, and
// otherwise named; nothing is ever forced.
func TestFeatures(t *testing.T) {
	const report, logging = `features {"name":"Zone Usage Report","status":%q}`, `features {"name":"Enhanced Network Zone Logging","status":%q}`
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		target := f.target(0)
		only := f.compare(target, declare(t, fmt.Sprintf(report, "ENABLED")))
		f.writes()
		_, err := f.apply(target, only, yes)
		const want = `update-object feature "Zone Usage Report": it needs "Enhanced Network Zone Logging", which must be ENABLED first`
		if message(err) != want || len(f.writes()) > 0 {
			t.Error(err)
		}
		both := f.compare(target, declare(t, fmt.Sprintf(report, "ENABLED"), fmt.Sprintf(logging, "ENABLED")))
		slices.Reverse(both) // the one that needs the other comes first
		notes, err := f.apply(target, both, yes)
		if d := cmp.Diff([]string{`made before "Zone Usage Report", which depends on it`}, notes); d != "" || err != nil {
			t.Error(d, err)
		}
		if w := f.writes(); len(w) != 2 {
			t.Error(w)
		}
		off := f.compare(target, declare(t, fmt.Sprintf(logging, "DISABLED")))
		_, err = f.apply(target, off, yes)
		if got := message(err); got != `update-object feature "Enhanced Network Zone Logging": it is needed by "Zone Usage Report", which must be DISABLED first` {
			t.Error(got)
		}
		for _, r := range f.sim.Requests() {
			if strings.Contains(r.Query, "mode") {
				t.Errorf("%s %s?%s", r.Method, r.Path, r.Query)
			}
		}
	})
}

// TestReorder: policies are put into their order from the top down, and again if Okta
// has moved them otherwise; an order that somebody else has changed is left alone.
func TestReorder(t *testing.T) {
	policy := func(name string) string {
		return fmt.Sprintf(`policies/OKTA_SIGN_ON {"name":%q,"conditions":{"people":{"groups":{"include":["Everyone"]}}}}`, name)
	}
	made := func(names ...string) *objects.Declared {
		var all []string
		for _, n := range names {
			all = append(all, policy(n))
		}
		return declare(t, all...)
	}
	order := func(f *fleet) string {
		all, _ := f.sim.Objects(f.target(0).Domain).List("policies/OKTA_SIGN_ON")
		var names []string
		for _, p := range all {
			names = append(names, p["name"].(string))
		}
		return strings.Join(names, " ")
	}
	for _, tt := range []struct {
		to     []string
		writes int
	}{
		{[]string{"D", "A", "B", "C"}, 1},
		{[]string{"D", "C", "B", "A"}, 3},
		{[]string{"B", "A", "D", "C"}, 2},
		{[]string{"B", "C", "D", "A"}, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, simulatortest.Config{}, nil)
			f.converge(f.target(0), made("A", "B", "C", "D"))
			plan := f.compare(f.target(0), made(tt.to...))
			f.writes()
			if _, err := f.apply(f.target(0), plan, yes); err != nil {
				t.Error(err)
			}
			if got := order(f); got != strings.Join(tt.to, " ")+" Default Policy" || len(f.writes()) != tt.writes {
				t.Errorf("%v: %s", tt.to, got)
			}
			if _, err := f.apply(f.target(0), plan, yes); !errors.Is(err, objects.ErrAlready) {
				t.Error(err)
			}
			f.put("policies/OKTA_SIGN_ON", `{"name":"E","conditions":{"people":{"groups":{"include":["Everyone"]}}}}`)
			f.writes()
			var moved *objects.MovedError
			if _, err := f.apply(f.target(0), plan, yes); !errors.As(err, &moved) || len(f.writes()) > 0 {
				t.Error(err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // one write has no effect
		f := newFleet(t, simulatortest.Config{}, nil)
		f.converge(f.target(0), made("A", "B", "C", "D"))
		plan := f.compare(f.target(0), made("D", "C", "B", "A"))
		n := 0
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			if n++; n == 2 {
				reply(200, "{}")(w, r)
				return true
			}
			return false
		}
		if _, err := f.apply(f.target(0), plan, yes); err != nil || order(f) != "D C B A Default Policy" {
			t.Error(err, order(f))
		}
	})
	synctest.Test(t, func(t *testing.T) { // no write has
		f := newFleet(t, simulatortest.Config{}, nil)
		f.converge(f.target(0), made("A", "B"))
		plan := f.compare(f.target(0), made("B", "A"))
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				reply(200, "{}")(w, r)
				return true
			}
			return false
		}
		_, err := f.apply(f.target(0), plan, yes)
		if got := message(err); !strings.HasSuffix(got, `the change was accepted, and does not read back as written: the order is ["A","B"]`) {
			t.Error(got)
		}
	})
}

// TestOneBad: of two orgs side by side one is bad. Nothing is written to it, it is an
// error with the same words each time, and the other converges.
func TestOneBad(t *testing.T) {
	for name, tt := range map[string]struct {
		at     string
		h      http.HandlerFunc
		reason string
	}{
		"forbidden":  {"/zones", reply(403, refusal("E0000006", "No permission")), "reading networkZones: 403 E0000006 No permission"},
		"no feature": {"/zones", reply(401, refusal("E0000015", "No feature")), "reading networkZones: 401 E0000015 No feature"},
		"limited": {"/zones", reply(429, refusal("E0000047", "Too many"), "X-Rate-Limit-Limit", "100", "X-Rate-Limit-Remaining", "0", "X-Rate-Limit-Reset", "1000000000"),
			"reading networkZones: 429 E0000047 Too many"},
		"edge 404s": {"/zones", reply(404, edge), "reading networkZones: 404 Not Found"},
		"locked":    {"/zones", locked, "reading networkZones: 423 E0000239 Policy priorities are being reconciled"},
		"HTML":      {"/zones", reply(200, "<html>", "Content-Type", "text/html"), `reading networkZones: 200 with an unreadable body: it is "text/html", not JSON (tried 7 times)`},
		"wrong org": {"/okta-organization", reply(200, `{"id":"00oOther","pipeline":"idx"}`), ""},
		"no token":  {"/token", reply(401, `{"error":"invalid_client","error_description":"Unknown client."}`), "getting a token: 401 invalid_client: Unknown client."},
		"its token": {"/zones", reply(401, refusal("E0000011", "Invalid token provided")), "reading networkZones: 401 E0000011 Invalid token provided"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, simulatortest.Config{}, nil)
				bad, good := f.target(0), f.target(1)
				d := declare(t, baseline...)
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					if strings.HasPrefix(r.URL.Path, "/org/"+bad.Domain) && strings.HasSuffix(r.URL.Path, tt.at) {
						tt.h(w, r)
						return true
					}
					return false
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					for range 2 {
						_, err := f.Read(t.Context(), bad, objects.ReadsOf(d.Objects))
						if reason, _ := Reason(err); err == nil || tt.reason != "" && reason != tt.reason {
							t.Error(reason)
						}
					}
				})
				wg.Go(func() { f.converge(good, d) })
				wg.Wait()
				n := f.sim.OrgRequests(bad.Domain)
				if n["POST"]+n["PUT"]+n["DELETE"] > 0 {
					t.Errorf("%v", n)
				}
				if name == "wrong org" && n["TOKEN"] > 0 {
					t.Error("asked it for a token")
				}
			})
		})
	}
}

// TestOpenAsksAgain: an org that has become another one since it was read gets nothing.
func TestOpenAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, plan := ruleFleet(t)
		f.interfere("/okta-organization", times(always, reply(200, `{"id":"00oOther","pipeline":"idx"}`)))
		f.writes()
		if _, err := f.Open(t.Context(), f.target(0), plan); err == nil || !slices.Equal(f.sent, []string{"GET /.well-known/okta-organization"}) {
			t.Error(err, f.sent)
		}
	})
}

// TestCancelled: a write that is sent is waited for, and a run that is to stop sends
// nothing more, but leaves no rule switched off.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, plan := ruleFleet(t)
		ctx, cancel := context.WithCancel(t.Context())
		e, err := f.Open(ctx, f.target(0), plan)
		if err != nil {
			t.Fatal(err)
		}
		f.interfere("/deactivate", func(n int, w http.ResponseWriter, r *http.Request) bool {
			cancel()
			return false
		})
		f.writes()
		_, err = e.Write(ctx, &plan[0], yes)
		if !errors.Is(err, context.Canceled) || f.status("groupRules", "By type") != "ACTIVE" || len(f.steps.open) > 0 {
			t.Error(err, f.status("groupRules", "By type"), f.steps.open)
		}
		if w := f.writes(); len(w) != 2 {
			t.Error(w)
		}
	})
}

// TestScopes: reading asks for .read of what is read and of what that refers to, writing
// also for .manage of what is written, and for nothing else.
func TestScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{OrgScopes: []string{"okta.networkZones.read", "okta.groups.read", "okta.groups.manage", "okta.threatInsights.read"}}, nil)
		var asked []string
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/token") {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				form, _ := url.ParseQuery(string(body))
				asked = append(asked, form.Get("scope"))
			}
			return false
		}
		f.put("networkZones", offices)
		f.converge(f.target(0), declare(t, "groups "+staff, "networkZones "+offices))
		plan := f.compare(f.target(0), declare(t, `threatInsight {"action":"block","excludeZones":["Offices"]}`))
		_, err := f.apply(f.target(0), plan, yes)
		if got := message(err); !strings.Contains(got, `for "okta.threatInsights.manage": HTTP 400 consent_required`) {
			t.Error(got)
		}
		want := []string{
			"okta.groups.read okta.networkZones.read", "okta.groups.read", "okta.groups.manage",
			"okta.networkZones.read okta.threatInsights.read", "okta.threatInsights.manage",
		}
		if d := cmp.Diff(want, slices.Compact(asked)); d != "" {
			t.Error(d)
		}
	})
}

// TestStress: many orgs at once, some of them failing now and then.
func TestStress(t *testing.T) {
	synctest.Test(t, stress)
}

func stress(t *testing.T) {
	f := newFleet(t, simulatortest.Config{Orgs: 12}, nil)
	var n sync.Map
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if _, seen := n.LoadOrStore(r.Method+r.URL.Path, true); !seen && len(r.URL.Path)%3 == 0 {
			reply(404, edge)(w, r)
			return true
		}
		return false
	}
	d := declare(t, baseline...)
	var wg sync.WaitGroup
	for i := range 6 {
		target := f.target(i)
		wg.Go(func() { f.converge(target, d) })
		wg.Go(func() {
			for range 3 {
				if _, err := f.Read(t.Context(), target, objects.ReadsOf(d.Objects)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
