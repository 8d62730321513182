package importer_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"reconciler/internal/diff"
	"reconciler/internal/importer"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// mustImport returns the manifests of an account.
func mustImport(t testing.TB, actual *state.Actual, opts importer.Options) *importer.Result {
	t.Helper()
	r, err := importer.Manifests(actual, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func folder(r *importer.Result) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, f := range r.Files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return fsys
}

// load reads the manifests as every command does.
func load(r *importer.Result) (*state.Desired, error) {
	desired, warnings, err := state.Load([]state.Input{{FS: folder(r), Root: "."}}, state.LoadOptions{Parents: map[string]string{}})
	warnings = slices.DeleteFunc(warnings, func(w state.Warning) bool { return strings.Contains(w.Msg, "is protected") }) // and INACTIVE in Okta
	if len(warnings) > 0 && err == nil {
		err = fmt.Errorf("warnings: %v", warnings)
	}
	return desired, err
}

// plan loads the manifests and compares them with the account.
func plan(r *importer.Result, actual *state.Actual) (*state.Desired, *diff.Plan, error) {
	desired, err := load(r)
	if err != nil {
		return nil, nil, err
	}
	p, err := diff.Compute(desired, actual, diff.Options{Account: actual.Account.ID})
	return desired, p, err
}

// dump returns all files as one text.
func dump(r *importer.Result) string {
	var a txtar.Archive
	for _, f := range r.Files {
		a.Files = append(a.Files, txtar.File{Name: f.Name, Data: f.Data})
	}
	a.Files = append(a.Files, txtar.File{Name: "warnings", Data: []byte(strings.Join(append(r.Warnings, ""), "\n"))})
	return string(txtar.Format(&a))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-golden +got); go test -update rewrites it:\n%s", path, diff)
	}
}

// products of the accounts below, and short names for them.
const (
	sso, mfa, lcm, itp = "P000052", "P000131", "P000139", "P001113"
	gov, flows         = "P000207", "P000208"
)

func catalog() []state.Product {
	return []state.Product{
		{ID: sso, Name: "IT Products - SSO"},
		{ID: mfa, Name: "IT Products - MFA"},
		{ID: lcm, Name: "IT Products - Lifecycle Management with 1 OIN App"},
		{ID: itp, Name: "IT Products - Identity Threat Protection"},
		{ID: gov, Name: "IT Products - Identity Governance"},
		{ID: flows, Name: "IT Products - Workflows"},
	}
}

// company is an account such as companies have: most orgs alike, some profiles,
// few exceptions.
func company() *state.Actual {
	a := &state.Actual{Account: state.Account{ID: "0200bs0617vvhv2v675mch1cukp", Name: "Acme Holdings"}, Catalog: catalog()}
	add := func(sub, cell string, status state.Status, products ...string) {
		slices.Sort(products)
		name := strings.ToUpper(sub[:1]) + sub[1:]
		a.Orgs = append(a.Orgs, state.Org{
			ID: "00o" + sub, Domain: "acme-" + sub + ".okta.com", Cell: cell, Name: "Acme " + name, Status: status,
			Products: append([]string{}, products...), AerialOrg: sub == "aerial",
		})
	}
	add("aerial", "ok1", state.Active, sso, mfa)
	add("hub", "ok1", state.Active, sso, mfa, lcm)
	for _, sub := range []string{"emea", "apac", "latam", "nordics", "canada"} {
		add(sub, "ok14", state.Active, sso, mfa)
	}
	for _, sub := range []string{"bank", "insurance", "health", "energy"} {
		add(sub, "ok14", state.Active, sso, mfa, lcm, itp, gov)
	}
	add("pharma", "eu1", state.Active, sso, mfa, lcm, itp, gov, flows)
	for _, sub := range []string{"shop", "fans"} {
		add(sub, "ok1", state.Active, sso)
	}
	add("lab", "op1", state.Inactive)
	add("old", "ok1", state.Inactive)
	return a
}

