package reconcile

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"reconciler/internal/diff"
)

// Whether a change of sign-on rules locks everyone out depends on rules and groups that
// no manifest names: they are read for such a change, and for no other.
func TestLockoutByWhatIsNotDeclared(t *testing.T) {
	const allow, denial = `"actions":{"signon":{"access":"ALLOW"}}`, `"actions":{"signon":{"access":"DENY"}}`
	for _, test := range []struct {
		name     string
		policy   string // its groups
		declared string
		refused  bool
	}{
		{"a denial first, for everyone", `"Everyone"`, `{name: P, rules: [{name: Deny}, {name: Allow}]}`, true},
		{"a denial first, for a group", `"Staff"`, `{name: P, rules: [{name: Deny}, {name: Allow}]}`, false},
		{"an INACTIVE policy whose rules aren't declared", `"Everyone"`, `{name: Off, status: ACTIVE}`, true},
		{"nothing about who signs in", `"Everyone"`, `{name: P, description: People}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFeatured(t, false)
			objects := f.sim.Objects(f.orgs[0])
			for _, o := range [][2]string{
				{"groups", `{"profile":{"name":"Staff"}}`},
				{"policies/OKTA_SIGN_ON", `{"name":"P","conditions":{"people":{"groups":{"include":[` + test.policy + `]}}}}`},
				{"policyRules/OKTA_SIGN_ON/P", `{"name":"Allow",` + allow + `}`},
				{"policyRules/OKTA_SIGN_ON/P", `{"name":"Deny",` + denial + `}`},
				{"policies/OKTA_SIGN_ON", `{"name":"Off","conditions":{"people":{"groups":{"include":["Everyone"]}}}}`},
				{"policyRules/OKTA_SIGN_ON/Off", `{"name":"Deny",` + denial + `}`},
				{"policyRules/OKTA_SIGN_ON/Off", `{"name":"Allow",` + allow + `}`},
			} {
				if err := objects.Put(o[0], o[1], "eve"); err != nil {
					t.Fatal(err)
				}
			}
			if err := objects.SetStatus("policies/OKTA_SIGN_ON", "Off", "INACTIVE", "eve"); err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("version: 1\norgs:\n  - domain: %s\n    access: {clientID: %s}\n    configuration:\n      policies:\n        - %s\n",
				f.orgs[0], f.sim.OrgCredentials.ClientID, strings.Replace(test.declared, "{", "{type: OKTA_SIGN_ON, ", 1))
			if err := os.WriteFile(f.manifests, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			plan := f.plan(f.open(nil))
			if len(plan.Changes) != 1 || plan.Summary.Objects.Unmanaged > 6 {
				t.Fatalf("%d changes, %+v", len(plan.Changes), plan.Summary.Objects)
			}
			refused := len(plan.Refusals) == 1 && plan.Refusals[0].Guard == diff.GuardLockout
			if refused != test.refused || len(plan.Refusals) > 1 {
				t.Errorf("refused: %v", plan.Refusals)
			}
		})
	}
}
