package org

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// fleet is a simulator behind HTTP in memory, a client with real credentials, and
// everything that the client could have let slip.
type fleet struct {
	*Client
	t     *testing.T
	sim   *simulatortest.Server
	log   lockedBuffer
	steps *steps

	mu      sync.Mutex
	sent    []string        // METHOD PATH of the calls of the first org
	bearers map[string]bool // credentials that were sent
	// before is called before each call, and may answer it.
	before func(http.ResponseWriter, *http.Request) (answered bool)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// steps keeps what Steps is told.
type steps struct {
	mu   sync.Mutex
	open map[string]bool
	log  []string
	err  error
}

func (s *steps) Begin(orgID, kind, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.open[orgID+" "+kind+" "+id] = true
	s.log = append(s.log, "begin")
	return nil
}

func (s *steps) End(orgID, kind, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, orgID+" "+kind+" "+id)
	s.log = append(s.log, "end")
	return nil
}

func newFleet(t *testing.T, c simulatortest.Config, change func(*Options)) *fleet {
	t.Helper()
	if c.OrgScopes == nil {
		c.OrgScopes = simulator.OrgScopes()
	}
	f := &fleet{t: t, sim: simulatortest.New(t, c), steps: &steps{open: map[string]bool{}}, bearers: map[string]bool{}}
	pem, err := f.sim.OrgCredentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{
		URL: "http://okta.test/org/{domain}", Keys: testKeys, Steps: f.steps,
		Transport: serve(t, http.HandlerFunc(f.serve)),
		Logger:    slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Credentials: func(objects.Target) (Credentials, error) {
			return Credentials{
				ClientID: f.sim.OrgCredentials.ClientID, KeyID: f.sim.OrgCredentials.KeyID, DPoP: c.OrgDPoP,
				Key: func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(pem) },
			}, nil
		},
	}
	if change != nil {
		change(&opts)
	}
	if f.Client, err = New(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.checkSecrets)
	return f
}

func (f *fleet) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.sent = append(f.sent, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/org/"+f.target(0).Domain))
	if _, secret, _ := strings.Cut(r.Header.Get("Authorization"), " "); secret != "" {
		f.bearers[secret] = true
	}
	before := f.before
	f.mu.Unlock()
	if before == nil || !before(w, r) {
		f.sim.ServeHTTP(w, r)
	}
}

// checkSecrets fails the test if a credential that was sent is in the log.
func (f *fleet) checkSecrets() {
	for secret := range f.bearers {
		if strings.Contains(f.log.b.String(), secret) {
			f.t.Errorf("the log holds a credential")
		}
	}
}

// target returns the nth managed org.
func (f *fleet) target(n int) objects.Target {
	for _, o := range f.sim.Orgs() {
		if !o.Managed || o.Parent == "" {
			continue
		}
		if n == 0 {
			return objects.Target{Domain: o.Domain, OrgID: o.ID}
		}
		n--
	}
	f.t.Fatal("no such org")
	return objects.Target{}
}

// writes returns the calls since the last time that weren't reads or token calls.
func (f *fleet) writes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.DeleteFunc(f.sent, func(s string) bool {
		return strings.HasPrefix(s, "GET ") || strings.HasSuffix(s, "/token")
	})
	f.sent = nil
	return all
}

// declare returns the declaration of objects, each as KIND JSON; KIND/TYPE for policies
// and KIND/TYPE/POLICY for rules.
func declare(t testing.TB, all ...string) *objects.Declared {
	t.Helper()
	d := &objects.Declared{}
	for _, s := range all {
		where, text, _ := strings.Cut(s, " ")
		parts := strings.SplitN(where, "/", 3)
		o := &objects.Object{Ref: objects.Ref{Kind: objects.ByName(parts[0])}}
		if err := json.Unmarshal([]byte(text), &o.Body); err != nil || o.Ref.Kind == nil {
			t.Fatalf("%s: %v", s, err)
		}
		if len(parts) > 1 {
			o.Ref.Type = parts[1]
		}
		if len(parts) > 2 {
			o.Ref.Parent = parts[2]
		}
		o.Absent, o.System = o.Body["absent"] == true, o.Body["system"] == true
		delete(o.Body, "absent")
		delete(o.Body, "system")
		if o.Ref.Kind.Typed {
			o.Body["type"] = o.Ref.Type
		}
		o.Ref.Name = o.Ref.Kind.KeyOf(o.Body)
		o.Body = o.Ref.Kind.Normalize(o.Body, nil)
		d.Objects = append(d.Objects, o)
	}
	return d
}

