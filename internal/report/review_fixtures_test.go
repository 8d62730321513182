package report

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/state"
)

const reviewAccount = "0200bs0617vvhv2v675mch1cukp"

func load(t *testing.T, manifest string) *state.Desired {
	t.Helper()
	d, _, err := state.Load([]state.Input{{
		FS: fstest.MapFS{"orgs.yaml": {Data: []byte(manifest)}}, Root: "orgs.yaml",
	}}, state.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const reviewBase = `version: 1
account: {name: Acme}
products: {sso: P000052, mfa: P000131, lcm: P000139}
defaults: {cell: ok1}
orgs:
  - {domain: acme-apac.okta.com, products: [sso]}
  - {domain: acme-bank.okta.com, products: [sso, mfa]}
  - {domain: acme-care.okta.com, status: ACTIVE}
  - {domain: acme-data.okta.com, products: [sso], protected: true}
  - {domain: acme-east.okta.com, products: [sso]}
  - {domain: acme-farm.okta.com, products: [sso]}
  - {domain: acme-golf.okta.com, products: [sso]}
  - {domain: acme-home.okta.com, products: [sso]}
  - {domain: acme-iron.okta.com, status: ACTIVE}
  - {domain: acme-jazz.okta.com, products: [mfa]}
  - {domain: acme-kilo.okta.com, products: [mfa]}
  - {domain: acme-lost.okta.com, products: [mfa], cell: ok3}
  - {domain: acme-mute.okta.com, products: [mfa]}
  - {domain: acme-shop.okta.com, products: [mfa]}
`

const reviewHead = `version: 1
account: {name: Acme Holdings}
products: {sso: P000052, mfa: P000131, lcm: P000139}
defaults: {cell: ok1}
orgs:
  - {domain: acme-apac.okta.com, products: [sso, lcm]}
  - {domain: acme-bank.okta.com, products: [sso, lcm]}
  - {domain: acme-care.okta.com, status: INACTIVE}
  - {domain: acme-data.okta.com, products: [sso]}
  - {domain: acme-east.okta.com, products: [sso, lcm]}
  - {domain: acme-farm.okta.com, products: [sso, lcm]}
  - {domain: acme-golf.okta.com, products: [sso, lcm]}
  - {domain: acme-home.okta.com, products: [sso, lcm], cell: ok2}
  - {domain: acme-iron.okta.com, status: INACTIVE}
  - {domain: acme-jazz.okta.com, products: [mfa]}
  - {domain: acme-kilo.okta.com, products: [mfa]}
  - {domain: acme-lost.okta.com, products: [mfa], cell: ok3}
  - {domain: acme-mute.okta.com, products: [mfa]}
  - domain: acme-new.okta.com
    products: [sso]
    create: {parent: acme, name: Acme New, admin: {firstName: Ada, lastName: Admin, email: okta@acme.example, login: ada@acme.example}}
`

// reviewLive is a fleet that has drifted from the base.
func reviewLive() *state.Actual {
	a := &state.Actual{Account: state.Account{ID: reviewAccount, Name: "Acme Group"}}
	for id, name := range map[string]string{"P000052": "SSO", "P000131": "MFA", "P000139": "LCM", "P001113": "ITP"} {
		a.Catalog = append(a.Catalog, state.Product{ID: id, Name: name})
	}
	for _, o := range []struct{ name, status, products string }{
		{"apac", "ACTIVE", "P000052"},
		{"bank", "ACTIVE", "P000052 P001113"},
		{"care", "ACTIVE", ""},
		{"data", "ACTIVE", "P000052"},
		{"east", "ACTIVE", "P000052"},
		{"farm", "ACTIVE", "P000052"},
		{"golf", "ACTIVE", "P000052"},
		{"home", "ACTIVE", "P000052"},
		{"iron", "INACTIVE", ""},
		{"jazz", "ACTIVE", ""},
		{"kilo", "ACTIVE", ""},
		{"lost", "ACTIVE", ""},
		{"shop", "ACTIVE", "P000052"},
	} {
		a.Orgs = append(a.Orgs, state.Org{
			ID: "00o1" + o.name + "00000000000g", Domain: "acme-" + o.name + ".okta.com", Cell: "ok1",
			Status: state.Status(o.status), Products: append([]string{}, strings.Fields(o.products)...),
		})
	}
	a.Orgs = append(a.Orgs, state.Org{ID: "00o1mute00000000000g", Domain: "acme-mute.okta.com", Cell: "ok1", Status: state.Active, Unknown: "403 E0000006: no"})
	return a
}

func reviewOptions() diff.Options {
	return diff.Options{
		Account: reviewAccount, Base: "ba5e4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f", Revision: "4f0c2d1b9e8a7766554433221100ffeeddccbbaa",
		Signer: "ada@acme.example", Guards: diff.Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 100, MaxNewOrgs: 100},
		Held: func(domain string) string {
			if domain == "acme-golf.okta.com" {
				return "freeze window until 2026-11-23T06:00:00Z"
			}
			return ""
		},
		CoolingOff: func(*diff.Change) string {
			return "to be wanted again by another commit, or at 2026-11-22T09:00:00Z"
		},
	}
}

// reviewed has everything that a review with live state may have.
func reviewed(t *testing.T) *diff.Plan {
	t.Helper()
	p, err := diff.CompareThreeWay(load(t, reviewBase), load(t, reviewHead), reviewLive(), reviewOptions())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// onlyDrift is a review of a change that changes nothing.
func onlyDrift(t *testing.T) *diff.Plan {
	t.Helper()
	base := load(t, reviewBase)
	opts := reviewOptions()
	opts.Revision, opts.Signer = "", ""
	p, err := diff.CompareThreeWay(base, base, reviewLive(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func reviewApplied(t *testing.T) Data {
	t.Helper()
	p := reviewed(t)
	all := make([]apply.Outcome, len(p.Changes))
	for i, c := range p.Changes {
		all[i] = done
		if c.Blocked != "" {
			all[i] = wasBlocked
		}
	}
	return Data{Plan: p, Result: outcomes(p, all...)}
}

// declaredFleet is a changed default that touches n orgs, and some more.
func declaredFleet(t *testing.T, n int) *diff.Plan {
	t.Helper()
	var orgs strings.Builder
	for i := range n {
		fmt.Fprintf(&orgs, "  - {domain: acme-%05d.okta.com}\n", i)
	}
	const head = "version: 1\nproducts: {sso: P000052, mfa: P000131, lcm: P000139}\ndefaults: {cell: ok1, products: [%s], status: ACTIVE}\norgs:\n"
	base := fmt.Sprintf(head, "sso, mfa") + orgs.String() +
		"  - {domain: gone.okta.com}\n  - {domain: loose.okta.com, products: [sso], productPolicy: additive}\n  - {domain: spare.okta.com, products: []}\n"
	next := fmt.Sprintf(head, "sso, lcm") + orgs.String() +
		"  - {domain: adopted.okta.com, status: INACTIVE}\n  - {domain: loose.okta.com, products: [sso]}\n  - {domain: spare.okta.com, products: []}\n"
	opts := reviewOptions()
	opts.Held, opts.CoolingOff = nil, nil
	p, err := diff.CompareDeclared(load(t, base), load(t, next), opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bigReview has more to say than finds room anywhere.
func bigReview() *diff.Plan {
	p := diff.Plan{Products: productNames, Review: &diff.Review{Kind: diff.ThreeWay, Base: "ba5e", Head: "4ead"}}
	for i, name := range []string{"bank", "drift", "shop", "test"} {
		for n := range 40 {
			c := status(fmt.Sprintf("acme-%s-%03d.okta.com", name, n), "00o"+name, state.Active, state.Inactive)
			if n%4 > 0 {
				c = blocked(c, fmt.Sprintf("window %d", n))
			}
			c.Origin = []diff.Origin{diff.ThisChange, diff.ExistingDrift, diff.Conflict, diff.ThisChange}[i]
			p.Changes = append(p.Changes, c)
			p.Unmanaged = append(p.Unmanaged, diff.Unmanaged{Org: fmt.Sprintf("free-%d%03d.okta.com", i, n)})
		}
	}
	p.Review.ThisChange, p.Review.Conflicts, p.Review.ExistingDrift = 80, 40, 40
	return newPlan(300, 100, p)
}

func declaredNothing(t *testing.T) *diff.Plan {
	t.Helper()
	base := load(t, reviewBase)
	p, err := diff.CompareDeclared(base, base, diff.Options{Base: "ba5e"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hostileReview is a review by somebody who may write to manifests and means
// harm to those who read it.
func hostileReview() Data {
	p := hostile().Plan
	for i := range p.Changes {
		p.Changes[i].Origin = []diff.Origin{diff.ThisChange, diff.Conflict, diff.ExistingDrift, evil}[i%4]
		p.Changes[i].Base = diff.List([]string{evil, "```"})
	}
	p.Signer = evil
	p.Review = &diff.Review{Kind: evil, Base: evil, Head: "```", ThisChange: 3, ExistingDrift: 1, Conflicts: 3}
	for i := range 5 {
		org := fmt.Sprint(evil, i)
		p.Review.Settings = append(p.Review.Settings, diff.Setting{Org: org, Field: evil, Base: "```", Head: evil})
		p.Review.Settled = append(p.Review.Settled, diff.Settled{Org: org, Field: "```", Base: diff.Text(evil), Head: diff.List([]string{evil})})
	}
	p.Review.Settings = append(p.Review.Settings, diff.Setting{Org: "", Field: "account.name", Base: evil, Head: "\n```\n</details>\n@acme/admins"})
	return Data{Plan: p, Title: evil, Warnings: []string{evil}}
}
