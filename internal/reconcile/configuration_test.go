package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// fleet is a simulated account with three orgs that a baseline is declared for, and a
// config for it.
type fleet struct {
	t         *testing.T
	sim       *simulatortest.Server
	dir       string
	cfg       *config.Config
	manifests string
	orgs      []string
	log       bytes.Buffer
}

// newFleet returns one. It is for a synctest bubble.
func newFleet(t *testing.T, more string) *fleet {
	t.Helper()
	return newFleetOf(t, more, simulatortest.Config{Orgs: 8, OrgScopes: simulator.OrgScopes()})
}

// newFleetOf returns one with a simulator of its own.
func newFleetOf(t *testing.T, more string, c simulatortest.Config) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), sim: simulatortest.New(t, c)}
	access := f.sim.Access
	access.ParentToken = ""
	path, err := simulator.WriteConfig(f.dir, simulator.DefaultSeed(1), access)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(text, more...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if f.cfg, _, err = config.Load(path, nil); err != nil {
		t.Fatal(err)
	}
	for _, o := range f.sim.Orgs() {
		if o.Managed && !o.AerialOrg && !o.Creator && o.Status == "ACTIVE" && len(f.orgs) < 3 {
			f.orgs = append(f.orgs, o.Domain)
		}
	}
	f.manifests = filepath.Join(f.dir, "baseline.yaml")
	f.declare("All of them")
	return f
}