// compare reads an org and compares it.
func (f *fleet) compare(target objects.Target, d *objects.Declared) []objects.Difference {
	f.t.Helper()
	live, err := f.Read(f.t.Context(), target, objects.ReadsOf(d.Objects))
	if err != nil {
		f.t.Fatalf("%v (%s)", err, f.log.b.String())
	}
	c, err := objects.Compare(d, live)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(c.Unfixable) > 0 {
		f.t.Fatalf("%+v", c.Unfixable)
	}
	return c.Differences
}

// yes lets every write be sent.
func yes(context.Context) error { return nil }

// apply writes the differences up to the first that fails, and returns the notes.
func (f *fleet) apply(target objects.Target, plan []objects.Difference, maySend MaySend) (notes []string, err error) {
	e, err := f.Open(f.t.Context(), target, plan)
	if err != nil {
		return nil, err
	}
	for i := range plan {
		note, err := e.Write(f.t.Context(), &plan[i], maySend)
		if err != nil {
			return notes, fmt.Errorf("%s %s: %w", plan[i].Op, plan[i].Ref, err)
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	return notes, nil
}

// converge applies a declaration, and makes sure that nothing is left to do after it.
func (f *fleet) converge(target objects.Target, d *objects.Declared) {
	f.t.Helper()
	plan := f.compare(target, d)
	if _, err := f.apply(target, plan, yes); err != nil {
		f.t.Fatal(err)
	}
	for _, left := range f.compare(target, d) {
		f.t.Errorf("left: %s %s %v", left.Op, left.Ref, left.Fields)
	}
}

var baseline = []string{
	`features {"name":"Zone Usage Report","status":"ENABLED"}`,
	`features {"name":"Enhanced Network Zone Logging","status":"ENABLED"}`,
	`networkZones {"name":"Offices","type":"IP","usage":"POLICY","gateways":[{"type":"CIDR","value":"198.51.100.0/24"}]}`,
	`networkZones {"name":"Old VPN","type":"IP","status":"INACTIVE","gateways":[{"type":"RANGE","value":"203.0.113.1-203.0.113.9"}]}`,
	`groups {"profile":{"name":"Contractors","description":"External staff"}}`,
	`groups {"profile":{"name":"Staff"}}`,
	`behaviors {"name":"New device","type":"ANOMALOUS_DEVICE","settings":{"maxEventsUsedForEvaluation":20}}`,
	`policies/OKTA_SIGN_ON {"name":"Contractors","conditions":{"people":{"groups":{"include":["Contractors"]}}}}`,
	`policyRules/OKTA_SIGN_ON/Contractors {"name":"From offices","conditions":{"network":{"connection":"ZONE","include":["Offices"]}},"actions":{"signon":{"access":"ALLOW"}}}`,
	`policyRules/OKTA_SIGN_ON/Contractors {"name":"Others","status":"INACTIVE","actions":{"signon":{"access":"DENY"}}}`,
	`policies/OKTA_SIGN_ON {"name":"Staff","conditions":{"people":{"groups":{"include":["Staff"]}}}}`,
	`trustedOrigins {"name":"Portal","origin":"https://portal.acme.example","scopes":[{"type":"CORS"}]}`,
	`groupRules {"name":"Contractors by type","conditions":{"expression":{"value":"user.userType==\"contractor\""}},"actions":{"assignUserToGroups":{"groupIds":["Contractors"]}}}`,
	`groupRules {"name":"Off","status":"INACTIVE","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`,
	`threatInsight {"action":"block","excludeZones":["Offices"]}`,
	`general {"supportPhoneNumber":"555-0100"}`,
	`adminConsoleSession {"sessionIdleTimeoutMinutes":30}`,
	`clientPrivileges {"clientPrivilegesSetting":true}`,
	`userLockout {"preventBruteForceLockoutFromUnknownDevices":true}`,
	`endUserFooter {"showEndUserFooter":false}`,
	`communication {"optOutEmailUsers":true}`,
	`rateLimitWarning {"warningThreshold":70}`,
	`rateLimitPerClient {"defaultMode":"PREVIEW"}`,
}

// changes are made to the baseline.
var changes = []string{
	`features {"name":"Enhanced Network Zone Logging","status":"DISABLED"}`,
	`features {"name":"Zone Usage Report","status":"DISABLED"}`,
	`networkZones {"name":"Offices","type":"IP","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}],"status":"ACTIVE"}`,
	`networkZones {"name":"Old VPN","absent":true}`,
	`groups {"profile":{"name":"Contractors","description":"Externals"}}`,
	`behaviors {"name":"New device","status":"INACTIVE"}`,
	`policies/OKTA_SIGN_ON {"name":"Staff"}`,
	`policies/OKTA_SIGN_ON {"name":"Contractors","description":"changed"}`,
	`policyRules/OKTA_SIGN_ON/Contractors {"name":"Others","status":"ACTIVE"}`,
	`policyRules/OKTA_SIGN_ON/Contractors {"name":"From offices"}`,
	`policyRules/OKTA_SIGN_ON/Staff {"name":"New","actions":{"signon":{"access":"ALLOW"}}}`,
	`trustedOrigins {"origin":"https://portal.acme.example","absent":true}`,
	`groupRules {"name":"Contractors by type","conditions":{"expression":{"value":"user.userType==\"external\""}}}`,
	`groupRules {"name":"Off","absent":true}`,
	`threatInsight {"action":"audit"}`,
	`endUserFooter {"showEndUserFooter":true}`,
}

// TestConverge: what is declared is made, changed and deleted; afterwards there is
// nothing left to do, and trying again says so without a write.
func TestConverge(t *testing.T) {
	for _, dpop := range []bool{false, true} {
		t.Run(fmt.Sprintf("dpop %v", dpop), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, simulatortest.Config{OrgDPoP: dpop}, nil)
				target := f.target(0)
				d := declare(t, baseline...)
				plan := f.compare(target, d)
				f.converge(target, d)
				f.writes()
				for i := range plan {
					e, err := f.Open(t.Context(), target, plan[i:i+1])
					if err != nil {
						t.Fatal(err)
					}
					if _, err := e.Write(t.Context(), &plan[i], yes); !errors.Is(err, objects.ErrAlready) {
						t.Errorf("%s %s again: %v", plan[i].Op, plan[i].Ref, err)
					}
				}
				f.converge(target, declare(t, changes...))
				if writes := f.writes(); len(writes) == 0 {
					t.Error("nothing was written")
				}
				if len(f.steps.open) > 0 || len(f.steps.log) == 0 {
					t.Errorf("steps: %v, %v", f.steps.open, f.steps.log)
				}
			})
		})
	}
}

