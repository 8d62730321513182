package apply_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a simulator and the production client that talks to it over HTTP.
type rig struct {
	*simulatortest.Server
	client *aerial.Client
}

var _ apply.API = (*aerial.Client)(nil)

func start(t *testing.T, c simulatortest.Config) *rig {
	t.Helper()
	return connect(t, simulatortest.Start(t, c))
}

// inBubble runs f with a simulator that is reached without a network, in a
// bubble of fake time: whatever waits takes no time.
func inBubble(t *testing.T, c simulatortest.Config, f func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, connect(t, simulatortest.New(t, c))) })
}

// connect makes the client for a simulator.
func connect(t *testing.T, sim *simulatortest.Server) *rig {
	t.Helper()
	origin, err := url.Parse(sim.URL)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := sim.Credentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	auth, err := auth.New(auth.Options{
		OrgURL: origin, ClientID: sim.Credentials.ClientID, KeyID: sim.Credentials.KeyID,
		Key:  func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(pem) },
		HTTP: sim.Client.Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := aerial.New(aerial.Options{
		URL: origin, AccountID: sim.AccountID, Transport: sim.Client.Transport,
		Auth: func(rt http.RoundTripper) http.RoundTripper {
			return auth.Transport(rt, origin, "okta.accounts.read", "okta.accounts.manage")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{sim, client}
}

func (r *rig) observe(t *testing.T) *state.Actual {
	t.Helper()
	actual, err := r.client.Observe(t.Context(), func(state.Org) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return actual
}

// desire declares the account as it is, changed by edit.
func desire(actual *state.Actual, edit func(domain string, o *state.DesiredOrg)) *state.Desired {
	d := &state.Desired{}
	for _, o := range actual.Orgs {
		org := state.DesiredOrg{
			Domain: o.Domain, Cell: o.Cell, Status: o.Status, Products: slices.Clone(o.Products),
			ProductPolicy: state.Exact, Mode: state.Apply,
		}
		edit(o.Domain, &org)
		d.Orgs = append(d.Orgs, org)
	}
	return d
}

func (r *rig) plan(t *testing.T, desired *state.Desired) *diff.Plan {
	t.Helper()
	plan, err := diff.Compute(desired, r.observe(t), diff.Options{
		Account: r.AccountID,
		Guards:  diff.Guards{MaxDestructiveOrgs: 1000, MaxDestructivePercent: 100, MaxNewOrgs: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func (r *rig) apply(t *testing.T, plan *diff.Plan) *apply.Result {
	t.Helper()
	result, err := apply.Apply(t.Context(), plan, r.client, apply.Options{Concurrency: 10})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// writes lists the calls that changed something or tried to.
func (r *rig) writes() []string {
	var all []string
	for _, req := range r.Requests() {
		if req.Aerial && req.Method != http.MethodGet {
			all = append(all, req.Method+" "+req.Path[strings.Index(req.Path, "/api/v1"):])
		}
	}
	return all
}

// wantOutcomes compares org, action, result and the beginning of the error.
func wantOutcomes(t *testing.T, result *apply.Result, wanted ...apply.Outcome) {
	t.Helper()
	actual := slices.Clone(result.Outcomes)
	for i := range actual {
		actual[i].OrgID, actual[i].Hint = "", ""
		if i < len(wanted) && wanted[i].Error != "" && strings.Contains(actual[i].Error, wanted[i].Error) {
			actual[i].Error = wanted[i].Error
		}
	}
	if d := cmp.Diff(wanted, actual); d != "" {
		t.Errorf("outcomes (-wanted +actual):\n%s", d)
	}
}

const (
	bought = "acme-bought.okta.com"
)

// child returns the domain of the nth child of the fleet.
func (r *rig) child(n int) string { return r.Orgs()[6+n].Domain }

func TestApplyThenDiffIsEmpty(t *testing.T) {
	r := start(t, simulatortest.Config{Orgs: 12})
	i := 0
	desired := desire(r.observe(t), func(domain string, o *state.DesiredOrg) {
		i++
		switch {
		case domain == simulator.DefaultAerialOrg || domain == simulator.DefaultParent:
		case i%3 == 0:
			o.Products = []string{"P000052", "P000139"}
		case i%3 == 1 && o.Status == state.Active:
			o.Status = state.Inactive
		case i%3 == 2:
			o.Products, o.Status = []string{}, state.Active
		}
	})
	desired.Account.Name = "Acme & Daughters"
	desired.Orgs = append(desired.Orgs, state.DesiredOrg{
		Domain: "acme-new.okta.com", Cell: "ok1", Products: []string{"P000052", "P000131"},
		ProductPolicy: state.Exact, Mode: state.Apply, Status: state.Active,
	})

	plan := r.plan(t, desired)
	if plan.Empty() {
		t.Fatal("nothing to do: this test tests nothing")
	}
	for _, o := range r.apply(t, plan).Outcomes {
		if o.Result != apply.Applied || o.Hint != "" {
			t.Errorf("%+v", o)
		}
	}
	if again := r.plan(t, desired); !again.Empty() {
		t.Errorf("still different: %+v", again)
	}
	if r.MaxInFlight() > aerial.MaxConcurrency {
		t.Errorf("%d calls in flight", r.MaxInFlight())
	}
}

func TestNothingToDoWritesNothing(t *testing.T) {
	r := start(t, simulatortest.Config{})
	plan := r.plan(t, desire(r.observe(t), func(string, *state.DesiredOrg) {}))
	if result := r.apply(t, plan); len(result.Outcomes) != 0 || len(r.writes()) != 0 {
		t.Errorf("outcomes %v, writes %v", result.Outcomes, r.writes())
	}
}

func TestRefusedPlanWritesNothing(t *testing.T) {
	r := start(t, simulatortest.Config{})
	plan := r.plan(t, desire(r.observe(t), func(_ string, o *state.DesiredOrg) { o.Products = []string{} }))
	plan.Refusals = []diff.Refusal{{Guard: diff.GuardOrgs, Message: "too many"}}
	if _, err := apply.Apply(t.Context(), plan, r.client, apply.Options{}); !errors.Is(err, apply.ErrRefused) {
		t.Errorf("got %v", err)
	}
	if w := r.writes(); len(w) != 0 {
		t.Errorf("wrote %v", w)
	}
}

func TestOneFailureStopsOnlyItsOrg(t *testing.T) {
	r := start(t, simulatortest.Config{})
	broken := r.child(0)
	org, _ := r.Org(broken)
	r.AddFault(simulator.Fault{Method: "PUT", Path: "/api/v1/orgs/" + org.ID + "/products", Status: 400})
	plan := r.plan(t, desire(r.observe(t), func(domain string, o *state.DesiredOrg) {
		if domain == broken || domain == r.child(1) {
			o.Products, o.Status = []string{"P000052"}, state.Inactive
		}
	}))
	result := r.apply(t, plan)
	for _, o := range result.Outcomes {
		switch {
		case o.Org != broken && o.Result == apply.Applied:
		case o.Org == broken && o.Action == diff.UpdateProducts && o.Result == apply.Failed && strings.Contains(o.Error, "E0000001"):
		case o.Org == broken && o.Action == diff.SetStatus && o.Result == apply.Skipped:
		default:
			t.Errorf("unexpected %+v", o)
		}
	}
	if c := result.Counts(); c != (apply.Counts{Applied: 2, Failed: 1, Skipped: 1}) {
		t.Errorf("counts %+v", c)
	}
}

func TestOrgThatMovedIsLeftAlone(t *testing.T) {
	r := start(t, simulatortest.Config{})
	domain := r.child(0)
	plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
		if d == domain {
			o.Products, o.Status = []string{"P000052"}, state.Inactive
		}
	}))
	if err := r.SetOrgProducts(domain, []string{"P001113"}, "mallory"); err != nil {
		t.Fatal(err)
	}
	r.ResetRequests()
	result := r.apply(t, plan)
	wantOutcomes(t, result,
		apply.Outcome{Org: domain, Action: diff.UpdateProducts, Result: apply.Failed, Error: "left alone: the org's products are now [P001113], but the plan was made for [P0"},
		apply.Outcome{Org: domain, Action: diff.SetStatus, Result: apply.Skipped, Error: "update-products failed before it"})
	if result.Outcomes[0].Hint == "" {
		t.Error("no hint")
	}
	if w := r.writes(); len(w) != 0 {
		t.Errorf("wrote %v", w)
	}
}

// Tokens that stop working in the middle of a run are renewed, and no write is
// lost or made twice.
func TestTokensExpireInTheMiddle(t *testing.T) {
	r := start(t, simulatortest.Config{Orgs: 20})
	desired := desire(r.observe(t), func(_ string, o *state.DesiredOrg) { o.Products = []string{"P000052", "P000203"} })
	plan := r.plan(t, desired)
	r.AddFault(simulator.Fault{Method: "PUT", Nth: 5, ExpireTokens: true})
	result := r.apply(t, plan)
	if c := result.Counts(); c.Applied != len(plan.Changes) {
		t.Errorf("counts %+v of %d", c, len(plan.Changes))
	}
	if again := r.plan(t, desired); !again.Empty() {
		t.Errorf("still different: %+v", again.Changes)
	}
}

func TestWhatIsAlreadySoIsNotWritten(t *testing.T) {
	r := start(t, simulatortest.Config{})
	domain := r.child(0)
	plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
		if d == domain {
			o.Products, o.Status = []string{"P000052"}, state.Inactive
		}
	}))
	if err := errors.Join(
		r.SetOrgProducts(domain, []string{"P000052"}, "somebody"),
		r.SetOrgStatus(domain, "INACTIVE", "somebody"),
	); err != nil {
		t.Fatal(err)
	}
	r.ResetRequests()
	for _, o := range r.apply(t, plan).Outcomes {
		if o.Result != apply.Applied || !strings.Contains(o.Hint, "already") {
			t.Errorf("%+v", o)
		}
	}
	if w := r.writes(); len(w) != 0 {
		t.Errorf("wrote %v", w)
	}
}

// A 500 after the write took effect looks like a failure and isn't one.
func TestLostAnswers(t *testing.T) {
	for _, fault := range []simulator.Fault{
		{Status: 500, After: true, Times: 1},
		{Cut: true, After: true, Times: 1},
		{CutBody: true, Times: 1},
		{Status: 500, Times: 1},
		{Status: 429, RetryAfter: time.Second, Times: 1},
	} {
		for _, method := range []string{"PUT", "POST"} {
			fault.Method, fault.API = method, "aerial"
			t.Run(method+" "+fault.String(), func(t *testing.T) {
				t.Parallel()
				inBubble(t, simulatortest.Config{}, func(t *testing.T, r *rig) {
					desired := desire(r.observe(t), func(d string, o *state.DesiredOrg) {
						if d == r.child(0) && method == "PUT" {
							o.Products = []string{"P000052", "P000201"}
						}
					})
					if method == "POST" {
						desired.Orgs = append(desired.Orgs, state.DesiredOrg{
							Domain: "acme-new.okta.com", Cell: "ok1", ProductPolicy: state.Exact, Mode: state.Apply,
						})
					}
					plan := r.plan(t, desired)
					r.AddFault(fault)
					result := r.apply(t, plan)

					// A POST that may not have taken effect is never sent again by
					// itself: the next run does that.
					refused := method == "POST" && fault.Status == 500 && !fault.After
					if got := result.Outcomes[0].Result; (got == apply.Applied) == refused {
						t.Errorf("%+v", result.Outcomes[0])
					}
					posts := 0
					for _, w := range r.writes() {
						if strings.HasPrefix(w, "POST") {
							posts++
						}
					}
					if posts > 1 && fault.Status != 429 {
						t.Errorf("linked %d times", posts)
					}
					if again := r.plan(t, desired); again.Empty() == refused {
						t.Errorf("afterwards: %+v", again.Changes)
					}
				})
			})
		}
	}
}

func TestLinkedOrgNeverLosesProductsThePlanDidNotKnow(t *testing.T) {
	org := func(products ...string) state.DesiredOrg {
		return state.DesiredOrg{Domain: bought, Cell: "ok7", Products: products, ProductPolicy: state.Exact, Mode: state.Apply}
	}
	t.Run("some would be lost", func(t *testing.T) {
		r := start(t, simulatortest.Config{})
		desired := &state.Desired{Orgs: []state.DesiredOrg{org("P000131")}}
		result := r.apply(t, r.plan(t, desired))
		wantOutcomes(t, result,
			apply.Outcome{Org: bought, Action: diff.LinkOrg, Result: apply.Applied},
			apply.Outcome{Org: bought, Action: diff.UpdateProducts, Result: apply.Failed, Error: "left alone: the org came with products [P000052 P000207]"})
		next := r.plan(t, desired)
		if len(next.Changes) != 1 || !next.Changes[0].Destructive {
			t.Errorf("the next plan must show the loss: %+v", next.Changes)
		}
	})
	t.Run("none would be lost", func(t *testing.T) {
		r := start(t, simulatortest.Config{})
		desired := &state.Desired{Orgs: []state.DesiredOrg{org("P000052", "P000131", "P000207")}}
		result := r.apply(t, r.plan(t, desired))
		wantOutcomes(t, result,
			apply.Outcome{Org: bought, Action: diff.LinkOrg, Result: apply.Applied},
			apply.Outcome{Org: bought, Action: diff.UpdateProducts, Result: apply.Applied})
	})
}

func TestLinkRefusals(t *testing.T) {
	r := start(t, simulatortest.Config{})
	desired := &state.Desired{}
	for domain, cell := range map[string]string{"acme-merged.okta.com": "ok2", "nobody.okta.com": "ok1", bought: "ok1"} {
		desired.Orgs = append(desired.Orgs, state.DesiredOrg{
			Domain: domain, Cell: cell, Products: []string{"P000052"}, ProductPolicy: state.Exact, Mode: state.Apply,
		})
	}
	result := r.apply(t, r.plan(t, desired))
	if c := result.Counts(); c != (apply.Counts{Failed: 3, Skipped: 3}) {
		t.Errorf("counts %+v: %+v", c, result.Outcomes)
	}
	for _, o := range result.Outcomes {
		if o.Result == apply.Failed && !strings.Contains(o.Error, "errorId oae") {
			t.Errorf("without Okta's words: %+v", o)
		}
	}
}

// Okta has been seen to answer 200 to a write that was not in force.
func TestWriteThatIsNotInForceFails(t *testing.T) {
	inBubble(t, simulatortest.Config{}, func(t *testing.T, r *rig) {
		domain := r.child(0)
		before, _ := r.Org(domain)
		plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
			if d == domain {
				o.Products = []string{"P000052"}
			}
		}))
		// Somebody takes it back between the write and each read that follows.
		puts := 0
		r.AddFault(simulator.Fault{Method: "PUT", Path: "/api/v1/orgs/*/products", Do: func() { puts++ }})
		r.AddFault(simulator.Fault{Method: "GET", Path: "/api/v1/orgs/*/products", Do: func() {
			if puts > 0 {
				if err := r.SetOrgProducts(domain, before.Products, "mallory"); err != nil {
					t.Error(err)
				}
			}
		}})
		result := r.apply(t, plan)
		wantOutcomes(t, result, apply.Outcome{
			Org: domain, Action: diff.UpdateProducts, Result: apply.Failed, Error: "written without an error, but not in force",
		})
	})
}

func TestDeletion(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		seed := simulator.DefaultSeed(10)
		seed.Account.DeletionAllowed = allowed
		r := start(t, simulatortest.Config{Seed: seed})
		domain := r.child(0)
		plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
			if d == domain {
				o.Status, o.RequestDeletion = state.Inactive, true
			}
		}))
		result := r.apply(t, plan)
		last := apply.Outcome{Org: domain, Action: diff.RequestDeletion, Result: apply.Applied}
		if !allowed {
			last.Result, last.Error = apply.Failed, "errorId oae"
		}
		wantOutcomes(t, result, apply.Outcome{Org: domain, Action: diff.SetStatus, Result: apply.Applied}, last)
		if org, _ := r.Org(domain); org.DeletionRequested != allowed {
			t.Errorf("deletion allowed: %v, requested: %v", allowed, org.DeletionRequested)
		}
	}
}