// What people get to read.
func TestGolden(t *testing.T) {
	odd := company()
	odd.Account.Name = " Acme\tHoldings"
	odd.Catalog = append(odd.Catalog, state.Product{ID: "X1", Name: "Not by the book"}, state.Product{ID: "P000900", Name: "Customer Products - Workflows"})
	odd.Orgs = append(odd.Orgs[:6],
		state.Org{ID: "00ounread", Domain: "acme-secret.okta.com", Cell: "ok1", Status: state.Active, Name: "Sec # ret\n  - domain: x", Unknown: "403 E0000006 You do not have permission to perform the requested action", ErrorID: "errorId oae123"},
		state.Org{ID: "00olegacy", Domain: "acme-legacy.okta.com", Cell: "ok5", Status: state.Active, Name: "Legacy", Products: []string{sso, mfa}},
		state.Org{ID: "00obare", Domain: "acme-bare.okta.com", Products: []string{sso, mfa}},
		state.Org{ID: "00ogone", Domain: "acme-gone.okta.com", Cell: "ok1", Status: "DEPROVISIONED", Name: "Gone", Products: []string{sso, mfa}},
		state.Org{ID: "00oextra", Domain: "acme-extra.okta.com", Cell: "ok1", Status: state.Active, Name: "Extra", Products: []string{sso, mfa, "P000999", "P000998"}},
		state.Org{ID: "00oforeign", Domain: "acme-foreign.okta.com", Cell: "ok1", Status: state.Active, Name: "Foreign", Products: []string{"P000999"}},
		state.Org{ID: "00onameless", Cell: "ok1", Status: state.Active, Name: "Nameless"},
		state.Org{ID: "00omalformed", Domain: "acme_under.okta.com", Cell: "ok1", Name: "Under"},
		state.Org{ID: "00otwin1", Domain: "acme-twin.okta.com", Cell: "ok1", Status: state.Inactive, Name: "Twin 1", Products: []string{}},
		state.Org{ID: "00otwin2", Domain: "acme-twin.okta.com", Cell: "ok1", Status: state.Active, Name: "Twin 2", Products: []string{sso}},
	)
	for _, tt := range []struct {
		name   string
		actual *state.Actual
		opts   importer.Options
	}{
		{"company.txtar", company(), importer.Options{ParentDomains: []string{"acme-hub.okta.com"}}},
		{"company-by-cell.txtar", company(), importer.Options{ParentDomains: []string{"acme-hub.okta.com"}, Split: importer.ByCell}},
		{"company-by-status.txtar", company(), importer.Options{ParentDomains: []string{"acme-hub.okta.com"}, Split: importer.ByStatus}},
		{"odd.txtar", odd, importer.Options{}},
		{"odd-by-cell.txtar", odd, importer.Options{Split: importer.ByCell}},
		{"odd-by-status.txtar", odd, importer.Options{Split: importer.ByStatus}},
		{"one.txtar", &state.Actual{Orgs: company().Orgs[:1], Catalog: catalog()}, importer.Options{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := mustImport(t, tt.actual, tt.opts)
			golden(t, tt.name, dump(r))
			_, p, err := plan(r, tt.actual)
			if err != nil {
				t.Fatal(err)
			}
			if !p.Empty() {
				t.Errorf("the diff is not empty: %+v", p)
			}
		})
	}
}

