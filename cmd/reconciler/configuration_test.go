package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
)

// The orgs whose configuration the tests declare.
const (
	alpha = "acme-alpha.okta.com"
	beta  = "acme-beta.okta.com"
	gamma = "acme-gamma.okta.com"
)

// orgsRig is a rig with three orgs that have a baseline.
type orgsRig struct {
	*rig
	t *testing.T
	// clients are the ids of the service apps: of "" that which each org has, and of an
	// org one that only this has.
	clients map[string]string
	// written are the writes that each org had got when quiet was called.
	written map[string]int
}

func newOrgsRig(t *testing.T) *orgsRig {
	t.Helper()
	seed := &simulator.Seed{
		Version: simulator.SeedVersion, Account: simulator.Account{ID: simulator.DefaultAccount, Name: "Acme Holdings"},
		Products: []simulator.Product{{ID: "P000052", Name: "SSO"}, {ID: "P000131", Name: "MFA"}},
	}
	for i, domain := range []string{"acme-aerial.okta.com", "acme.okta.com", alpha, beta, gamma} {
		seed.Orgs = append(seed.Orgs, simulator.Org{
			ID: fmt.Sprintf("00o%017d", i+1), Domain: domain, Name: domain, Cell: "ok1", Status: "ACTIVE",
			Managed: true, Consent: true, Products: []string{"P000052"},
		})
	}
	seed.Orgs[0].AerialOrg, seed.Orgs[1].Creator, seed.Orgs[1].Tokens = true, true, []string{"00canary-token-of-the-parent"}
	access, err := simulator.Grant(seed, jose.RS256, false, "okta.accounts.read", "okta.accounts.manage")
	if err != nil {
		t.Fatal(err)
	}
	if err := simulator.GrantOrgs(seed, access, jose.RS256); err != nil {
		t.Fatal(err)
	}
	r := &orgsRig{t: t, clients: map[string]string{"": access.OrgCredentials.ClientID}, written: map[string]int{}}
	other, err := seed.AddClient(gamma, jose.RS256, simulator.OrgScopes()...)
	if err != nil {
		t.Fatal(err)
	}
	r.clients[gamma] = other.ClientID
	r.rig = newRigWith(t, seed, access)
	r.declare("", nil)
	return r
}

// baseline is what each org has.
const baseline = `
    networkZones:
      - {name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]}
      - {name: VPN, type: IP, gateways: [{type: CIDR, value: 203.0.113.0/24}]}
    groups:
      - profile: {name: Staff, description: All of them}
    groupRules:
      - name: By type
        conditions: {expression: {value: 'user.userType=="staff"', type: "urn:okta:expression:1.0"}}
        actions: {assignUserToGroups: {groupIds: [Staff]}}
`