func TestAerialOrgIsNeverDeactivated(t *testing.T) {
	r := start(t, simulatortest.Config{})
	org, _ := r.Org(simulator.DefaultAerialOrg)
	change := diff.Change{Org: org.Domain, OrgID: org.ID, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE")}
	for _, action := range []diff.Action{diff.SetStatus, diff.RequestDeletion} {
		change.Action = action
		result := r.apply(t, &diff.Plan{Changes: []diff.Change{change}})
		wantOutcomes(t, result, apply.Outcome{Org: org.Domain, Action: action, Result: apply.Failed, Error: "the Aerial org is never"})
	}
	if w := r.writes(); len(w) != 0 {
		t.Errorf("wrote %v", w)
	}
}

// A run that is stopped finishes the calls in flight, starts no new ones, and
// knows what it did.
func TestStopInTheMiddle(t *testing.T) {
	inBubble(t, simulatortest.Config{Orgs: 40}, func(t *testing.T, r *rig) {
		plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
			if d != simulator.DefaultAerialOrg {
				o.Products = []string{"P000052", "P000201", "P000208"}
			}
		}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var once sync.Once
		r.AddFault(simulator.Fault{Method: "PUT", Delay: 100 * time.Millisecond, Do: func() { once.Do(cancel) }})
		r.ResetRequests()
		result, err := apply.Apply(ctx, plan, r.client, apply.Options{Concurrency: 10})
		if err != nil {
			t.Fatal(err)
		}
		if !result.Interrupted {
			t.Error("not marked as interrupted")
		}
		applied := 0
		for i, o := range result.Outcomes {
			org, _ := r.Org(o.Org)
			inForce := slices.Equal(org.Products, plan.Changes[i].After.List())
			switch o.Result {
			case apply.Applied:
				applied++
				if !inForce || !strings.Contains(o.Hint, "not read back") {
					t.Errorf("%+v, in force: %v", o, inForce)
				}
			case apply.Skipped:
				if inForce || o.Error != "the run was stopped" {
					t.Errorf("%+v, in force: %v", o, inForce)
				}
			default:
				t.Errorf("unexpected %+v", o)
			}
		}
		if puts := len(r.writes()); puts != applied || applied == 0 || applied > 10 {
			t.Errorf("%d writes, %d told as applied", puts, applied)
		}
	})
}

