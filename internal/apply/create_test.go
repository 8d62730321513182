package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// creator is a Creator that does as it is told.
type creator struct {
	create func(ctx context.Context, c diff.Change, link func(context.Context) error) (apply.Created, error)
	note   string

	mu     sync.Mutex
	linked []string
	done   []string
}

func (c *creator) Done(domain string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = append(c.done, domain)
}

func (c *creator) Create(ctx context.Context, change diff.Change, maySend func() error, link func(context.Context) error) (apply.Created, error) {
	return c.create(ctx, change, link)
}

func (c *creator) Linked(_ context.Context, domain, orgID string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linked = append(c.linked, domain+" "+orgID)
	return c.note
}

// planNew plans the creation of acme-new.okta.com, which the simulator has, and
// which can be linked.
func (r *rig) planNew(t *testing.T, more ...state.DesiredOrg) *diff.Plan {
	t.Helper()
	desired := desire(r.observe(t), func(string, *state.DesiredOrg) {})
	desired.Orgs = append(desired.Orgs, more...)
	desired.Orgs = append(desired.Orgs, state.DesiredOrg{
		Domain: "acme-new.okta.com", Cell: "ok1", Products: []string{"P000052"}, ProductPolicy: state.Exact, Mode: state.Apply,
		Create: &state.Create{Parent: "acme", Name: "Acme New"},
	})
	return r.plan(t, desired)
}

