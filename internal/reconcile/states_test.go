package reconcile

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
)

// States are recorded some at a time, each org once and in order, and those that are as they
// were not again.
func TestStatesOfManyOrgs(t *testing.T) {
	const declared, undeclared = 2*statesAtOnce + 1, 3
	h := history.New(location.Folder(t.TempDir()), history.Options{})
	defer h.Close()
	r := &Reconciler{cfg: &config.Config{}, log: slog.New(slog.DiscardHandler), history: h, declared: map[string]*state.DesiredOrg{}, live: &state.Actual{}}
	for i := range declared + undeclared {
		domain := fmt.Sprintf("org-%04d.okta.com", (i*7)%(declared+undeclared))
		r.live.Orgs = append(r.live.Orgs, state.Org{ID: fmt.Sprintf("00o%d", i), Domain: domain, Status: state.Active})
		if i < declared {
			r.declared[domain] = &state.DesiredOrg{Domain: domain, Mode: state.Apply}
		}
	}
	record := func(run string) {
		t.Helper()
		rec, err := h.Begin(history.Run{ID: run})
		if err != nil {
			t.Fatal(err)
		}
		c := &Record{r: r, rec: rec, plan: &diff.Plan{Revision: "c0ffee"}}
		if err := c.states(nil); err != nil {
			t.Fatal(err)
		}
	}
	entries := func() []history.Entry {
		t.Helper()
		all, err := h.Entries(history.Query{Types: []history.Type{history.TypeState}})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(all) // oldest first
		return all
	}
	record("run-1")
	all := entries()
	if len(all) != declared+undeclared {
		t.Fatalf("%d states of %d orgs", len(all), declared+undeclared)
	}
	for i := range all {
		if want := fmt.Sprintf("org-%04d.okta.com", i); all[i].Org != want {
			t.Fatalf("state %d is of %s, not of %s", i, all[i].Org, want)
		}
	}
	states, err := h.LastStates()
	if err != nil {
		t.Fatal(err)
	}
	for i := range states {
		if is := r.declared[states[i].Org] != nil; is != (string(states[i].Declared) != "null" && len(states[i].Declared) > 0) || len(states[i].Live) == 0 {
			t.Errorf("%s: declared %s, live %s", states[i].Org, states[i].Declared, states[i].Live)
		}
	}

	gone := r.live.Orgs[0]
	delete(r.declared, gone.Domain)
	r.live.Orgs = r.live.Orgs[1:]
	record("run-2")
	if more := entries()[len(all):]; len(more) != 1 || more[0].Org != gone.Domain {
		t.Errorf("%+v", more)
	}
	record("run-3")
	if n := len(entries()) - len(all); n != 1 {
		t.Errorf("%d states of a run in which nothing happened", n-1)
	}
}

// What orgs have in common is kept once, and nothing else is.
func TestShared(t *testing.T) {
	groups := objects.ByName("groups")
	found := func(name string, unmanaged int, differences ...objects.Difference) *diff.Configuration {
		return &diff.Configuration{
			Declared: 1, Features: []diff.Feature{{ID: "ftr1", Name: name, Status: "ENABLED"}},
			Head: &objects.Comparison{
				Differences: differences, Count: objects.Count{Declared: 1, InSync: 1, Unmanaged: unmanaged},
				Kinds:      map[string]objects.Count{"groups": {Declared: 1, InSync: 1, Unmanaged: unmanaged}},
				Undeclared: map[string][]objects.Ref{"groups": {{Kind: groups, Name: name}}},
			},
		}
	}
	s := newSharedConfigurations()
	first, same := found("A", 1), found("A", 1)
	name, count, drifting := found("B", 1), found("A", 2), found("A", 1, objects.Difference{Op: objects.Delete})
	for _, c := range []*diff.Configuration{first, same, name, count, drifting} {
		before := *c.Head
		s.share(c)
		if c.Head.Count != before.Count || !maps.Equal(c.Head.Kinds, before.Kinds) || !maps.EqualFunc(c.Head.Undeclared, before.Undeclared, slices.Equal) ||
			len(c.Head.Differences) != len(before.Differences) {
			t.Errorf("%+v became %+v", before, c.Head)
		}
	}
	if first.Head != same.Head || &first.Features[0] != &same.Features[0] {
		t.Error("two orgs that are alike share nothing")
	}
	if first.Head == name.Head || first.Head == count.Head || first.Head == drifting.Head {
		t.Error("orgs that differ share what differs")
	}
	if &first.Head.Undeclared["groups"][0] != &drifting.Head.Undeclared["groups"][0] {
		t.Error("an org that drifts does not share what it has in common")
	}
}
