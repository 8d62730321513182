package diff_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

// revision draws manifests as the loader would give them: of a small fleet, so
// that two of them have most orgs in common.
func revision() *rapid.Generator[*state.Desired] {
	return rapid.Custom(func(t *rapid.T) *state.Desired {
		d := &state.Desired{
			Account:  state.DesiredAccount{Name: rapid.SampledFrom([]string{"", "Acme", "Acme Holdings"}).Draw(t, "name")},
			Products: map[string]string{"sso": "P000052", "mfa": rapid.SampledFrom([]string{"P000131", "P000139"}).Draw(t, "mfa")},
		}
		for i := range 8 {
			if i > 0 && rapid.IntRange(0, 4).Draw(t, "left out") == 0 {
				continue
			}
			o := state.DesiredOrg{
				Domain:        domain(i),
				Cell:          rapid.SampledFrom([]string{"ok1", "ok1", "eu1", ""}).Draw(t, "cell"),
				Status:        rapid.SampledFrom([]state.Status{"", state.Active, state.Inactive}).Draw(t, "status"),
				ProductPolicy: rapid.SampledFrom([]state.ProductPolicy{state.Exact, state.Exact, state.Additive, state.Ignore}).Draw(t, "policy"),
				Mode:          rapid.SampledFrom([]state.Mode{state.Apply, state.Apply, state.Report}).Draw(t, "mode"),
				Protected:     rapid.IntRange(0, 4).Draw(t, "protected") == 0,
			}
			if rapid.Bool().Draw(t, "managesProducts") {
				o.Products = productSet().Draw(t, "products")
			}
			if rapid.IntRange(0, 3).Draw(t, "identified") == 0 {
				o.ID = orgID(i)
			}
			switch rapid.IntRange(0, 6).Draw(t, "kind") {
			case 0:
				o.Status, o.RequestDeletion = state.Inactive, true
			case 1:
				o.Create = &state.Create{Parent: "acme", Name: fmt.Sprint("Org ", i)}
			}
			d.Orgs = append(d.Orgs, o)
		}
		return d
	})
}

// whole makes the manifests manage everything, so that there is one fleet that
// is just as they declare it.
func whole(d *state.Desired) *state.Desired {
	w := *d
	w.Account.Name = "Acme"
	w.Orgs = nil
	for _, o := range d.Orgs {
		o.Cell, o.Mode, o.ProductPolicy = "ok1", state.Apply, state.Exact
		if o.Status == "" {
			o.Status = state.Active
		}
		if o.Products == nil {
			o.Products = []string{}
		}
		w.Orgs = append(w.Orgs, o)
	}
	return &w
}

// asActual returns that fleet.
func asActual(d *state.Desired) *state.Actual {
	a := &state.Actual{Account: state.Account{ID: account, Name: d.Account.Name}, Catalog: catalog}
	for i := range d.Orgs {
		o := &d.Orgs[i]
		var n int
		fmt.Sscanf(o.Domain, "org-%d", &n)
		a.Orgs = append(a.Orgs, state.Org{ID: orgID(n), Domain: o.Domain, Cell: o.Cell, Status: o.Status, Products: o.Products})
	}
	return a
}

func reviewOptions(base *state.Desired) diff.Options {
	wasAsked := map[string]bool{}
	for _, o := range base.Orgs {
		if o.RequestDeletion {
			var n int
			fmt.Sscanf(o.Domain, "org-%d", &n)
			wasAsked[orgID(n)] = true
		}
	}
	return diff.Options{
		Account: account, Base: "ba5e", Revision: "4ead", Guards: wide,
		DeletionRequested: func(id string) bool { return wasAsked[id] },
	}
}

func declared(t rapid.TB, base, head *state.Desired) *diff.Plan {
	t.Helper()
	p, err := diff.CompareDeclared(base, head, reviewOptions(base))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func threeWay(t rapid.TB, base, head *state.Desired, actual *state.Actual) *diff.Plan {
	t.Helper()
	p, err := diff.CompareThreeWay(base, head, actual, reviewOptions(base))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDeclaringTheSameChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := revision().Draw(t, "revision")
		p := declared(t, d, d)
		if p.ReviewDiffers() || p.Differs() || p.Summary.InSync != len(d.Orgs) || len(p.Refusals) > 0 {
			t.Fatalf("not empty: %s", encode(t, p))
		}
	})
}

// What a declared change says of the orgs that base and head share leads from
// the one fleet to the other, unless it is blocked.
func TestDeclaredChangesLeadFromBaseToHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head := whole(revision().Draw(t, "base")), whole(revision().Draw(t, "head"))
		for i := range head.Orgs {
			head.Orgs[i].Protected = false
			head.Orgs[i].RequestDeletion = false // which no state of an org shows
		}
		p := declared(t, base, head)
		known := map[string]bool{"": true}
		for _, o := range base.Orgs {
			known[o.Domain] = true
		}
		of := *p
		of.Changes = nil
		for _, c := range p.Changes {
			if known[c.Org] {
				of.Changes = append(of.Changes, c)
			}
		}
		next := carryOut(t, asActual(base), &of)
		left := compute(t, head, next, wide)
		for _, c := range left.Changes {
			if known[c.Org] {
				t.Fatalf("still to do: %+v", c)
			}
		}
		if len(left.Unfixable) > 0 {
			t.Fatalf("unfixable: %v", left.Unfixable)
		}
	})
}