// declare declares the orgs with a group of this description.
func (f *fleet) declare(description string) {
	f.t.Helper()
	text := `version: 1
baselines:
  workforce:
    networkZones: [{name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]}]
    groups: [{profile: {name: Staff, description: ` + description + `}}]
    groupRules:
      - name: By type
        conditions: {expression: {value: 'user.userType=="` + description + `"', type: "urn:okta:expression:1.0"}}
        actions: {assignUserToGroups: {groupIds: [Staff]}}
defaults: {baselines: [workforce]}
orgs:
`
	for _, domain := range f.orgs {
		text += fmt.Sprintf("  - {domain: %s, access: {clientID: %s}}\n", domain, f.sim.OrgCredentials.ClientID)
	}
	if err := os.WriteFile(f.manifests, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// open returns a Reconciler; more changes its options.
func (f *fleet) open(more func(*Options)) *Reconciler {
	f.t.Helper()
	opts := Options{Manifests: f.manifests, Transport: f.sim.RoundTripper(), Logger: slog.New(slog.NewTextHandler(&f.log, nil))}
	if more != nil {
		more(&opts)
	}
	r, err := New(f.cfg, opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fleet) plan(r *Reconciler) *diff.Plan {
	f.t.Helper()
	plan, _, err := r.Plan(f.t.Context(), Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	return plan
}

// apply applies a plan and returns the errors, by org.
func (f *fleet) apply(r *Reconciler, plan *diff.Plan) map[string]string {
	f.t.Helper()
	result, err := r.Apply(f.t.Context(), plan, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	failed := map[string]string{}
	for _, o := range result.Outcomes {
		if o.Result == apply.Failed {
			failed[o.Org] = o.Error
		}
	}
	return failed
}

func (f *fleet) writes(domain string) int {
	n := f.sim.OrgRequests(domain)
	return n["POST"] + n["PUT"] + n["PATCH"] + n["DELETE"]
}

// One org whose API fails for good, in whatever way, is unknown with the same words each
// time and isn't written to, and the others converge.
func TestOneBadOrg(t *testing.T) {
	for _, tt := range []struct{ name, fault, reason string }{
		{"forbidden", "GET /org/BAD/api/v1/zones status=403", "reading networkZones: 403 E0000006 "},
		{"no such feature", "GET /org/BAD/api/v1/groups/rules status=401 code=E0000015", "reading groupRules: 401 E0000015 "},
		{"429 without Retry-After", "GET /org/BAD/api/v1/groups status=429", "reading groups: 429 E0000047 "},
		{"429 for the token", "POST /org/BAD/oauth2/v1/token status=429", "getting a token: 429 "},
		{"edge 404s", "GET /org/BAD/api/v1/groups edge", "reading groups: 404 Not Found"},
		{"423s", "GET /org/BAD/api/v1/groups status=423", "reading groups: 423 "},
		{"HTML", "GET /org/BAD/api/v1/groups content-type=text/html garbage", "reading groups: 200 with an unreadable body"},
		{"broken bodies", "GET /org/BAD/api/v1/groups cut-body", "reading groups: "},
		{"endless pages", "GET /org/BAD/api/v1/groups loop", "reading groups: "},
		{"a next page elsewhere", "GET /org/BAD/api/v1/groups next=https://evil.example/x", "reading groups: "},
		{"another org", "GET /org/BAD/.well-known/okta-organization wrong-org", "it is the org "},
		{"hanging", "GET /org/BAD/api/v1/groups hang", "reading groups: no answer for 1m0s"},
		{"hanging from the start", "GET /org/BAD/.well-known/okta-organization hang", "identifying the org: no answer for 1m0s"},
		{"silent", "GET /org/BAD/api/v1/** hang", "reading networkZones: no answer for 1m0s"},
		{"refusing connections", "GET /org/BAD/** cut", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, "")
				bad := f.orgs[1]
				f.sim.Fault(t, strings.ReplaceAll(tt.fault, "BAD", bad))
				r := f.open(nil)
				defer r.Close()
				begun := time.Now()
				first, plan := f.plan(r), f.plan(r)
				if took := time.Since(begun) / 2; strings.Contains(tt.fault, "hang") && took > 91*time.Second {
					t.Errorf("a plan takes %v", took)
				}
				if first.Digest != plan.Digest {
					t.Errorf("two digests: %+v and %+v", first.Unknown, plan.Unknown)
				}
				if u := plan.Unknown; len(u) != 1 || u[0].Org != bad || u[0].Part != diff.PartConfiguration || !strings.Contains(u[0].Error, tt.reason) {
					t.Fatalf("unknown: %+v", u)
				}
				if hint := plan.Unknown[0].Hint; tt.name == "forbidden" && !strings.Contains(hint, "okta.networkZones.read") {
					t.Errorf("hint: %q", hint)
				}
				if s := plan.Summary.Objects; s == nil || s.Declared != 9 || s.Unknown != 3 {
					t.Errorf("summary: %+v", s)
				}
				if failed := f.apply(r, plan); len(failed) > 0 {
					t.Error(failed)
				}
				if n := f.writes(bad); n > 0 {
					t.Errorf("%d writes to the bad one", n)
				}
				for _, good := range []string{f.orgs[0], f.orgs[2]} {
					if _, ok := f.sim.Objects(good).Get("groupRules", "By type"); !ok {
						t.Errorf("%s did not converge", good)
					}
				}
				f.sim.ClearFaults()
				if failed := f.apply(r, f.plan(r)); len(failed) > 0 {
					t.Error(failed)
				}
				if plan := f.plan(r); !plan.Empty() {
					t.Errorf("%+v %+v", plan.Changes, plan.Unknown)
				}
			})
		})
	}
}

// What bounds how many orgs are read bounds how many are written.
func TestOrgsAtTheSameTime(t *testing.T) {
	for _, most := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, "mode: apply\n")
			f.cfg.Orgs.Concurrency = most
			busy := &busyOrgs{to: f.sim.RoundTripper(), now: map[string]int{}}
			r := f.open(func(o *Options) { o.Transport = busy })
			defer r.Close()
			f.apply(r, f.plan(r))
			for _, domain := range f.orgs {
				if f.writes(domain) == 0 {
					t.Errorf("nothing was written to %s", domain)
				}
			}
			if busy.most != most {
				t.Errorf("%d orgs were written to at the same time, of %d that may be", busy.most, most)
			}
		})
	}
}

// busyOrgs counts the orgs that are written to at the same time, each write taking a
// second.
type busyOrgs struct {
	to   http.RoundTripper
	mu   sync.Mutex
	now  map[string]int
	most int
}

func (b *busyOrgs) RoundTrip(req *http.Request) (*http.Response, error) {
	domain, api, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/org/"), "/")
	if req.Method == http.MethodGet || !strings.HasPrefix(api, "api/") {
		return b.to.RoundTrip(req)
	}
	b.mu.Lock()
	b.now[domain]++
	b.most = max(b.most, len(b.now))
	b.mu.Unlock()
	time.Sleep(time.Second)
	defer func() {
		b.mu.Lock()
		if b.now[domain]--; b.now[domain] == 0 {
			delete(b.now, domain)
		}
		b.mu.Unlock()
	}()
	return b.to.RoundTrip(req)
}