// TestDelete: an ACTIVE object of each kind that can be deleted is, after what refers to
// it, and afterwards there is nothing left to do.
func TestDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, simulatortest.Config{}, nil)
		target := f.target(0)
		all := declare(t, append([]string{`policies/PASSWORD {"name":"Long","conditions":{"people":{"groups":{"include":["Staff"]}}}}`}, baseline...)...)
		f.converge(target, all)
		absent, kinds := &objects.Declared{}, map[*objects.Kind]bool{}
		for _, o := range all.Objects {
			k := o.Ref.Kind
			if k.Setting || k.Fixed {
				continue
			}
			kinds[k] = true
			gone := *o
			gone.Absent = true
			gone.Body = map[string]any{k.Key: o.Body[k.Key]}
			absent.Objects = append(absent.Objects, &gone)
		}
		for _, k := range objects.Kinds() {
			if !k.Setting && !k.Fixed && !kinds[k] {
				t.Errorf("the baseline has none of %s", k.Name)
			}
		}
		// What names them is a setting, which stays.
		f.converge(target, declare(t, `threatInsight {"action":"audit","excludeZones":[]}`))
		plan := f.compare(target, absent)
		f.writes()
		f.converge(target, absent)
		deleted := 0
		for _, w := range f.writes() {
			if strings.HasPrefix(w, "DELETE") {
				deleted++
			}
		}
		if deleted != len(plan) || deleted < len(kinds) {
			t.Errorf("%d deleted, %d planned", deleted, len(plan))
		}
	})
}