// A manifest of an account without orgs would be an empty desired state.
func TestNothingToDeclare(t *testing.T) {
	for name, orgs := range map[string][]state.Org{
		"no orgs":       nil,
		"none nameable": {{ID: "00o1"}, {ID: "00o2", Domain: "no domain"}},
		"not to be told apart": {
			{ID: "00o 1", Domain: "acme.okta.com"}, {ID: "00o 2", Domain: "acme.okta.com"},
		},
	} {
		_, err := importer.Manifests(&state.Actual{Orgs: orgs}, importer.Options{})
		if err == nil || !strings.Contains(err.Error(), "no org that a manifest could declare") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The loader takes files up to a size, and a manifest that it doesn't take is
// of no use.
func TestTooLarge(t *testing.T) {
	a := company()
	long := strings.Repeat(strings.Repeat("x", 60)+".", 3) + "okta.com"
	for i := range 13_000 {
		a.Orgs = append(a.Orgs, state.Org{
			ID: fmt.Sprintf("00o%d", i), Domain: fmt.Sprintf("acme-%d.%s", i, long), Cell: []string{"ok1", "ok2"}[i%2],
			Name: strings.Repeat("🙂", 160), Status: state.Active, Products: []string{sso},
		})
	}
	_, err := importer.Manifests(a, importer.Options{})
	if err == nil || !strings.Contains(err.Error(), "orgs.yaml would have 1") || !strings.Contains(err.Error(), "by cell") {
		t.Errorf("all in one file: %v", err)
	}
	r := mustImport(t, a, importer.Options{Split: importer.ByCell})
	for _, f := range r.Files {
		if len(f.Data) > strictyaml.MaxSize {
			t.Errorf("%s has %d bytes", f.Name, len(f.Data))
		}
	}
}

// The defaults must not harm an org that is added without further keys.
func TestHarmlessDefaults(t *testing.T) {
	a := company()
	for i := range a.Orgs {
		a.Orgs[i].Status, a.Orgs[i].Products = state.Inactive, []string{}
	}
	for split, want := range map[importer.Split]string{
		importer.Together: "defaults:\n  cell: ok14\n\n",
		importer.ByStatus: "defaults:\n  cell: ok14\n  status: INACTIVE\n\n",
	} {
		r := mustImport(t, a, importer.Options{Split: split})
		if text := string(r.Files[0].Data); !strings.Contains(text, want) {
			t.Errorf("split %q:\n%s", split, text)
		}
	}
}

// fleet returns the simulator's default fleet as the API returns it.
func fleet(n int) *state.Actual {
	seed := simulator.DefaultSeed(n)
	a := &state.Actual{Account: state.Account{ID: seed.Account.ID, Name: seed.Account.Name}}
	for _, p := range seed.Products {
		a.Catalog = append(a.Catalog, state.Product(p))
	}
	for _, o := range seed.Orgs {
		if o.Managed {
			a.Orgs = append(a.Orgs, state.Org{
				ID: o.ID, Domain: o.Domain, Cell: o.Cell, Name: o.Name, Status: state.Status(o.Status),
				AerialOrg: o.AerialOrg, Products: append([]string{}, o.Products...),
			})
		}
	}
	return a
}

// Sets and defaults make the text shorter than one that says everything at each
// org, and not by meaningless sets.
func TestShorter(t *testing.T) {
	for _, n := range []int{2, 10, 200, 2000} {
		a := fleet(n)
		r := mustImport(t, a, importer.Options{})
		desired, p, err := plan(r, a)
		if err != nil || !p.Empty() {
			t.Fatalf("%d orgs: %+v, %v", n, p, err)
		}
		spelt := spelledOut(desired)
		if got := withoutComments(r.Files[0].Data); len(got) >= len(spelt) {
			t.Errorf("%d orgs: %d bytes, spelt out %d:\n%s", n, len(got), len(spelt), got)
		}
		_, sets, _ := strings.Cut(string(r.Files[0].Data), "productSets:\n")
		sets, _, _ = strings.Cut(sets, "\n\n")
		if got := strings.Count(sets, ": ["); got > 3 {
			t.Errorf("%d orgs with products by chance: %d sets\n%s", n, got, sets)
		}
	}
}

// spelledOut is a manifest that says everything at each org, in one list a line.
func spelledOut(d *state.Desired) []byte {
	var b bytes.Buffer
	names := map[string]string{}
	fmt.Fprintf(&b, "version: 1\naccount:\n  id: %s\n  name: %s\nproducts:\n", d.Account.ID, strictyaml.Scalar(d.Account.Name))
	for name, id := range d.Products {
		names[id] = name
		fmt.Fprintf(&b, "  %s: %s\n", name, id)
	}
	b.WriteString("orgs:\n")
	for i := range d.Orgs {
		o := &d.Orgs[i]
		fmt.Fprintf(&b, "  - domain: %s\n", o.Domain)
		for _, f := range []struct{ key, value string }{{"id", o.ID}, {"cell", o.Cell}, {"status", string(o.Status)}} {
			if f.value != "" {
				fmt.Fprintf(&b, "    %s: %s\n", f.key, f.value)
			}
		}
		if o.Products != nil {
			products := slices.Clone(o.Products)
			for i, id := range products {
				if name := names[id]; name != "" {
					products[i] = name
				}
			}
			fmt.Fprintf(&b, "    products: [%s]\n", strings.Join(products, ", "))
		}
		if o.ProductPolicy != state.Exact {
			fmt.Fprintf(&b, "    productPolicy: %s\n", o.ProductPolicy)
		}
		if o.Protected {
			b.WriteString("    protected: true\n")
		}
	}
	return b.Bytes()
}

// withoutComments returns what a YAML reader sees, one list a line.
func withoutComments(text []byte) []byte {
	var out []byte
	text = bytes.ReplaceAll(text, []byte(",\n      "), []byte(", "))
	text = bytes.ReplaceAll(text, []byte(",\n    "), []byte(", "))
	for l := range bytes.Lines(text) {
		l, _, _ = bytes.Cut(l, []byte(" #"))
		if l = bytes.TrimRight(l, "\n "); len(l) > 0 && !bytes.HasPrefix(bytes.TrimLeft(l, " "), []byte("#")) {
			out = append(append(out, l...), '\n')
		}
	}
	return out
}

func BenchmarkManifests(b *testing.B) {
	for _, n := range []int{100, 5000} {
		a := fleet(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				mustImport(b, a, importer.Options{})
			}
		})
	}
}
