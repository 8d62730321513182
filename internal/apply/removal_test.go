package apply_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// ledger records removals, and refuses more than max if that isn't 0.
type ledger struct {
	mu   sync.Mutex
	max  int
	lost []string
}

var errFull = errors.New("no more today")

func (l *ledger) Begin(_, domain string) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 0 && len(l.lost) >= l.max {
		return nil, errFull
	}
	l.lost = append(l.lost, domain)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lost = slices.DeleteFunc(l.lost, func(d string) bool { return d == domain })
	}, nil
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lost)
}

// What is taken is recorded before it is sent, and stays recorded unless it is
// certain that it didn't happen. What is given is not recorded.
func TestRemovalsAreRecordedBeforeTheyAreSent(t *testing.T) {
	tests := []struct {
		name  string
		fault simulator.Fault
		lost  int
	}{
		{"done", simulator.Fault{}, 1},
		{"invalid", simulator.Fault{Status: 400}, 0},
		{"forbidden", simulator.Fault{Status: 403}, 0},
		{"done, but not answered", simulator.Fault{Cut: true, After: true}, 1},
		{"neither done nor answered", simulator.Fault{Cut: true}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, simulatortest.Config{}, func(t *testing.T, r *rig) {
				plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
					switch d {
					case r.child(0):
						o.Products = []string{}
					case r.child(1):
						o.Status = state.Active
						o.Products, o.ProductPolicy = []string{"P000131", "P000139"}, state.Additive
					}
				}))
				l := &ledger{}
				early := false
				loser, _ := r.Org(r.child(0))
				tt.fault.Method, tt.fault.Path = http.MethodPut, "/api/v1/orgs/"+loser.ID+"/**"
				tt.fault.Do = func() { early = early || l.count() == 0 }
				r.AddFault(tt.fault)
				result, err := apply.Apply(t.Context(), plan, r.client, apply.Options{Concurrency: 1, Removals: l})
				if err != nil {
					t.Fatal(err)
				}
				if l.count() != tt.lost || early {
					t.Errorf("recorded %v, want %d; sent before it was recorded: %v; %+v", l.lost, tt.lost, early, result.Outcomes)
				}
			})
		})
	}
}

func TestRemovalsMayBeRefused(t *testing.T) {
	r := start(t, simulatortest.Config{Orgs: 5})
	plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
		if d != simulator.DefaultAerialOrg {
			o.Status = state.Inactive
		}
	}))
	r.ResetRequests()
	l := &ledger{max: 2}
	result, err := apply.Apply(t.Context(), plan, r.client, apply.Options{Concurrency: 1, Removals: l})
	if err != nil {
		t.Fatal(err)
	}
	if c := result.Counts(); c.Applied != 2 || c.Failed == 0 || l.count() != 2 {
		t.Errorf("%+v, recorded %v", c, l.lost)
	}
	for _, o := range result.Outcomes {
		if o.Result == apply.Failed && o.Error != errFull.Error() {
			t.Errorf("%+v", o)
		}
	}
	if w := r.writes(); len(w) != 2 {
		t.Errorf("wrote %v", w)
	}
}

// nameless leaves out the domains of orgs.
type nameless struct{ apply.API }

func (n nameless) Org(ctx context.Context, id string) (state.Org, error) {
	org, err := n.API.Org(ctx, id)
	org.Domain = ""
	return org, err
}

// An org whose answer lacks the domain may be one that is never deactivated.
func TestOrgWithoutDomainIsNotDeactivated(t *testing.T) {
	r := start(t, simulatortest.Config{})
	org, _ := r.Org(r.child(0))
	change := diff.Change{Org: org.Domain, OrgID: org.ID, Action: diff.SetStatus, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE"), Destructive: true}
	for _, all := range []bool{false, true} {
		result, err := apply.Apply(t.Context(), &diff.Plan{Changes: []diff.Change{change}}, nameless{r.client}, apply.Options{NeverDeactivated: apply.Protected{All: all}})
		if err != nil {
			t.Fatal(err)
		}
		if applied := result.Outcomes[0].Result == apply.Applied; applied != all {
			t.Errorf("all of them known: %v, %+v", all, result.Outcomes[0])
		}
	}
}
