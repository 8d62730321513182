package reconcile

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
)

// declareOrigins declares trusted origins for the orgs, and more for the first one.
func (f *fleet) declareOrigins(first string, origins ...string) {
	f.t.Helper()
	text := "version: 1\nbaselines:\n  portal:\n    trustedOrigins:\n"
	for _, o := range origins {
		text += "      - " + o + "\n"
	}
	text += "defaults: {baselines: [portal]}\norgs:\n"
	for i, domain := range f.orgs {
		more := ""
		if i == 0 {
			more = first
		}
		text += fmt.Sprintf("  - {domain: %s, access: {clientID: %s}%s}\n", domain, f.sim.OrgCredentials.ClientID, more)
	}
	if err := os.WriteFile(f.manifests, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// A trusted origin that moves to another address keeps its name: the old one is deleted
// first, also when the run ends between the two. Where that is blocked, so is the new one.
func TestMovedOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "guards: {maxDestructiveOrgs: 3, maxDestructivePercent: 100, maxDestructiveOrgsPerDay: 10}\n")
		const scopes = "scopes: [{type: CORS}]"
		f.declareOrigins("", `{name: Portal, origin: "https://old.acme.example", `+scopes+`}`)
		r := f.open(nil)
		defer r.Close()
		if failed := f.apply(r, f.plan(r)); len(failed) > 0 {
			t.Fatal(failed)
		}
		f.declareOrigins(", protected: true", `{name: Portal, origin: "https://new.acme.example", `+scopes+`}`, `{origin: "https://old.acme.example", absent: true}`)
		plan := f.plan(r)
		var blocked []string
		for _, c := range plan.Changes {
			if c.Org == f.orgs[0] {
				blocked = append(blocked, c.Blocked)
			}
		}
		if got := strings.Join(blocked, "; "); got != `protected; waits for the trusted origin "https://old.acme.example", which is blocked` {
			t.Error(got)
		}
		f.sim.Fault(t, "POST /org/"+f.orgs[1]+"/api/v1/trustedOrigins status=403")
		failed := f.apply(r, plan)
		if len(failed) != 1 || !strings.Contains(failed[f.orgs[1]], "403") {
			t.Error(failed)
		}
		origins := func(domain string) string {
			all, err := f.sim.Objects(domain).List("trustedOrigins")
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, o := range all {
				names = append(names, fmt.Sprint(o["name"], " ", o["origin"]))
			}
			return strings.Join(names, ", ")
		}
		for i, want := range []string{"Portal https://old.acme.example", "", "Portal https://new.acme.example"} {
			if got := origins(f.orgs[i]); !strings.Contains(got, want) || want == "" && strings.Contains(got, "Portal") {
				t.Errorf("%s: %s", f.orgs[i], got)
			}
		}
		f.sim.ClearFaults()
		next := f.open(nil)
		defer next.Close()
		if failed := f.apply(next, f.plan(next)); len(failed) > 0 {
			t.Error(failed)
		}
		if got := origins(f.orgs[1]); !strings.Contains(got, "Portal https://new.acme.example") {
			t.Error(got)
		}
	})
}