// An org that fails while it is written to is left alone from there on, the others
// converge, and the next run finishes it, whether or not the write took effect.
func TestOneBadWrite(t *testing.T) {
	for _, fault := range []string{
		"POST /org/BAD/api/v1/groups status=403", "POST /org/BAD/api/v1/groups status=401 code=E0000015", "POST /org/BAD/api/v1/groups status=429",
		"POST /org/BAD/api/v1/groups hang", "POST /org/BAD/api/v1/groups hang after", "POST /org/BAD/api/v1/groups status=500 after",
		"POST /org/BAD/api/v1/groups cut after", "POST /org/BAD/api/v1/groups garbage content-type=text/html", "POST /org/BAD/api/v1/groups empty",
		"POST /org/BAD/api/v1/groups status=423", "POST /org/BAD/api/v1/groups edge", "POST /org/BAD/api/v1/groups redirect=https://evil.example/",
		"GET /org/BAD/api/v1/groups/* hang", "POST /org/BAD/api/v1/groups/rules hang after", "POST /org/BAD/api/v1/groups/rules/*/lifecycle/activate hang",
		"POST /org/BAD/api/v1/groups/rules/*/lifecycle/activate hang after",
	} {
		t.Run(strings.ReplaceAll(fault, "/", "|"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, "")
				bad := f.orgs[1]
				r := f.open(nil)
				defer r.Close()
				plan := f.plan(r)
				f.sim.Fault(t, strings.ReplaceAll(fault, "BAD", bad))
				begun := time.Now()
				failed := f.apply(r, plan)
				if took := time.Since(begun); took > 8*time.Minute {
					t.Errorf("it took %v: %v", took, failed)
				}
				for domain, err := range failed {
					if domain != bad {
						t.Errorf("%s: %s", domain, err)
					}
				}
				for _, domain := range f.orgs {
					rule, _ := f.sim.Objects(domain).Get("groupRules", "By type")
					if domain != bad && rule["status"] != "ACTIVE" {
						t.Errorf("%s: %v", domain, rule)
					}
				}
				f.sim.ClearFaults()
				next := f.open(nil)
				defer next.Close()
				if failed := f.apply(next, f.plan(next)); len(failed) > 0 {
					t.Error(failed)
				}
				if plan := f.plan(next); !plan.Empty() {
					t.Errorf("%+v %+v", plan.Changes, plan.Unknown)
				}
				if rule, _ := f.sim.Objects(bad).Get("groupRules", "By type"); rule["status"] != "ACTIVE" {
					t.Errorf("%v", rule)
				}
				for _, kind := range []string{"groups", "networkZones", "groupRules"} {
					all, err := f.sim.Objects(bad).List(kind)
					if err != nil {
						t.Fatal(err)
					}
					names := map[string]int{}
					for _, o := range all {
						name, _ := o["name"].(string)
						if profile, ok := o["profile"].(map[string]any); ok {
							name = fmt.Sprint(profile["name"])
						}
						if names[name]++; names[name] > 1 {
							t.Errorf("two %s called %q", kind, name)
						}
					}
				}
			})
		})
	}
}

// What passes by itself is waited for.
func TestOrgRecovers(t *testing.T) {
	for _, fault := range []string{
		"GET /org/BAD/** edge times=3", "* /org/BAD/** edge every=3", "GET /org/BAD/api/v1/groups status=423 times=4", "PUT /org/BAD/** status=423 times=3",
		"POST /org/BAD/api/v1/** status=423 times=2", "POST /org/BAD/oauth2/v1/token edge times=3", "GET /org/BAD/** status=429 retry-after=20s times=2", "* /org/BAD/api/** status=429 reset=30s times=2",
		"GET /org/BAD/** status=500 times=3", "GET /org/BAD/** hang times=1", "GET /org/BAD/** cut-body times=2", "* /org/BAD/api/** expire-tokens times=1",
	} {
		t.Run(strings.ReplaceAll(fault, "/", "|"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, "")
				f.sim.Fault(t, strings.ReplaceAll(fault, "BAD", f.orgs[1]))
				r := f.open(nil)
				defer r.Close()
				for _, description := range []string{"All of them", "All of us"} {
					f.declare(description)
					plan := f.plan(r)
					if len(plan.Unknown) > 0 {
						t.Fatalf("unknown: %+v", plan.Unknown)
					}
					if failed := f.apply(r, plan); len(failed) > 0 {
						t.Fatal(failed)
					}
					if plan := f.plan(r); !plan.Empty() {
						t.Errorf("%+v %+v", plan.Changes, plan.Unknown)
					}
				}
			})
		})
	}
}