// declare declares the three orgs with the baseline, in which the first of each pair of
// texts is replaced by the second. of is more of an org's entry, by domain.
func (r *orgsRig) declare(settings string, of map[string]string, replace ...string) {
	r.t.Helper()
	text := baseline
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			r.t.Fatalf("the baseline has no %q", replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	r.manifest(text, of, settings)
}

// manifest writes the manifests.
func (r *orgsRig) manifest(baseline string, of map[string]string, more string) {
	r.t.Helper()
	text := "version: 1\nbaselines:\n  workforce:" + baseline + "defaults: {baselines: [workforce]}\n" + more + "orgs:\n"
	for _, domain := range []string{alpha, beta, gamma} {
		access := "    access: {clientID: " + r.clients[""] + "}\n"
		if strings.Contains(of[domain], "access:") {
			access = ""
		}
		text += "  - domain: " + domain + "\n    products: [P000052]\n" + access + of[domain]
	}
	if err := os.WriteFile(filepath.Join(r.dir, "orgs", "orgs.yaml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// configure adds to the config.
func (r *orgsRig) configure(more string) {
	r.t.Helper()
	text, err := os.ReadFile(r.config)
	if err == nil {
		err = os.WriteFile(r.config, append(text, more...), 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// do runs a command, and fails the test if it ends otherwise.
func (r *orgsRig) do(want int, args ...string) (out, errs string) {
	r.t.Helper()
	var o, e buffer
	code := run(r.t.Context(), append(args, "--config", r.config), stdio{strings.NewReader(""), &o, &e}, nil)
	if code != want {
		r.t.Fatalf("%q ends with %d, not %d:\n%s\n%s", args, code, want, o.String(), e.String())
	}
	return o.String(), e.String()
}

// plan returns what diff finds.
func (r *orgsRig) plan(want int, args ...string) *diff.Plan {
	r.t.Helper()
	out, _ := r.do(want, append([]string{"diff", "-o", "json", "--detailed-exitcode"}, args...)...)
	var plan diff.Plan
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		r.t.Fatal(err, out)
	}
	return &plan
}

// quiet notes how many writes the orgs have got so far, and wrote returns the orgs that
// have got more since, sorted.
func (r *orgsRig) quiet() {
	for _, domain := range []string{alpha, beta, gamma} {
		r.written[domain] = r.writes(domain)
	}
}

func (r *orgsRig) wrote() []string {
	all := []string{}
	for domain, n := range r.written {
		if r.writes(domain) > n {
			all = append(all, domain)
		}
	}
	slices.Sort(all)
	return all
}

func (r *orgsRig) writes(domain string) int {
	n := r.sim.OrgRequests(domain)
	return n["POST"] + n["PUT"] + n["PATCH"] + n["DELETE"]
}

// wantWrites fails the test unless these orgs, and no others, were written to.
func (r *orgsRig) wantWrites(domains ...string) {
	r.t.Helper()
	if got := r.wrote(); !slices.Equal(got, append([]string{}, domains...)) {
		r.t.Errorf("written to %q, not to %q", got, domains)
	}
	r.quiet()
}

// get returns an object of an org; nil if there is none.
func (r *orgsRig) get(domain, kind, key string) map[string]any {
	o, _ := r.sim.Objects(domain).Get(kind, key)
	return o
}

func (r *orgsRig) fault(text string) {
	r.t.Helper()
	f, err := simulator.ParseFault(text)
	if err == nil {
		err = r.sim.AddFault(f)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
}

// changes returns the changes as ORG ACTION KIND OBJECT, with a ! if they are blocked.
func changes(p *diff.Plan) []string {
	all := []string{}
	for i := range p.Changes {
		c := &p.Changes[i]
		line := strings.Join([]string{strings.TrimSuffix(strings.TrimPrefix(c.Org, "acme-"), ".okta.com"), string(c.Action), c.Kind, c.Object}, " ")
		if c.Blocked != "" {
			line += " !" + c.Blocked
		}
		all = append(all, line)
	}
	return all
}

// expression returns the expression of the group rule.
func (r *orgsRig) expression(domain string) string {
	rule := r.get(domain, "groupRules", "By type")
	conditions, _ := rule["conditions"].(map[string]any)
	e, _ := conditions["expression"].(map[string]any)
	s, _ := e["value"].(string)
	return s
}

// Whatever call of a group rule's change is in flight when the process is killed, the
// next plan shows what is left, and the next run finishes it.
func TestGroupRuleKilled(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		off         bool // it is INACTIVE then
		left        int  // as diff ends
	}{
		{"before it is off", "POST /org/*/api/v1/groups/rules/*/lifecycle/deactivate hang", false, exitDifferences},
		{"after it is off", "POST /org/*/api/v1/groups/rules/*/lifecycle/deactivate hang after", true, exitDifferences},
		{"before it is written", "PUT /org/*/api/v1/groups/rules/* hang", true, exitDifferences},
		{"after it is written", "PUT /org/*/api/v1/groups/rules/* hang after", true, exitDifferences},
		{"before it is on", "POST /org/*/api/v1/groups/rules/*/lifecycle/activate hang", true, exitDifferences},
		{"after it is on", "POST /org/*/api/v1/groups/rules/*/lifecycle/activate hang after", false, exitOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newOrgsRig(t)
			r.do(exitOK, "apply", "--yes")
			r.declare("", nil, `=="staff"`, `=="employee"`)
			fault, err := simulator.ParseFault(strings.Replace(tt.fault, "*", alpha, 1) + " times=1")
			if err != nil {
				t.Fatal(err)
			}
			called := r.event(t, fault)
			p := startProcess(t, nil, "apply --yes --org "+alpha+" --config "+r.config)
			await(t, called, p)
			takesEffect(t, func() bool { return (r.get(alpha, "groupRules", "By type")["status"] == "INACTIVE") == tt.off })
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait()
			r.sim.ClearFaults()

			plan := r.plan(tt.left, "--org", alpha)
			var restored bool
			for i := range plan.Changes {
				for _, f := range plan.Changes[i].Fields {
					restored = restored || f.Path == "status" && f.Before == "INACTIVE" && f.After == "ACTIVE"
				}
			}
			if restored != tt.off || tt.off != strings.Contains(fmt.Sprint(plan.Notes), `left the group rule "By type" INACTIVE`) {
				t.Errorf("off %v: %+v %v", tt.off, plan.Changes, plan.Notes)
			}
			r.do(exitOK, "apply", "--yes")
			if r.get(alpha, "groupRules", "By type")["status"] != "ACTIVE" || r.expression(alpha) != `user.userType=="employee"` {
				t.Errorf("%v", r.get(alpha, "groupRules", "By type"))
			}
			if plan := r.plan(exitOK); len(plan.Notes) > 0 {
				t.Errorf("still %v", plan.Notes)
			}

			// What an admin deactivates afterwards stays so: nobody declares a status.
			if tt.off {
				if err := r.sim.Objects(alpha).SetStatus("groupRules", "By type", "INACTIVE", "jane@acme.example"); err != nil {
					t.Fatal(err)
				}
				r.plan(exitOK)
			}
		})
	}
}

// The same for a new rule, which Okta makes INACTIVE.
func TestNewGroupRuleKilled(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		there       bool
	}{
		{"before it is made", "POST /org/ORG/api/v1/groups/rules hang", false},
		{"after it is made", "POST /org/ORG/api/v1/groups/rules hang after", true},
		{"before it is on", "POST /org/ORG/api/v1/groups/rules/*/lifecycle/activate hang", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newOrgsRig(t)
			fault, err := simulator.ParseFault(strings.Replace(tt.fault, "ORG", alpha, 1) + " times=1")
			if err != nil {
				t.Fatal(err)
			}
			called := r.event(t, fault)
			p := startProcess(t, nil, "apply --yes --config "+r.config)
			await(t, called, p)
			takesEffect(t, func() bool { return (r.get(alpha, "groupRules", "By type") != nil) == tt.there })
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait()
			r.sim.ClearFaults()
			if plan := r.plan(exitDifferences, "--org", alpha); tt.there != (len(plan.Notes) == 1) {
				t.Errorf("%+v %+v", plan.Changes, plan.Notes)
			}
			r.do(exitOK, "apply", "--yes")
			if r.get(alpha, "groupRules", "By type")["status"] != "ACTIVE" {
				t.Error(r.get(alpha, "groupRules", "By type"))
			}
			if plan := r.plan(exitOK); len(plan.Notes) > 0 {
				t.Errorf("still %v", plan.Notes)
			}
		})
	}
}

// takesEffect waits until a call has taken effect.
func takesEffect(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

// What holds the changes of an org holds the restoration as well, and what is left of a
// rule that nobody declares any more is restored or said.
func TestGroupRuleLeftInactive(t *testing.T) {
	r := newOrgsRig(t)
	r.do(exitOK, "apply", "--yes")
	r.declare("", nil, `=="staff"`, `=="employee"`)
	// The change fails after it has switched the rule off, and can't take that back.
	r.fault("PUT /org/" + alpha + "/api/v1/groups/rules/* status=403")
	r.fault("POST /org/" + alpha + "/api/v1/groups/rules/*/lifecycle/activate status=403")
	out, _ := r.do(exitPartly, "apply", "--yes")
	if !strings.Contains(out, "it was ACTIVE and is INACTIVE now") {
		t.Error(out)
	}
	r.sim.ClearFaults()
	r.quiet()
	r.do(exitOK, "suspend", "--org", alpha, "--reason", "an audit")
	if got := changes(r.plan(exitDifferences)); len(got) != 1 || !strings.HasPrefix(got[0], "alpha update-object groupRules By type !suspended") {
		t.Errorf("suspended: %q", got)
	}
	r.do(exitOK, "apply", "--yes")
	r.wantWrites()
	r.do(exitOK, "resume", "--all")

	r.declare("", map[string]string{alpha: "    mode: report\n"})
	r.do(exitOK, "apply", "--yes")
	r.wantWrites(beta, gamma) // which go back
	rule := regexp.MustCompile(`(?s)    groupRules:.*`)
	r.manifest(rule.ReplaceAllString(baseline, ""), nil, "")
	if got := changes(r.plan(exitDifferences)); !slices.Equal(got, []string{"alpha update-object groupRules By type"}) {
		t.Errorf("not declared any more: %q", got)
	}
	r.do(exitOK, "apply", "--yes")
	r.wantWrites(alpha)
	if r.get(alpha, "groupRules", "By type")["status"] != "ACTIVE" {
		t.Error(r.get(alpha, "groupRules", "By type"))
	}
	r.plan(exitOK)
}

// Of orgs of which one can't be read, the others converge, and the bad one gets no write
// at all. Why it can't be read is the same each time.
func TestOneBadOrg(t *testing.T) {
	for _, tt := range []struct{ name, fault, entry, reason string }{
		{"forbidden", "GET /org/ORG/api/v1/zones status=403", "", "reading networkZones: 403 "},
		{"no such feature", "GET /org/ORG/api/v1/groups/rules status=401 code=E0000015", "", "reading groupRules: 401 E0000015 "},
		{"another org", "GET /org/ORG/.well-known/okta-organization wrong-org", "", "it is the org "},
		{"the app of another org", "", "    access: {clientID: OTHER}\n", "getting a token: "},
		{"no access", "", "    # without access:\n", "no service app of the org is known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newOrgsRig(t)
			r.quiet()
			r.declare("", map[string]string{beta: strings.ReplaceAll(tt.entry, "OTHER", r.clients[gamma])})
			if tt.fault != "" {
				r.fault(strings.ReplaceAll(tt.fault, "ORG", beta))
			}
			first, second := r.plan(exitError), r.plan(exitError)
			if first.Digest != second.Digest {
				t.Errorf("two digests: %v and %v", first.Unknown, second.Unknown)
			}
			if u := first.Unknown; len(u) != 1 || u[0].Org != beta || u[0].Part != "configuration" || !strings.Contains(u[0].Error, tt.reason) {
				t.Errorf("unknown: %+v", u)
			}
			if s := first.Summary.Objects; s == nil || s.Unknown != 4 {
				t.Errorf("summary: %+v", s)
			}
			out, _ := r.do(exitPartly, "apply", "--yes")
			if !strings.Contains(out, tt.reason) {
				t.Error(out)
			}
			r.wantWrites(alpha, gamma)
			if n := r.sim.OrgRequests(beta); tt.name == "another org" && (n["TOKEN"] > 0 || len(slices.Collect(maps.Keys(n))) > 1) {
				t.Errorf("the wrong org got %v", n)
			}
			r.sim.ClearFaults()
			r.declare("", nil)
			r.do(exitOK, "apply", "--yes")
			r.wantWrites(beta)
			r.plan(exitOK)
		})
	}
}

// What somebody changes between plan and apply is left alone, and said.
func TestMovedSincePlan(t *testing.T) {
	r := newOrgsRig(t)
	r.do(exitOK, "apply", "--yes")
	r.declare("", nil, "All of them", "All of us")
	saved := filepath.Join(r.dir, "plan.json")
	r.do(exitOK, "diff", "--out", "json="+saved)
	const theirs = `{"profile":{"description":"Mine"}}`
	meddle := func() {
		if err := r.sim.Objects(beta).Patch("groups", "Staff", theirs, "jane@acme.example"); err != nil {
			t.Error(err)
		}
	}

	// In the middle of an apply: after its plan is made, before the org is written to.
	r.quiet()
	fault, err := simulator.ParseFault("GET /org/" + beta + "/api/v1/groups/" + fmt.Sprint(r.get(beta, "groups", "Staff")["id"]) + " delay=1ms times=1")
	if err != nil {
		t.Fatal(err)
	}
	fault.Do = meddle
	if err := r.sim.AddFault(fault); err != nil {
		t.Fatal(err)
	}
	out, _ := r.do(exitPartly, "apply", "--yes")
	if !strings.Contains(out, "left alone: ") || !strings.Contains(out, "somebody changed it after the plan was made") {
		t.Error(out)
	}
	r.wantWrites(alpha, gamma)
	if g := fmt.Sprint(r.get(beta, "groups", "Staff")["profile"]); !strings.Contains(g, "Mine") {
		t.Error("the admin's change is gone:", g)
	}

	// A saved plan for what is no longer so is refused as a whole.
	_, errs := r.do(exitRefused, "apply", "--yes", saved)
	if !strings.Contains(errs, beta) {
		t.Error(errs)
	}
	r.wantWrites()
}

// A saved plan is applied as it is; not if it was edited, or an object is no longer as it
// was made for.
func TestSavedPlanOfObjects(t *testing.T) {
	r := newOrgsRig(t)
	r.do(exitOK, "apply", "--yes")
	r.declare("", map[string]string{gamma: "    configuration:\n      networkZones: [{name: VPN, absent: true}]\n"},
		`=="staff"`, `=="employee"`, "All of them", "All of us")
	saved := filepath.Join(r.dir, "plan.json")
	r.do(exitOK, "diff", "--out", "json="+saved)
	text, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	r.quiet()
	edited := filepath.Join(r.dir, "edited.json")
	for _, edit := range [][2]string{{`\"employee\"`, `\"anybody\"`}, {`"object": "VPN"`, `"object": "Offices"`}, {`"clientID": "`, `"clientID": "0`}} {
		changed := strings.Replace(string(text), edit[0], edit[1], 1)
		if changed == string(text) {
			t.Fatalf("the plan has no %q", edit[0])
		}
		if err := os.WriteFile(edited, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs := r.do(exitRefused, "apply", "--yes", edited); !strings.Contains(errs, "digest") {
			t.Error(errs)
		}
	}
	r.wantWrites()

	if err := r.sim.Objects(alpha).Patch("groups", "Staff", `{"profile":{"description":"Mine"}}`, "jane@acme.example"); err != nil {
		t.Fatal(err)
	}
	if _, errs := r.do(exitRefused, "apply", "--yes", saved); !strings.Contains(errs, alpha) || !strings.Contains(errs, "Staff") {
		t.Error(errs)
	}
	r.wantWrites()

	if err := r.sim.Objects(alpha).Patch("groups", "Staff", `{"profile":{"description":"All of them"}}`, "jane@acme.example"); err != nil {
		t.Fatal(err)
	}
	r.do(exitOK, "apply", "--yes", saved)
	r.wantWrites(alpha, beta, gamma)
	r.plan(exitOK)
	if r.get(gamma, "networkZones", "VPN") != nil || r.expression(beta) != `user.userType=="employee"` {
		t.Error("the saved plan was not applied")
	}
	r.do(exitRefused, "apply", "--yes", saved) // it is done
	r.wantWrites()
}

// All that holds writes holds those of objects.
func TestObjectsAreHeld(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		of           map[string]string
		command      []string
		blocked      string
		held         []string // the orgs that are held; the others are written to
	}{
		{"a suspension of one org", "", nil, []string{"suspend", "--org", beta, "--reason", "an audit"}, "suspended", []string{beta}},
		{"a suspension of all", "", nil, []string{"suspend", "--reason", "an audit"}, "suspended", []string{alpha, beta, gamma}},
		{"a suspension in the config", "suspend: [{reason: an audit, owner: ada, orgs: [acme-beta*]}]\n", nil, nil, "suspended", []string{beta}},
		{"a window", "windows: [{deny: \"* * * * *\", duration: 1h, orgs: [acme-gamma*]}]\n", nil, nil, "window", []string{gamma}},
		{"mode: report", "", map[string]string{alpha: "    mode: report\n"}, nil, "mode", []string{alpha}},
		{"protected", "", map[string]string{alpha: "    protected: true\n"}, nil, "protected", []string{alpha}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newOrgsRig(t)
			r.do(exitOK, "apply", "--yes")
			r.configure("guards: {maxDestructivePercent: 100}\n" + tt.config)
			r.declare("", tt.of, "198.51.100.0/24", "198.51.100.0/25") // which takes something away
			if tt.command != nil {
				r.do(exitOK, tt.command...)
			}
			r.quiet()
			want := []string{}
			for _, c := range changes(r.plan(exitDifferences)) {
				org, rest, _ := strings.Cut(c, " update-object networkZones Offices")
				org = "acme-" + org + ".okta.com"
				if held := strings.Contains(rest, tt.blocked); held != slices.Contains(tt.held, org) {
					t.Error(c)
				} else if !held {
					want = append(want, org)
				}
			}
			if len(want)+len(tt.held) != 3 {
				t.Errorf("%q are not held", want)
			}
			r.do(exitOK, "apply", "--yes")
			r.wantWrites(want...)
		})
	}
}

// The guards count orgs that lose an object, and say which.
func TestGuardsCountObjects(t *testing.T) {
	r := newOrgsRig(t)
	r.configure("guards: {maxDestructiveOrgs: 2, maxDestructivePercent: 100, revertWithin: 0s}\n")
	r.do(exitOK, "apply", "--yes")
	r.quiet()
	lose := map[string]string{}
	for _, domain := range []string{alpha, beta, gamma} {
		lose[domain] = "    configuration: {networkZones: [{name: VPN, absent: true}]}\n"
	}
	r.declare("", lose)
	if plan := r.plan(exitDifferences); len(plan.Refusals) != 1 || plan.Refusals[0].Guard != "maxDestructiveOrgs" || !strings.Contains(plan.Refusals[0].Message, gamma) {
		t.Errorf("%+v", plan.Refusals)
	}
	r.do(exitRefused, "apply", "--yes")
	r.wantWrites()
	delete(lose, gamma)
	r.declare("", lose)
	r.do(exitOK, "apply", "--yes")
	r.wantWrites(alpha, beta)
	if r.get(alpha, "networkZones", "VPN") != nil || r.get(gamma, "networkZones", "VPN") == nil {
		t.Error("the wrong org lost its zone")
	}
}

// What would lock everybody out is refused until the config allows it for the org.
func TestLockout(t *testing.T) {
	const everybody = `
    networkZones:
      - {name: Bad, type: IP, usage: BLOCKLIST, gateways: [{type: RANGE, value: 0.0.0.0-127.255.255.255}, {type: RANGE, value: 128.0.0.0-255.255.255.255}]}
`
	r := newOrgsRig(t)
	r.quiet()
	r.manifest(everybody, nil, "")
	if plan := r.plan(exitDifferences); len(plan.Refusals) != 1 || !strings.Contains(plan.Refusals[0].Message, "IPv4") || !strings.Contains(plan.Refusals[0].Message, beta) {
		t.Errorf("%+v", plan.Refusals)
	}
	out, _ := r.do(exitRefused, "apply", "--yes")
	if !strings.Contains(out, "allowLockout") {
		t.Error(out)
	}
	r.wantWrites()
	r.configure("guards: {allowLockout: [" + alpha + ", " + beta + "]}\n")
	r.do(exitRefused, "apply", "--yes")
	r.do(exitOK, "apply", "--yes", "--org", beta)
	r.wantWrites(beta)
}

// An org that is created gets its configuration in the next run, and the report says so.
func TestCreatedOrgIsConfiguredNext(t *testing.T) {
	r := newOrgsRig(t)
	r.do(exitOK, "apply", "--yes")
	text, err := os.ReadFile(filepath.Join(r.dir, "orgs", "orgs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, `  - domain: `+freshOrg+`
    cell: ok1
    create:
      parent: acme
      name: Acme Fresh
      website: https://acme.example
      admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}
`...)
	if err := os.WriteFile(filepath.Join(r.dir, "orgs", "orgs.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := r.do(exitOK, "apply", "--yes")
	if !strings.Contains(out, "its configuration comes in the run after the one that links it") || r.get(freshOrg, "networkZones", "Offices") != nil {
		t.Error(out)
	}
	r.do(exitOK, "apply", "--yes") // with the token that its creation left
	if r.get(freshOrg, "networkZones", "Offices") == nil {
		t.Error("it is not configured")
	}
	r.plan(exitOK)
}

// A saved plan of an org that can't be read is not applied to any: nobody has reviewed a
// part of it.
func TestSavedPlanOfUnreadableOrg(t *testing.T) {
	r := newOrgsRig(t)
	saved := filepath.Join(r.dir, "plan.json")
	r.do(exitOK, "diff", "--out", "json="+saved)
	r.fault("GET /org/" + beta + "/api/v1/zones status=403")
	r.quiet()
	_, errs := r.do(exitRefused, "apply", "--yes", saved)
	if !strings.Contains(errs, beta) || !strings.Contains(errs, "reading networkZones: 403 ") {
		t.Error(errs)
	}
	r.wantWrites()
	r.sim.ClearFaults()
	r.do(exitOK, "apply", "--yes", saved)
	r.wantWrites(alpha, beta, gamma)
}
