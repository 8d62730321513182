package importer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/importer"
	"reconciler/internal/state"
)

// nasty are words that mean something to YAML, to terminals or to this program.
func nasty() []string {
	return []string{
		"", " ", "null", "~", "true", "Yes", "no", "off", "y", "017", "1e3", "0x1f", ".inf", "2026-01-31", "<<", "=",
		"#", "a # b", "a: b", "- a", "[", "{}", "&a", "*a", "!t", "|", ">", "%", "@", "`", "'", `"`, `\`, "%s",
		"a\nb", "a\r\n  - domain: evil.okta.com", "tab\there", "nul\x00", "esc\x1b[31m", "bell\a",
		"über", "製品", "🙂", "e\u0301", "\u202eevil", "\u2028", "\ufeff", "\u00a0", string([]byte{0xff, 0xfe}),
		"IT Products - SSO", "IT Products - sso", "A - SSO", "SSO", "baseline", "Baseline", "bundle-1", "P000052", "p123", "mfa-sso-only",
		"products", "product-000001", strings.Repeat("long ", 80), strings.Repeat("x", 300),
	}
}

func words() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(nasty()), rapid.StringN(0, 20, -1), rapid.StringMatching(`[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8}){0,3}`))
}

// account draws any account at all: what Okta documents, and what it doesn't.
func account(t *rapid.T) *state.Actual {
	a := &state.Actual{Account: state.Account{
		ID:   rapid.SampledFrom([]string{"0200bs0617vvhv2v675mch1cukp", "", "a b", "#", strings.Repeat("x", 80)}).Draw(t, "account id"),
		Name: words().Draw(t, "account name"),
	}}
	known := rapid.IntRange(0, 9).Draw(t, "products")
	var ids []string
	for i := range known {
		id := fmt.Sprintf("P%06d", i+1)
		if rapid.IntRange(0, 9).Draw(t, "odd id") == 0 {
			id = rapid.SampledFrom([]string{"P1", "X000001", "p000001", "#", "P" + strings.Repeat("1", 120), "null"}).Draw(t, "product id")
		}
		if slices.Contains(ids, id) {
			continue
		}
		ids = append(ids, id)
		a.Catalog = append(a.Catalog, state.Product{ID: id, Name: words().Draw(t, "product name")})
	}
	profiles := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []string {
		return productIDs(t, ids)
	}), 1, 4).Draw(t, "profiles")
	for i := range rapid.IntRange(0, 25).Draw(t, "orgs") {
		a.Orgs = append(a.Orgs, liveOrg(t, i, ids, profiles))
	}
	return a
}

// productIDs draws some of the products, and at times one outside of the catalogue.
func productIDs(t *rapid.T, ids []string) []string {
	all := []string{}
	for _, id := range ids {
		if rapid.Bool().Draw(t, "has "+id) {
			all = append(all, id)
		}
	}
	if rapid.IntRange(0, 7).Draw(t, "foreign") == 0 {
		all = append(all, rapid.SampledFrom([]string{"P999999", "P999998", "odd id", "X"}).Draw(t, "foreign id"))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func liveOrg(t *rapid.T, i int, ids []string, profiles [][]string) state.Org {
	o := state.Org{
		ID:     fmt.Sprintf("00o%d", i),
		Domain: fmt.Sprintf("acme-%d.okta.com", i),
		Cell:   rapid.SampledFrom([]string{"ok1", "ok1", "ok1", "eu1", "op3"}).Draw(t, "cell"),
		Name:   words().Draw(t, "name"),
		Status: rapid.SampledFrom([]state.Status{state.Active, state.Active, state.Inactive}).Draw(t, "status"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "products of") {
	case 0:
		o.Products = productIDs(t, ids)
	default:
		o.Products = slices.Clone(rapid.SampledFrom(profiles).Draw(t, "profile"))
	}
	o.AerialOrg = i == 0
	switch rapid.IntRange(0, 40).Draw(t, "odd") {
	case 0:
		o.Domain = rapid.SampledFrom([]string{"", "no domain", "a_b.okta.com", "acme-0.okta.com", "acme-1.okta.com", "*.okta.com", "0x1.p4", "1.e5", "#", "ünï.okta.com"}).Draw(t, "domain")
	case 1:
		o.ID = rapid.SampledFrom([]string{"a b", "#", "00ä", "-x"}).Draw(t, "id") + fmt.Sprint(i)
	case 2:
		o.Cell = rapid.SampledFrom([]string{"", "ok5", "ok99", "null", "# x"}).Draw(t, "odd cell")
	case 3:
		o.Status = state.Status(rapid.SampledFrom([]string{"", "DEPROVISIONED", "# x", "a\nb"}).Draw(t, "odd status"))
	case 4:
		o.Products, o.Unknown = nil, "403 E0000006 "+words().Draw(t, "why")+" (errorId oae1)"
	case 5:
		o.Products = nil
	}
	return o
}

// What is imported loads, differs in nothing, leaves out only what it says it
// leaves out, and is the same whenever it is asked for.
func TestImportThenDiffIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := account(t)
		opts := importer.Options{
			Split:         rapid.SampledFrom([]importer.Split{importer.Together, importer.ByCell, importer.ByStatus}).Draw(t, "split"),
			AerialDomain:  "acme-2.okta.com",
			ParentDomains: []string{"acme-3.okta.com", "elsewhere.okta.com"},
		}
		r, err := importer.Manifests(a, opts)
		if err != nil {
			if strings.Contains(err.Error(), "no org that a manifest could declare") && undeclared(a) == len(a.Orgs) {
				return
			}
			t.Fatal(err)
		}
		desired, p, err := plan(r, a)
		if err != nil {
			t.Fatalf("%v\n%s", err, dump(r))
		}
		if !p.Empty() {
			t.Fatalf("the diff is not empty: %+v\n%s", p, dump(r))
		}
		if got, want := len(desired.Orgs), len(a.Orgs)-undeclared(a); got != want || r.Orgs != want {
			t.Fatalf("%d orgs are declared, %d said to be, %d can be\n%s", got, r.Orgs, want, dump(r))
		}
		checkOrgs(t, desired, a, opts)

		shuffled := *a
		shuffled.Orgs, shuffled.Catalog = slices.Clone(a.Orgs), slices.Clone(a.Catalog)
		rand.Shuffle(len(a.Orgs), func(i, j int) { shuffled.Orgs[i], shuffled.Orgs[j] = shuffled.Orgs[j], shuffled.Orgs[i] })
		rand.Shuffle(len(a.Catalog), func(i, j int) {
			shuffled.Catalog[i], shuffled.Catalog[j] = shuffled.Catalog[j], shuffled.Catalog[i]
		})
		again, err := importer.Manifests(&shuffled, opts)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(dump(r), dump(again)); diff != "" {
			t.Fatalf("the text depends on the order of the input:\n%s", diff)
		}
		for _, f := range r.Files {
			if bytes.ContainsAny(f.Data, "\r\t\x00\x1b") {
				t.Fatalf("%s holds control characters: %q", f.Name, f.Data)
			}
		}
	})
}

// undeclared counts the orgs that no manifest can name: without a usable
// domain, or with one that another org has.
func undeclared(a *state.Actual) int {
	n := 0
	byDomain := map[string][]state.Org{}
	for _, o := range a.Orgs {
		if !state.ValidDomain(o.Domain) {
			n++
			continue
		}
		byDomain[o.Domain] = append(byDomain[o.Domain], o)
	}
	for _, twins := range byDomain {
		if len(twins) == 1 {
			continue
		}
		n += len(twins)
		if slices.ContainsFunc(twins, func(o state.Org) bool { return state.ValidID(o.ID) }) {
			n--
		}
	}
	return n
}

// checkOrgs holds the declared orgs to the live ones in what a diff doesn't see.
func checkOrgs(t *rapid.T, desired *state.Desired, a *state.Actual, opts importer.Options) {
	for i := range desired.Orgs {
		d := &desired.Orgs[i]
		j := slices.IndexFunc(a.Orgs, func(o state.Org) bool { return o.Domain == d.Domain && (d.ID == "" || d.ID == o.ID) })
		live := &a.Orgs[j]
		if want := live.AerialOrg || d.Domain == opts.AerialDomain || slices.Contains(opts.ParentDomains, d.Domain); d.Protected != want {
			t.Fatalf("%s: protected is %v", d.Domain, d.Protected)
		}
		if d.Mode != state.Apply || d.Create != nil || d.RequestDeletion {
			t.Fatalf("%s: %+v", d.Domain, d)
		}
		if readable := live.Unknown == "" && live.Products != nil; !readable {
			if d.ManagesProducts() {
				t.Fatalf("%s: its products can't be read, and are managed", d.Domain)
			}
		} else {
			checkProducts(t, d, live, a.Catalog)
		}
		if valid := live.Status == state.Active || live.Status == state.Inactive; valid != (d.Status == live.Status && d.Status != "") {
			t.Fatalf("%s: status %q, declared %q", d.Domain, live.Status, d.Status)
		}
	}
}

// checkProducts wants all products declared, or those of them that the account
// subscribes to as the least that the org has.
func checkProducts(t *rapid.T, d *state.DesiredOrg, live *state.Org, catalog []state.Product) {
	sold := slices.DeleteFunc(slices.Clone(live.Products), func(id string) bool {
		return !state.ValidProductID(id) || !slices.ContainsFunc(catalog, func(p state.Product) bool { return p.ID == id })
	})
	all := len(sold) == len(live.Products)
	switch {
	case !all && len(sold) == 0 && !d.ManagesProducts():
	case !d.ManagesProducts() || !slices.Equal(d.Products, sold) || all != (d.ProductPolicy == state.Exact):
		t.Fatalf("%s: has %q, declared are %q, %s", d.Domain, live.Products, d.Products, d.ProductPolicy)
	}
}

// However products are spread, what is said once is never longer than what is
// said at each org.
func TestNeverLonger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := account(t)
		r, err := importer.Manifests(a, importer.Options{})
		if err != nil {
			return // nothing to declare
		}
		desired, err := load(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, most := len(withoutComments(r.Files[0].Data)), len(spelledOut(desired)); got > most+len("defaults:\n") {
			t.Fatalf("%d bytes, and %d when all is spelt out\n%s", got, most, r.Files[0].Data)
		}
	})
}