// Without a state folder, what a change has left INACTIVE is remembered as long as the
// process lives, also when its config is replaced; with one, by other processes as well.
func TestLeftInactive(t *testing.T) {
	for _, state := range []bool{false, true} {
		t.Run(fmt.Sprintf("state %v", state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, "")
				if !state {
					f.cfg.State.Dir = ""
				}
				r := f.open(func(o *Options) { o.Every = time.Hour })
				f.apply(r, f.plan(r))
				f.declare("All of us")
				bad := f.orgs[0]
				for _, fault := range []string{"PUT /org/BAD/api/v1/groups/rules/* status=403", "POST /org/BAD/api/v1/groups/rules/*/lifecycle/activate status=403"} {
					f.sim.Fault(t, strings.ReplaceAll(fault, "BAD", bad))
				}
				if failed := f.apply(r, f.plan(r)); len(failed) != 1 || !strings.Contains(failed[bad], "is INACTIVE now") {
					t.Fatal(failed)
				}
				f.sim.ClearFaults()

				f.declare("All of them") // as it is: nothing but the status differs
				next := f.open(func(o *Options) { o.After, o.Every = r, time.Hour })
				defer next.Close()
				plan := f.plan(next)
				i := slices.IndexFunc(plan.Changes, func(c diff.Change) bool { return c.Org == bad && c.Kind == "groupRules" })
				if i < 0 || len(plan.Changes[i].Fields) != 1 || plan.Changes[i].Fields[0].Path != "status" || len(plan.Notes) != 1 {
					t.Fatalf("%+v, %+v", plan.Changes, plan.Notes)
				}
				other := f.open(nil)
				if n := len(f.plan(other).Notes); (n == 1) != state {
					t.Errorf("another process has %d notes", n)
				}
				if state {
					other.Close()
				}
				if failed := f.apply(next, plan); len(failed) > 0 {
					t.Error(failed)
				}
				if plan := f.plan(next); !plan.Empty() || len(plan.Notes) > 0 {
					t.Errorf("%+v, %+v", plan.Changes, plan.Notes)
				}
			})
		})
	}
}

// In a review, what an interrupted change left INACTIVE is drift that was there before.
func TestLeftInactiveInReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "")
		r := f.open(nil)
		defer r.Close()
		f.apply(r, f.plan(r))
		base, err := r.Desired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.declare("All of us")
		changed := f.open(nil)
		defer changed.Close()
		head, err := changed.Desired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		org, _ := f.sim.Org(f.orgs[0])
		rule, _ := f.sim.Objects(f.orgs[0]).Get("groupRules", "By type")
		if err := r.access.inactive.Begin(org.ID, "groupRules", fmt.Sprint(rule["id"])); err != nil {
			t.Fatal(err)
		}
		if err := f.sim.Objects(f.orgs[0]).SetStatus("groupRules", "By type", "INACTIVE", "us"); err != nil {
			t.Fatal(err)
		}
		plan, err := r.Review(t.Context(), base, head, Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range plan.Changes {
			c := &plan.Changes[i]
			for _, field := range c.Fields {
				if field.Path == "status" && (c.Org != f.orgs[0] || field.Origin != diff.ExistingDrift) || field.Path != "status" && field.Origin != diff.ThisChange {
					t.Errorf("%s %s %s: %s", c.Org, c.Field(), field.Path, field.Origin)
				}
			}
		}
		if len(plan.Changes) != 6 || len(plan.Notes) != 1 {
			t.Errorf("%+v", plan)
		}
	})
}

// What somebody has activated or deleted meanwhile is forgotten, once no change of
// another process can still be about it; and where no configuration is declared any more,
// it is said.
func TestLeftInactiveIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "")
		r := f.open(nil)
		defer r.Close()
		f.apply(r, f.plan(r))
		rule := func(i int) (orgID, id string) {
			o, _ := f.sim.Objects(f.orgs[i]).Get("groupRules", "By type")
			org, _ := f.sim.Org(f.orgs[i])
			return org.ID, o["id"].(string)
		}
		open := func() int {
			all, err := r.access.inactive.all()
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		for i := range 2 {
			orgID, id := rule(i)
			if err := r.access.inactive.Begin(orgID, "groupRules", id); err != nil {
				t.Fatal(err)
			}
		}
		orgID, _ := rule(2)
		if err := r.access.inactive.Begin(orgID, "groupRules", "name:Gone"); err != nil {
			t.Fatal(err)
		}
		for _, left := range []int{3, 0} {
			if plan := f.plan(r); !plan.Empty() || len(plan.Notes) > 0 || open() != left {
				t.Errorf("%d are left, not %d: %+v", open(), left, plan.Changes)
			}
			time.Sleep(changing + time.Second)
		}

		orgID, id := rule(0)
		if err := r.access.inactive.Begin(orgID, "groupRules", id); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.manifests, []byte("version: 1\norgs: [{domain: "+f.orgs[0]+"}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if plan := f.plan(r); len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0].Message, "see groupRules "+id+" in the Admin Console") {
			t.Errorf("%+v", plan.Notes)
		}
	})
}

