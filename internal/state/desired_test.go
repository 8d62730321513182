package state

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"reconciler/internal/okta/objects"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// loadText loads one file named "f.yaml".
func loadText(s string) (*Desired, error) {
	d, _, err := Load([]Input{{FS: fstest.MapFS{"f.yaml": mapFile(s)}, Root: "f.yaml"}}, LoadOptions{})
	return d, err
}

// The whole model, with the places that later errors point at.
func TestDesired(t *testing.T) {
	const manifest = `version: 1
account: {id: acc, name: Acme}
products: {sso: P000052, mfa: P000131}
productSets:
  baseline: [mfa, P000052]
defaults:
  productSets: [baseline]
orgs:
  - domain: B.okta.com
    products: [sso]
  - domain: a.okta.com
    products: []
    productSets: []
  - domain: c.okta.com
    productPolicy: ignore
    labels: {tier: test}
    owner: a@acme.example
    vars: {x: 'in ${subdomain}'}
    access: {clientID: 0oa1}
`
	pos := func(line, col int) Pos { return Pos{File: "f.yaml", Line: line, Column: col} }
	both := []string{"P000052", "P000131"}
	desired := &Desired{
		Account:  DesiredAccount{ID: "acc", IDPos: pos(2, 15), Name: "Acme", NamePos: pos(2, 26)},
		Products: map[string]string{"sso": "P000052", "mfa": "P000131"},
		Orgs: []DesiredOrg{
			{Domain: "a.okta.com", Products: []string{}, ProductPolicy: Exact, Mode: Apply, Pos: pos(11, 5), ProductPos: Places{}},
			{Domain: "b.okta.com", Products: both, ProductPolicy: Exact, Mode: Apply, Pos: pos(9, 5),
				ProductPos: Places{{"P000052", pos(10, 16)}, {"P000131", pos(5, 14)}}},
			{Domain: "c.okta.com", Products: both, ProductPolicy: Ignore, Mode: Apply, Pos: pos(14, 5),
				Labels: map[string]string{"tier": "test"}, Vars: map[string]string{"x": "in c"}, Owner: "a@acme.example", ClientID: "0oa1",
				ProductPos: Places{{"P000052", pos(5, 19)}, {"P000131", pos(5, 14)}},
				Places: Places{
					{"access.clientID", pos(19, 24)}, {"labels.tier", pos(16, 20)}, {"owner", pos(17, 12)}, {"productPolicy", pos(15, 20)}, {"vars.x", pos(18, 15)},
				}},
		},
	}
	got, err := loadText(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(desired, got); diff != "" {
		t.Errorf("desired state differs (-wanted +got):\n%s", diff)
	}
}

// Nil is "not managed", empty is "none", through defaults and overrides.
func TestAbsentIsNotEmpty(t *testing.T) {
	const set = "productSets: {all: [P000052]}\n"
	tests := []struct {
		defaults, org string
		wanted        []string
	}{
		{"", "", nil},
		{"", "products: []", []string{}},
		{"", "productSets: []", []string{}},
		{"products: []", "", []string{}},
		{"productSets: []", "", []string{}},
		{"products: [P000131]", "products: []", []string{}},
		{"products: [P000131]", "productSets: []", []string{"P000131"}},
		{"productSets: [all]", "products: []", []string{}},
		{"productSets: [all]", "productSets: []", []string{}},
		{"productSets: [all]", "products: [P000131]", []string{"P000052", "P000131"}},
		{"products: []", "productSets: [all]", []string{"P000052"}},
		{"products: [P000131]", "productSets: [all]", []string{"P000052", "P000131"}},
		{"products: [P000131]\n  productSets: [all]", "products: []", []string{}},
	}
	for _, tt := range tests {
		s := "version: 1\n" + set
		if tt.defaults != "" {
			s += "defaults:\n  " + tt.defaults + "\n"
		}
		s += "orgs:\n  - domain: a.okta.com\n    " + tt.org + "\n"
		d, err := loadText(s)
		if err != nil {
			t.Errorf("%s\n%v", s, err)
			continue
		}
		if diff := cmp.Diff(tt.wanted, d.Orgs[0].Products); diff != "" {
			t.Errorf("products of\n%s\ndiffer (-wanted +got):\n%s", s, diff)
		}
	}
}

// Files that are made to take long are done soon all the same.
func TestLoadNoStall(t *testing.T) {
	if testing.Short() {
		t.Skip("large files")
	}
	repeat := func(n int, format string, args func(i int) []any) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, args(i)...)
		}
		return b.String()
	}
	one := func(i int) []any { return []any{i} }
	const head, tail = "version: 1\n", "orgs:\n- domain: a.b\n"
	thousand := "  big: [" + repeat(1000, "P%05d,", one) + "]\n"
	tests := []struct{ name, text, wanted string }{
		{"chain of sets", head + "productSets:\n  s0: [P00000]\n" + repeat(10_000, "  s%d: [s%d, P%05d]\n",
			func(i int) []any { return []any{i + 1, i, i} }) + tail, "has more than 1000 products"},
		{"circle of sets", head + "productSets:\n" + repeat(10_000, "  s%d: [s%d, s0]\n",
			func(i int) []any { return []any{i, i + 1} }) + "  s10000: [s0]\n" + tail, "contain each other"},
		{"sets of a large one", head + "productSets:\n" + thousand + repeat(3_000, "  s%d: [big]\n", one) + tail, "add up to more than 2000000"},
		{"orgs with a large set", head + "productSets:\n" + thousand + "orgs:\n" +
			repeat(3_000, "- {domain: a%d.b, productSets: [big]}\n", one), "add up to more than 2000000"},
		{"default of a large set", head + "productSets:\n" + thousand + "defaults: {productSets: [big]}\norgs:\n" +
			repeat(20_000, "- {domain: a%d.b}\n", one), ""},
		{"unknown products", head + "products: {" + repeat(4_000, "product%d: P00%d, ", func(i int) []any { return []any{i, i} }) + "}\norgs:\n- domain: a.b\n  products: [" +
			repeat(4_000, "prodcut%d, ", one) + "]\n", "unknown product"},
		{"unknown members", head + "products: {" + repeat(20_000, "p%d: P00%d, ", func(i int) []any { return []any{i, i} }) + "}\nproductSets:\n  s: [" +
			repeat(20_000, "q%d, ", one) + "]\n" + tail, "unknown product"},
		{"repeats", head + "orgs:\n- domain: a.b\n  products: [" + repeat(30_000, "P%06d, ", func(i int) []any { return []any{i / 2} }) + "]\n", "twice"},
		{"nested merges", head + "orgs:\n- " + strings.Repeat("{<<: ", 5000) + "{domain: a.b}" + strings.Repeat("}", 5000) + "\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := loadText(tt.text)
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			switch {
			case tt.wanted == "" && err != nil:
				t.Errorf("error = %.300v", err)
			case tt.wanted != "" && (err == nil || !strings.Contains(err.Error(), tt.wanted)):
				t.Errorf("error = %.300v, want one with %q", err, tt.wanted)
			}
		})
	}
}