func TestDoneIsToldOfEachChangeOnce(t *testing.T) {
	r := start(t, simulatortest.Config{})
	plan := r.plan(t, desire(r.observe(t), func(_ string, o *state.DesiredOrg) {
		o.Products = []string{"P000052", "P000202"}
	}))
	told := map[string]int{}
	result, err := apply.Apply(t.Context(), plan, r.client, apply.Options{
		Concurrency: 5,
		Done:        func(c diff.Change, o apply.Outcome) { told[c.Org+" "+string(o.Action)]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range result.Outcomes {
		if n := told[o.Org+" "+string(o.Action)]; n != 1 {
			t.Errorf("told %d times of %+v", n, o)
		}
	}
}

// A wrong id links an org that nobody named. That can't be undone; but nothing
// more may happen to that org.
func TestOrgThatIsNotTheDeclaredOneIsNotWritten(t *testing.T) {
	for _, fault := range []*simulator.Fault{nil, {Method: "POST", Path: "/api/v1/orgs", Status: 500, After: true, Times: 1}} {
		r := start(t, simulatortest.Config{})
		org, _ := r.Org(bought)
		desired := &state.Desired{Orgs: []state.DesiredOrg{{
			Domain: "acme-retired.okta.com", ID: org.ID, Cell: org.Cell, Status: state.Inactive,
			Products: []string{"P000131"}, ProductPolicy: state.Exact, Mode: state.Apply,
		}}}
		plan := r.plan(t, desired)
		if fault != nil {
			if err := r.AddFault(*fault); err != nil {
				t.Fatal(err)
			}
		}
		result := r.apply(t, plan)
		for i, o := range result.Outcomes {
			if i == 0 && (o.Result != apply.Failed || !strings.Contains(o.Error, `is "acme-bought.okta.com", not "acme-retired.okta.com"`)) || i > 0 && o.Result != apply.Skipped {
				t.Errorf("%+v", o)
			}
		}
		if after, _ := r.Org(bought); after.Status == "INACTIVE" || !slices.Equal(after.Products, org.Products) {
			t.Errorf("written: %+v", after)
		}
	}
}

func TestIDAndDomainMustAgreeBeforeEachWrite(t *testing.T) {
	r := start(t, simulatortest.Config{})
	org, _ := r.Org(r.child(0))
	for _, c := range []diff.Change{
		{Action: diff.SetStatus, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE")},
		{Action: diff.UpdateProducts, Before: diff.List(org.Products), After: diff.List(nil)},
		{Action: diff.RequestDeletion},
	} {
		c.Org, c.OrgID = "acme-other.okta.com", org.ID
		result := r.apply(t, &diff.Plan{Changes: []diff.Change{c}})
		wantOutcomes(t, result, apply.Outcome{Org: c.Org, Action: c.Action, Result: apply.Failed, Error: "left alone: the org with the id"})
	}
	if w := r.writes(); len(w) != 0 {
		t.Errorf("wrote %v", w)
	}
}

func TestNeverDeactivatedOrgs(t *testing.T) {
	r := start(t, simulatortest.Config{})
	org, _ := r.Org(r.child(0))
	for _, action := range []diff.Action{diff.SetStatus, diff.RequestDeletion} {
		change := diff.Change{Org: org.Domain, OrgID: org.ID, Action: action, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE")}
		for _, p := range []apply.Protected{{Domains: []string{org.Domain}}, {IDs: []string{org.ID}}} {
			result, err := apply.Apply(t.Context(), &diff.Plan{Changes: []diff.Change{change}}, r.client, apply.Options{NeverDeactivated: p})
			if err != nil {
				t.Fatal(err)
			}
			wantOutcomes(t, result, apply.Outcome{Org: org.Domain, Action: action, Result: apply.Failed, Error: "the Aerial org or a parent org is never deactivated or deleted"})
		}
	}
	if w := r.writes(); len(w) != 0 {
		t.Errorf("wrote %v", w)
	}
}

func TestAdditiveOrgKeepsWhatItCameWith(t *testing.T) {
	r := start(t, simulatortest.Config{})
	desired := &state.Desired{Orgs: []state.DesiredOrg{{
		Domain: bought, Cell: "ok7", Products: []string{"P000131"}, ProductPolicy: state.Additive, Mode: state.Apply,
	}}}
	for _, o := range r.apply(t, r.plan(t, desired)).Outcomes {
		if o.Result != apply.Applied {
			t.Errorf("%+v", o)
		}
	}
	if org, _ := r.Org(bought); !slices.Equal(org.Products, []string{"P000052", "P000131", "P000207"}) {
		t.Errorf("products %v", org.Products)
	}
	if again := r.plan(t, desired); !again.Empty() {
		t.Errorf("still different: %+v", again.Changes)
	}
}

// A write that is sent again after a while must not undo what somebody did in
// the meantime.
func TestRetryDoesNotOverwriteWhatSomebodyDid(t *testing.T) {
	inBubble(t, simulatortest.Config{}, func(t *testing.T, r *rig) {
		domain := r.child(0)
		plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
			if d == domain {
				o.Products = []string{"P000052"}
			}
		}))
		var once sync.Once
		if err := r.AddFault(simulator.Fault{
			Method: "PUT", Status: 429, RetryAfter: 3 * time.Second, Times: 1,
			Do: func() {
				once.Do(func() {
					if err := r.SetOrgProducts(domain, []string{}, "admin"); err != nil {
						t.Error(err)
					}
				})
			},
		}); err != nil {
			t.Fatal(err)
		}
		result := r.apply(t, plan)
		wantOutcomes(t, result, apply.Outcome{Org: domain, Action: diff.UpdateProducts, Result: apply.Failed, Error: "left alone: the org's products are now []"})
		if org, _ := r.Org(domain); len(org.Products) != 0 {
			t.Errorf("overwritten: %v", org.Products)
		}
	})
}

// panicky is an API whose status calls have a bug.
type panicky struct{ *aerial.Client }

func (panicky) SetOrgStatus(context.Context, string, state.Status, func(context.Context) error) (state.Org, error) {
	panic("a bug")
}

func TestPanicCostsOnlyItsOrg(t *testing.T) {
	r := start(t, simulatortest.Config{})
	plan := r.plan(t, desire(r.observe(t), func(d string, o *state.DesiredOrg) {
		switch d {
		case r.child(0):
			o.Status = state.Inactive
		case r.child(1):
			o.Products = []string{"P000052"}
		}
	}))
	result, err := apply.Apply(t.Context(), plan, panicky{r.client}, apply.Options{Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	if c := result.Counts(); c != (apply.Counts{Applied: 1, Failed: 1}) {
		t.Errorf("%+v", result.Outcomes)
	}
}

// TestHeldWritesAreSkipped holds one org from the start, and all others as soon
// as the first write is out.
func TestHeldWritesAreSkipped(t *testing.T) {
	r := start(t, simulatortest.Config{})
	actual := r.observe(t)
	plan := r.plan(t, desire(actual, func(_ string, o *state.DesiredOrg) { o.Products = actualCatalog(actual) }))
	if len(plan.Changes) < 3 {
		t.Fatalf("%d changes, too few to tell anything", len(plan.Changes))
	}
	spared := plan.Changes[0].Org
	free := "" // the first org that is asked about
	result, err := apply.Apply(t.Context(), plan, r.client, apply.Options{
		Concurrency: 1,
		Held: func(org string) string {
			switch {
			case org == spared:
				return "suspended: spared"
			case free == "":
				free = org
			case org != free:
				return "suspended: too late"
			}
			return ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var applied int
	for i, o := range result.Outcomes {
		switch {
		case o.Result == apply.Applied:
			applied++
		case o.Result != apply.Skipped || !strings.Contains(o.Error, "held") || !strings.Contains(o.Error, "suspended: "):
			t.Errorf("outcome %d of %s is %+v", i, o.Org, o)
		}
	}
	if applied != 1 || len(r.writes()) != 1 {
		t.Errorf("%d changes applied by the writes %v, but exactly one was free", applied, r.writes())
	}
}

// actualCatalog returns the ids of all products that the account subscribes to.
func actualCatalog(actual *state.Actual) []string {
	var ids []string
	for _, p := range actual.Catalog {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return ids
}