// A new rule that a change left INACTIVE was never in effect: it is activated only as long
// as somebody declares it.
func TestLeftInactiveUndeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "")
		r := f.open(nil)
		defer r.Close()
		f.apply(r, f.plan(r))
		org, _ := f.sim.Org(f.orgs[0])
		const fresh = `{"name":"Fresh","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`
		if err := f.sim.Objects(f.orgs[0]).Put("groupRules", fresh, "jane@acme.example"); err != nil {
			t.Fatal(err)
		}
		if err := r.access.inactive.Begin(org.ID, "groupRules", "name:Fresh"); err != nil {
			t.Fatal(err)
		}
		for _, left := range []int{1, 0} { // the change may go on in another process
			if plan := f.plan(r); !plan.Empty() || len(plan.Notes) > 0 {
				t.Errorf("%+v, %+v", plan.Changes, plan.Notes)
			}
			if all, err := r.access.inactive.all(); err != nil || len(all) != left {
				t.Error(all, err)
			}
			time.Sleep(changing + time.Second)
		}
	})
}

// An org is read anew after a change of which only a part was made because writes were
// held meanwhile, however long what was read counts.
func TestHeldInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "guards: {maxDestructivePercent: 100}\n")
		r := f.open(func(o *Options) { o.Every = time.Hour })
		defer r.Close()
		f.apply(r, f.plan(r))
		text, err := os.ReadFile(f.manifests)
		if err != nil {
			t.Fatal(err)
		}
		off := strings.Replace(string(text), "name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]",
			"name: Offices, status: INACTIVE, gateways: [{type: CIDR, value: 192.0.2.0/24}]", 1)
		if err := os.WriteFile(f.manifests, []byte(off), 0o600); err != nil {
			t.Fatal(err)
		}
		var held atomic.Bool
		free := r.rules
		r.rules = func() *freeze.Rules {
			if held.Load() {
				return &freeze.Rules{Unreadable: errors.New("held")}
			}
			return free()
		}
		fault, err := simulator.ParseFault("POST /org/*/api/v1/zones/*/lifecycle/deactivate delay=1s")
		if err != nil {
			t.Fatal(err)
		}
		fault.Do = func() { held.Store(true) }
		if err := f.sim.AddFault(fault); err != nil {
			t.Fatal(err)
		}
		result, err := r.Apply(t.Context(), f.plan(r), nil)
		if err != nil || len(result.Outcomes) != 3 {
			t.Fatal(result, err)
		}
		held.Store(false)
		f.sim.ClearFaults()
		part := 0
		for _, c := range f.plan(r).Changes {
			o, _ := f.sim.Objects(c.Org).Get("networkZones", "Offices")
			want := []string{"gateways", "status"}
			if o["status"] == "INACTIVE" {
				want = want[:1]
				part++
			}
			var got []string
			for _, field := range c.Fields {
				got = append(got, field.Path)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", c.Org, got, want)
			}
		}
		if part == 0 {
			t.Error("no change was made in part")
		}
	})
}

// A run that is stopped in the middle leaves no rule off, and the next one finishes.
func TestStoppedInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "")
		r := f.open(nil)
		defer r.Close()
		f.apply(r, f.plan(r))
		f.declare("All of us")
		plan := f.plan(r)
		ctx, cancel := context.WithCancel(t.Context())
		fault, err := simulator.ParseFault("POST /org/*/api/v1/groups/rules/*/lifecycle/deactivate delay=1s")
		if err != nil {
			t.Fatal(err)
		}
		fault.Do = cancel
		if err := f.sim.AddFault(fault); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Apply(ctx, plan, nil); err != nil {
			t.Fatal(err)
		}
		for _, domain := range f.orgs {
			if o, _ := f.sim.Objects(domain).Get("groupRules", "By type"); o["status"] != "ACTIVE" {
				t.Errorf("%s: %v", domain, o)
			}
		}
		if failed := f.apply(r, f.plan(r)); len(failed) > 0 {
			t.Error(failed)
		}
		if plan := f.plan(r); !plan.Empty() {
			t.Errorf("%+v", plan.Changes)
		}
	})
}