// withoutPlaces compares desired states by what they say.
var withoutPlaces = cmp.Options{
	cmpopts.IgnoreTypes(Pos{}),
	cmpopts.IgnoreFields(DesiredOrg{}, "ProductPos", "Places"),
	cmpopts.IgnoreFields(objects.Object{}, "Places", "Variable"), // how it is written, not what
	sameKinds,
}

// sameKinds compares kinds, of which there is one each.
var sameKinds = cmp.Comparer(func(a, b *objects.Kind) bool { return a == b })

// What Marshal writes loads as what it was.
func TestMarshalRoundTrip(t *testing.T) {
	word := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?`)
	product := rapid.StringMatching(`P[0-9]{3,6}`)
	// Anything that a person's name may hold, YAML's special characters included.
	name := rapid.StringMatching(`[!-~äß漢]([ -~äß漢]{0,20}[!-~äß漢])?`)
	rapid.Check(t, func(t *rapid.T) {
		d := &Desired{Products: rapid.MapOf(rapid.OneOf(word, rapid.SampledFrom([]string{"yes", "017", "1e3", "null"})), product).Draw(t, "aliases")}
		for alias := range d.Products {
			if isProductID(strings.ToUpper(alias)) {
				delete(d.Products, alias)
			}
		}
		if rapid.Bool().Draw(t, "account") {
			d.Account.Name = name.Draw(t, "account name")
			d.Account.ID = word.Draw(t, "account id")
		}
		for i, label := range rapid.SliceOfNDistinct(word, 1, 8, rapid.ID).Draw(t, "labels") {
			o := DesiredOrg{
				Domain:        label + ".okta.com",
				Cell:          rapid.SampledFrom(append(cells(), "")).Draw(t, "cell"),
				Status:        rapid.SampledFrom([]Status{"", Active, Inactive}).Draw(t, "status"),
				ProductPolicy: rapid.SampledFrom([]ProductPolicy{Exact, Additive, Ignore}).Draw(t, "policy"),
				Mode:          rapid.SampledFrom([]Mode{Apply, Report}).Draw(t, "mode"),
				Protected:     rapid.Bool().Draw(t, "protected"),
			}
			if rapid.Bool().Draw(t, "has an id") {
				o.ID = fmt.Sprintf("00o%d", i)
			}
			if rapid.Bool().Draw(t, "manages products") {
				o.Products = rapid.SliceOfDistinct(product, rapid.ID).Draw(t, "products")
				if o.Products == nil {
					o.Products = []string{}
				}
			}
			if o.Cell != "" && rapid.Bool().Draw(t, "create") {
				o.Create = &Create{Parent: name.Draw(t, "parent"), Name: name.Draw(t, "name"), Admin: Admin{
					FirstName: name.Draw(t, "first"), LastName: name.Draw(t, "last"), Email: "a@b.example", Login: name.Draw(t, "login"),
				}}
			} else if o.Status == Inactive {
				o.RequestDeletion = rapid.Bool().Draw(t, "delete")
			}
			d.Orgs = append(d.Orgs, o)
		}
		written := Marshal(d)
		got, err := loadText(string(written))
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		sorted := cmp.Options{
			withoutPlaces,
			cmpopts.SortSlices(func(a, b DesiredOrg) bool { return a.Domain < b.Domain }),
			cmpopts.SortSlices(func(a, b string) bool { return a < b }),
		}
		if diff := cmp.Diff(d, got, sorted); diff != "" {
			t.Fatalf("loaded state differs (-written +loaded):\n%s\n%s", diff, written)
		}
		if again := Marshal(got); string(again) != string(written) {
			t.Fatalf("written again it differs:\n%s\n%s", written, again)
		}
	})
}