func (r *rig) applyWith(t *testing.T, ctx context.Context, plan *diff.Plan, c apply.Creator) *apply.Result {
	t.Helper()
	result, err := apply.Apply(ctx, plan, r.client, apply.Options{Concurrency: 1, Creator: c})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

const added = "acme-new.okta.com"

func TestCreateNeedsACreator(t *testing.T) {
	r := start(t, simulatortest.Config{})
	result := r.apply(t, r.planNew(t))
	wantOutcomes(t, result,
		apply.Outcome{Org: added, Action: diff.CreateOrg, Result: apply.Failed, Error: "can't create orgs"},
		apply.Outcome{Org: added, Action: diff.LinkOrg, Result: apply.Skipped, Error: "create-org failed before it"},
		apply.Outcome{Org: added, Action: diff.UpdateProducts, Result: apply.Skipped, Error: "create-org failed before it"})
	if h := result.Outcomes[0].Hint; !strings.Contains(h, "parents") || len(r.writes()) != 0 {
		t.Errorf("hint %q, writes %v", h, r.writes())
	}
}

func TestCreatedOrgIsLinkedByItsID(t *testing.T) {
	r := start(t, simulatortest.Config{})
	org, _ := r.Org(added)
	c := &creator{note: "look out", create: func(_ context.Context, c diff.Change, _ func(context.Context) error) (apply.Created, error) {
		if c.Org != added || c.Create == nil || c.Create.Name != "Acme New" || c.Cell != "ok1" {
			t.Errorf("told to create %+v", c)
		}
		return apply.Created{OrgID: org.ID, Note: "created"}, nil
	}}
	bought := state.DesiredOrg{Domain: bought, Cell: "ok7", ProductPolicy: state.Exact, Mode: state.Apply}
	result := r.applyWith(t, t.Context(), r.planNew(t, bought), c)
	ask := "put `id: " + org.ID + "` into its manifest, which keeps it known after a rename"
	for i, hint := range []string{"look out", "created", "look out; " + ask, ""} {
		if o := result.Outcomes[i]; o.Result != apply.Applied || o.Hint != hint || o.OrgID == "" {
			t.Errorf("%+v", o)
		}
	}
	slices.Sort(c.linked)
	other, _ := r.Org("acme-bought.okta.com")
	if w := []string{"acme-bought.okta.com " + other.ID, added + " " + org.ID}; !slices.Equal(c.linked, w) {
		t.Errorf("told of %v, wanted %v", c.linked, w)
	}
	if !slices.Equal(c.done, []string{added}) {
		t.Errorf("done: %v", c.done)
	}
	if !slices.ContainsFunc(r.Requests(), func(q simulator.Request) bool { return strings.Contains(q.Body, `{"orgId":"`+org.ID) }) {
		t.Error("not linked by its id")
	}
}

// Linking is how a creator finds out whether there is an org; then it isn't
// linked again.
func TestCreatorLinks(t *testing.T) {
	r := start(t, simulatortest.Config{})
	c := &creator{note: "its token was lost", create: func(ctx context.Context, c diff.Change, link func(context.Context) error) (apply.Created, error) {
		return apply.Created{Note: "it was there"}, link(ctx)
	}}
	result := r.applyWith(t, t.Context(), r.planNew(t), c)
	ask := "put `id: " + result.Outcomes[1].OrgID + "` into its manifest, which keeps it known after a rename"
	for i, hint := range []string{"it was there", "its token was lost; " + ask, ""} {
		if o := result.Outcomes[i]; o.Result != apply.Applied || o.Hint != hint || o.OrgID == "" {
			t.Errorf("%+v", o)
		}
	}
	if w := r.writes(); len(w) != 2 || len(c.linked) != 1 {
		t.Errorf("writes %v, told of %v", w, c.linked)
	}
}

// What Okta refuses can be told from what failed on the way.
func TestLinkErrorsAreTold(t *testing.T) {
	for _, tt := range []struct {
		domain  string
		status  int
		refused bool
	}{{"acme-nobody.okta.com", 0, true}, {"acme-merged.okta.com", 0, true}, {added, 500, false}} {
		r := start(t, simulatortest.Config{})
		if tt.status != 0 {
			r.AddFault(simulator.Fault{API: "aerial", Method: "POST", Status: tt.status})
		}
		var told error
		c := &creator{create: func(ctx context.Context, c diff.Change, link func(context.Context) error) (apply.Created, error) {
			told = link(ctx)
			return apply.Created{}, told
		}}
		plan := r.planNew(t)
		for i := range plan.Changes {
			plan.Changes[i].Org = tt.domain
		}
		r.applyWith(t, t.Context(), plan, c)
		var e interface{ Refused() bool }
		if told == nil || (errors.As(told, &e) && e.Refused()) != tt.refused {
			t.Errorf("%s: %v", tt.domain, told)
		}
	}
}

type doubtful struct{}

func (doubtful) Error() string { return "it is taken" }
func (doubtful) Hint() string  { return "declare another domain" }

func TestDoubtfulOrgThatCannotBeLinked(t *testing.T) {
	r := start(t, simulatortest.Config{})
	plan := r.planNew(t)
	for i := range plan.Changes {
		plan.Changes[i].Org, plan.Changes[i].Cell = "acme-merged.okta.com", "ok2" // it gave no consent
	}
	c := &creator{create: func(context.Context, diff.Change, func(context.Context) error) (apply.Created, error) {
		return apply.Created{Doubt: doubtful{}}, nil
	}}
	result := r.applyWith(t, t.Context(), plan, c)
	o := result.Outcomes[0]
	if result.Outcomes[1].Result != apply.Skipped {
		t.Errorf("%+v", result.Outcomes[1])
	}
	if o.Result != apply.Failed || !strings.HasPrefix(o.Error, "it is taken: linking") || !strings.Contains(o.Error, "403 E0000006") || !strings.Contains(o.Hint, "another domain") || len(c.done) != 0 {
		t.Errorf("%+v", o)
	}
}

// An org that waits to be created holds up nobody, even if orgs are worked on
// one at a time.
func TestCreationHoldsUpNobody(t *testing.T) {
	r := start(t, simulatortest.Config{})
	linked := make(chan struct{})
	c := &creator{create: func(context.Context, diff.Change, func(context.Context) error) (apply.Created, error) {
		<-linked
		return apply.Created{}, nil
	}}
	other := state.DesiredOrg{Domain: "acme-bought.okta.com", Cell: "ok7", ProductPolicy: state.Exact, Mode: state.Apply}
	zebra := state.DesiredOrg{
		Domain: "zebra.okta.com", Cell: "ok1", ProductPolicy: state.Exact, Mode: state.Apply,
		Create: &state.Create{Parent: "acme", Name: "Zebra"},
	}
	plan := r.planNew(t, other, zebra)
	_, err := apply.Apply(t.Context(), plan, r.client, apply.Options{Concurrency: 1, Creator: c, Done: func(c diff.Change, _ apply.Outcome) {
		if c.Org == other.Domain {
			close(linked)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoppedCreationIsSkipped(t *testing.T) {
	for _, made := range []bool{false, true} {
		r := start(t, simulatortest.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		c := &creator{create: func(ctx context.Context, _ diff.Change, _ func(context.Context) error) (apply.Created, error) {
			cancel()
			if made {
				return apply.Created{OrgID: "00o1"}, nil
			}
			return apply.Created{}, fmt.Errorf("waiting: %w", ctx.Err())
		}}
		result := r.applyWith(t, ctx, r.planNew(t), c)
		first := apply.Outcome{Org: added, Action: diff.CreateOrg, Result: apply.Skipped, Error: "the run was stopped"}
		if made {
			first.Result, first.Error = apply.Applied, ""
		}
		wantOutcomes(t, result, first,
			apply.Outcome{Org: added, Action: diff.LinkOrg, Result: apply.Skipped, Error: "the run was stopped"},
			apply.Outcome{Org: added, Action: diff.UpdateProducts, Result: apply.Skipped, Error: "the run was stopped"})
	}
}

// deletions writes down what it is told.
type deletions struct {
	told []string
	fail string // which method fails
}

func (d *deletions) Begin(orgID, domain string) error {
	d.told = append(d.told, "begin "+domain)
	if d.fail == "begin" {
		return errors.New("the disk is full")
	}
	return nil
}

func (d *deletions) End(orgID, refusal string) error {
	word, _, _ := strings.Cut(refusal, " ")
	d.told = append(d.told, strings.TrimSpace("end "+word))
	if d.fail == "end" {
		return errors.New("the disk is full")
	}
	return nil
}

// The request for a deletion is noted once Okta has it, also when Okta had it
// from an earlier attempt whose answer was lost.
func TestDeletionIsNoted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  *simulator.Fault
		before bool
		fail   string
		told   []string
		hint   string
		result apply.Status
		asked  bool
	}{
		{"plain", nil, false, "", []string{"end"}, "", apply.Applied, true},
		{"asked before", nil, true, "", []string{"end"}, "had been asked for before", apply.Applied, true},
		{"refused", &simulator.Fault{Status: 403}, false, "", []string{"end requesting"}, "scope", apply.Failed, false},
		{"answer lost", &simulator.Fault{Cut: true, After: true}, false, "", nil, "", apply.Failed, true},
		{"no journal", nil, false, "begin", nil, "", apply.Failed, false},
		{"journal lost meanwhile", nil, false, "end", []string{"end"}, "the next plan shows it again", apply.Applied, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seed := simulator.DefaultSeed(10)
			seed.Account.DeletionAllowed = true
			r := start(t, simulatortest.Config{Seed: seed})
			domain := r.child(0)
			org, _ := r.Org(domain)
			if err := r.SetOrgStatus(domain, "INACTIVE", "somebody"); err != nil {
				t.Fatal(err)
			}
			if tt.before {
				if err := r.client.RequestDeletion(t.Context(), org.ID, func(context.Context) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if tt.fault != nil {
				tt.fault.Path = "/api/v1/orgs/*/deletionRequest"
				r.AddFault(*tt.fault)
			}
			d := &deletions{fail: tt.fail}
			plan := &diff.Plan{Changes: []diff.Change{{Org: domain, OrgID: org.ID, Action: diff.RequestDeletion}}}
			result, err := apply.Apply(t.Context(), plan, r.client, apply.Options{Deletions: d})
			if err != nil {
				t.Fatal(err)
			}
			if o := result.Outcomes[0]; o.Result != tt.result || !strings.Contains(o.Hint, tt.hint) || !slices.Equal(d.told[1:], tt.told) {
				t.Errorf("%+v, told %q", o, d.told)
			}
			if org, _ := r.Org(domain); org.DeletionRequested != tt.asked {
				t.Errorf("asked: %v", org.DeletionRequested)
			}
		})
	}
}