// Where live is as the base declares it, a review with live state and one
// without say the same.
func TestWithoutDriftAllIsThisChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head := whole(revision().Draw(t, "base")), revision().Draw(t, "head")
		for i := range head.Orgs {
			head.Orgs[i].Cell = "ok1"
		}
		live, manifests := threeWay(t, base, head, asActual(base)), declared(t, base, head)
		if r := live.Review; r.ExistingDrift != 0 || r.Conflicts != 0 || len(live.Unknown) > 0 {
			t.Fatalf("drift out of nothing: %s", encode(t, live))
		}
		if d := cmp.Diff(outline(manifests, base), outline(live, base)); d != "" {
			t.Fatalf("(-declared +three-way):\n%s", d)
		}
	})
}

// outline tells the settings and changes of the orgs that base declares: of others, nobody
// knows without the API whether they are linked.
func outline(p *diff.Plan, base *state.Desired) []string {
	known := map[string]bool{"": true}
	for _, o := range base.Orgs {
		known[o.Domain] = true
	}
	var all []string
	for _, s := range p.Review.Settings {
		if known[s.Org] {
			all = append(all, fmt.Sprint(s))
		}
	}
	for _, c := range p.Changes {
		if known[c.Org] {
			all = append(all, fmt.Sprint(c.Org, c.Action, c.Before, c.After, c.Enable, c.Disable, c.Destructive, c.Blocked, c.Origin))
		}
	}
	return all
}

func TestWithoutAChangeAllIsExistingDrift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, actual := revision().Draw(t, "revision"), actualState().Draw(t, "actual")
		p := threeWay(t, d, d, actual)
		if p.ReviewDiffers() || p.Review.ExistingDrift != len(p.Changes)+len(p.Unfixable) {
			t.Fatalf("not all drift: %s", encode(t, p))
		}
	})
}

// A review with live state is the plan of the head, with one origin for each of
// its differences.
func TestThreeWayIsThePlanOfTheHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head, actual := revision().Draw(t, "base"), revision().Draw(t, "head"), actualState().Draw(t, "actual")
		p := threeWay(t, base, head, actual)
		counts := map[diff.Origin]int{}
		bare := *p
		bare.Review, bare.Changes, bare.Unfixable = nil, []diff.Change{}, []diff.Unfixable{}
		for _, c := range p.Changes {
			counts[c.Origin]++
			c.Origin, c.Base = "", diff.Value{}
			bare.Changes = append(bare.Changes, c)
		}
		for _, u := range p.Unfixable {
			counts[u.Origin]++
			u.Origin = ""
			bare.Unfixable = append(bare.Unfixable, u)
		}
		r := p.Review
		if len(counts) > 3 || counts[diff.ThisChange] != r.ThisChange || counts[diff.ExistingDrift] != r.ExistingDrift || counts[diff.Conflict] != r.Conflicts {
			t.Fatalf("counted %v: %s", counts, encode(t, p))
		}
		plain, err := diff.Compute(head, actual, reviewOptions(base))
		if err != nil {
			t.Fatal(err)
		}
		bare.Digest, bare.Products = plain.Digest, plain.Products // which speaks of the base, too
		if d := cmp.Diff(string(encode(t, plain)), string(encode(t, &bare))); d != "" {
			t.Fatalf("(-plan +review):\n%s", d)
		}
		if back, err := diff.ReadPlan(bytes.NewReader(encode(t, p))); err != nil || back.Review.Kind != diff.ThreeWay {
			t.Fatalf("can't be read: %v", err)
		}
	})
}

// Each key that is declared otherwise is told somewhere.
func TestReviewsHideNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head, actual := revision().Draw(t, "base"), revision().Draw(t, "head"), actualState().Draw(t, "actual")
		for _, p := range []*diff.Plan{declared(t, base, head), threeWay(t, base, head, actual)} {
			told := map[string]bool{}
			for _, c := range p.Changes {
				told[c.Org] = told[c.Org] || c.Origin != diff.ExistingDrift
			}
			for _, u := range p.Unfixable {
				told[u.Org] = told[u.Org] || u.Origin != diff.ExistingDrift
			}
			for _, s := range p.Review.Settings {
				told[s.Org] = true
			}
			for _, s := range p.Review.Settled {
				told[s.Org] = true
			}
			before := map[string]state.DesiredOrg{}
			for _, o := range base.Orgs {
				before[o.Domain] = o
			}
			for _, o := range head.Orgs {
				if b, ok := before[o.Domain]; !ok || !cmp.Equal(b, o) {
					if !told[o.Domain] {
						t.Fatalf("%s: %s is declared otherwise, and nothing tells: %s", p.Review.Kind, o.Domain, encode(t, p))
					}
				} else if told[o.Domain] && p.Review.Kind == diff.Declared {
					t.Fatalf("%s is declared the same, and yet told: %s", o.Domain, encode(t, p))
				}
				delete(before, o.Domain)
			}
			for name := range before {
				if !told[name] {
					t.Fatalf("%s is no longer declared, and nothing tells: %s", name, encode(t, p))
				}
			}
		}
	})
}

func TestOrderOfRevisionsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head, actual := revision().Draw(t, "base"), revision().Draw(t, "head"), actualState().Draw(t, "actual")
		first := append(encode(t, declared(t, base, head)), encode(t, threeWay(t, base, head, actual))...)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for _, orgs := range [][]state.DesiredOrg{base.Orgs, head.Orgs} {
			r.Shuffle(len(orgs), func(i, j int) { orgs[i], orgs[j] = orgs[j], orgs[i] })
		}
		r.Shuffle(len(actual.Orgs), func(i, j int) { actual.Orgs[i], actual.Orgs[j] = actual.Orgs[j], actual.Orgs[i] })
		second := append(encode(t, declared(t, base, head)), encode(t, threeWay(t, base, head, actual))...)
		if !bytes.Equal(first, second) {
			t.Fatal(cmp.Diff(string(first), string(second)))
		}
	})
}
