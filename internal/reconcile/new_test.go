package reconcile

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

func TestGuardsOf(t *testing.T) {
	at := func(raw string) *url.URL {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	cfg := &config.Config{
		Aerial: config.Aerial{Auth: config.Auth{OrgURL: at("https://acme-aerial.okta.com")}},
		Guards: config.Guards{MaxDestructiveOrgs: 3, MaxDestructivePercent: 4, MaxNewOrgs: 5},
		Parents: []config.Parent{
			{Name: "acme", URL: at("https://acme.okta.com"), Domain: "acme.okta.com"},
			{Name: "custom", URL: at("https://login.acme.example"), Domain: "acme-labs.okta.com"},
			{Name: "unknown", URL: at("https://login.acme.example")},
			{Name: "simulated", URL: at("http://127.0.0.1:8089")},
		},
	}
	want := diff.Guards{
		MaxDestructiveOrgs: 3, MaxDestructivePercent: 4, MaxNewOrgs: 5,
		AerialDomain:   "acme-aerial.okta.com",
		ParentDomains:  []string{"acme.okta.com", "acme-labs.okta.com"},
		UnknownParents: []string{"unknown"},
	}
	if d := cmp.Diff(want, guardsOf(cfg)); d != "" {
		t.Error(d)
	}
	// A custom domain is no org's domain in the account.
	cfg.Aerial.Auth.OrgURL = at("https://login.aerial.example")
	if got := guardsOf(cfg).AerialDomain; got != "" {
		t.Errorf("the Aerial org is %q", got)
	}
}

// panicking panics when the actual state is read.
type panicking struct{ reader }

func (panicking) Observe(context.Context, func(state.Org) bool) (*state.Actual, error) {
	panic("observe")
}

// The actual state is read by another goroutine; a panic there goes on where the
// caller can recover it.
func TestPlanPanicsInTheCaller(t *testing.T) {
	r := &Reconciler{cfg: &config.Config{}, journal: journal.New(location.Folder(""), journal.Options{}), read: panicking{}, contested: &contested{}}
	r.rules = func() *freeze.Rules { return &freeze.Rules{} }
	r.removals.r = r
	defer func() {
		if v := recover(); v == nil || !strings.Contains(v.(string), "observe") || !strings.Contains(v.(string), "_test.go") {
			t.Errorf("recovered %v", v)
		}
	}()
	_, _, err := r.PlanFor(t.Context(), func(context.Context) (*Desired, error) { return &Desired{State: &state.Desired{}}, nil })
	t.Errorf("returned with %v", err)
}
