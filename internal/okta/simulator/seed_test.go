package simulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

func wantSeed(t testing.TB, got, want *simulator.Seed) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("seed (-want +got):\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	good := func() *simulator.Seed {
		s := simulator.DefaultSeed(3)
		if _, err := s.AddClient(simulator.DefaultAerialOrg, jose.ES256, scopeRead); err != nil {
			t.Fatal(err)
		}
		return s
	}
	rsa := good()
	if _, err := rsa.AddClient(simulator.DefaultParent, jose.RS256); err != nil {
		t.Fatal(err)
	}
	if err := rsa.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		edit func(*simulator.Seed)
		says string
	}{
		{"version", func(s *simulator.Seed) { s.Version = 2 }, "version: want 1, got 2"},
		{"account id", func(s *simulator.Seed) { s.Account.ID = "a/b" }, `id "a/b" can't be part of a URL`},
		{"account id that is a path", func(s *simulator.Seed) { s.Account.ID = "api" }, `id "api" can't be`},
		{"account name", func(s *simulator.Seed) { s.Account.Name = "" }, "1 to 255 characters"},
		{"limits", func(s *simulator.Seed) { s.Limits.PerMinute = -1 }, "negative"},
		{"product without a name", func(s *simulator.Seed) { s.Products[0].Name = "" }, "products: number 1 needs id and name"},
		{"product twice", func(s *simulator.Seed) { s.Products[1].ID = "P000052" }, `products: "P000052" is there twice`},
		{"no Aerial org", func(s *simulator.Seed) { s.Orgs[0].AerialOrg = false }, "exactly one with aerialOrg, got 0"},
		{"two Aerial orgs", func(s *simulator.Seed) { s.Orgs[1].AerialOrg = true }, "exactly one with aerialOrg, got 2"},
		{"Aerial org not linked", func(s *simulator.Seed) { s.Orgs[0].Managed = false }, "always managed and active"},
		{"org id", func(s *simulator.Seed) { s.Orgs[1].ID = "" }, `id "" can't be part of a URL`},
		{"org id twice", func(s *simulator.Seed) { s.Orgs[1].ID = s.Orgs[0].ID }, "is there twice"},
		{"domain twice", func(s *simulator.Seed) { s.Orgs[1].Domain = s.Orgs[0].Domain }, `domain "acme-aerial.okta.com" is there twice`},
		{"domain in upper case", func(s *simulator.Seed) { s.Orgs[6].Domain = "Acme.okta.com" }, "not a domain in lower case"},
		{"domain without a dot", func(s *simulator.Seed) { s.Orgs[6].Domain = "acme" }, "not a domain in lower case"},
		{"org name", func(s *simulator.Seed) { s.Orgs[6].Name = "" }, "name is missing"},
		{"cell in upper case", func(s *simulator.Seed) { s.Orgs[6].Cell = "OK1" }, "not in lower case"},
		{"unsupported cell", func(s *simulator.Seed) { s.Orgs[6].Cell = "ok10" }, `"ok10" is not supported`},
		{"status", func(s *simulator.Seed) { s.Orgs[6].Status = "DELETED" }, "neither ACTIVE nor INACTIVE"},
		{"parent", func(s *simulator.Seed) { s.Orgs[6].Parent = "other.okta.com" }, `no org "other.okta.com"`},
		{"child of a child", func(s *simulator.Seed) { s.Orgs[1].Parent = s.Orgs[6].Domain }, "is a child itself"},
		{"own parent", func(s *simulator.Seed) { s.Orgs[6].Parent = s.Orgs[6].Domain }, "is a child itself"},
		{"consent of a child", func(s *simulator.Seed) { s.Orgs[6].Consent = true }, "parent's consent"},
		{"date", func(s *simulator.Seed) { s.Orgs[6].CreatedDate = "2023-12-08" }, `"2023-12-08" is not like`},
		{"ready date", func(s *simulator.Seed) { s.Orgs[6].ReadyDate = "soon" }, `"soon" is not like`},
		{"product not subscribed", func(s *simulator.Seed) { s.Orgs[6].Products = []string{"P9"} }, `"P9" is not subscribed`},
		{"product of an org twice", func(s *simulator.Seed) { s.Orgs[6].Products = []string{"P000052", "P000052"} }, `"P000052" is there twice`},
		{"token twice", func(s *simulator.Seed) { s.Orgs[6].Tokens = s.Orgs[1].Tokens }, "belongs to another org"},
		{"client of no org", func(s *simulator.Seed) { s.Clients[0].Org = "x.okta.com" }, `no org "x.okta.com"`},
		{"client twice", func(s *simulator.Seed) { s.Clients = append(s.Clients, s.Clients[0]) }, "empty or there twice"},
		{"scope", func(s *simulator.Seed) { s.Clients[0].Scopes = []string{"okta.x"} }, `no scope "okta.x"`},
		{"no key", func(s *simulator.Seed) { s.Clients[0].Keys = nil }, "has no key"},
		{"key without an id", func(s *simulator.Seed) { s.Clients[0].Keys[0].ID = "" }, "kid is missing"},
		{"key twice", func(s *simulator.Seed) {
			s.Clients[0].Keys = append(s.Clients[0].Keys, s.Clients[0].Keys[0])
		}, `key "key-1" is there twice`},
		{"point off the curve", func(s *simulator.Seed) { s.Clients[0].Keys[0].X = s.Clients[0].Keys[0].Y }, "not a"},
		{"secret key", func(s *simulator.Seed) { s.Clients[0].Keys[0].Type = "oct" }, "not a"},
		{"short RSA key", func(s *simulator.Seed) {
			s.Clients[0].Keys[0] = simulator.Key{Type: "RSA", ID: "k", N: strings.Repeat("w", 171), E: "AQAB"}
		}, "needs 2048 bits, got 1024"},
		{"template twice", func(s *simulator.Seed) { s.Templates[1].ID = s.Templates[0].ID }, "templates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := good()
			tt.edit(s)
			if _, err := simulator.New(s, simulator.Options{}); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
	if _, err := simulator.New(nil, simulator.Options{}); err == nil {
		t.Error("no seed was taken")
	}
}

const smallSeed = `version: 1
account: {id: 0200abc, name: Small, deletionAllowed: true}
products:
  - {id: P000052, name: IT Products - SSO}
orgs:
  - id: 00o1
    domain: small.okta.com
    name: Small
    cell: ok1
    managed: true
    aerialOrg: true
    products: [P000052]
`

func TestLoadSeed(t *testing.T) {
	s, err := simulator.LoadSeed("seed.yaml", []byte(smallSeed))
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simulator.New(s, simulator.Options{Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := sim.Org("small.okta.com")
	want := simulator.Org{
		ID: "00o1", Domain: "small.okta.com", Name: "Small", Cell: "ok1", Status: "ACTIVE", Managed: true,
		AerialOrg: true, Products: []string{"P000052"}, CreatedDate: "2026-03-01T12:00:00.000Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tests := []struct{ name, old, new, says string }{
		{"unknown key", "cell: ok1", "cel: ok1", `seed.yaml:9:5: unknown key "cel"`},
		{"wrong type", "managed: true", "managed: maybe", "seed.yaml:10:14"},
		{"bad value", "version: 1", "version: 3", "seed.yaml: version: want 1, got 3"},
		{"two documents", "version: 1", "version: 1\n---\nversion: 1", "want one YAML document"},
		{"nothing", smallSeed, "", "want one YAML document, got 0"},
		{"private key", "orgs:", "clients:\n  - {id: x, org: small.okta.com, scopes: [], keys: [{kty: EC, kid: k, d: x}]}\norgs:", `unknown key "d"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := simulator.LoadSeed("seed.yaml", []byte(strings.Replace(smallSeed, tt.old, tt.new, 1)))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}

// A dump that is written and loaded is the state that it was made of, whatever
// happened before.
func TestDumpLoad(t *testing.T) {
	base := simulator.DefaultSeed(5)
	if _, err := base.AddClient(simulator.DefaultAerialOrg, jose.ES384, scopeRead, scopeManage); err != nil {
		t.Fatal(err)
	}
	var domains, products []string
	for _, o := range base.Orgs {
		domains = append(domains, o.Domain)
	}
	for _, p := range base.Products {
		products = append(products, p.ID)
	}
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09 :#-'\"\\{}[]&*!|>%@`,?\n\t\u0085\u00a0\u2028äé\U0001f600~")), 1, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		sim, err := simulator.New(base, simulator.Options{Now: newClock().Now, RandSeed: rapid.Uint64().Draw(t, "seed")})
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			domain := rapid.SampledFrom(domains).Draw(t, "org")
			// Some of these fail, and then change nothing.
			switch rapid.IntRange(0, 6).Draw(t, "change") {
			case 0:
				sim.SetOrgProducts(domain, rapid.SliceOfDistinct(rapid.SampledFrom(products), rapid.ID).Draw(t, "products"), "eve")
			case 1:
				sim.SetOrgStatus(domain, rapid.SampledFrom([]string{"ACTIVE", "INACTIVE"}).Draw(t, "status"), "eve")
			case 2:
				sim.LinkOrg(domain, "eve")
			case 3:
				sim.SetReadForbidden(domain, rapid.Bool().Draw(t, "forbidden"))
			case 4:
				sim.SetConsent(domain, rapid.Bool().Draw(t, "granted"), "eve")
			case 5:
				sim.SetAccountName(text.Draw(t, "name"))
			case 6:
				sim.AddOrg(simulator.Org{
					Domain: fmt.Sprintf("n%d.okta.com", rapid.IntRange(0, 5).Draw(t, "n")), Name: text.Draw(t, "name"),
					Cell: "eu1", Region: text.Draw(t, "region"), CreatedBy: text.Draw(t, "by"), Tokens: []string{text.Draw(t, "token")},
				})
			}
		}
		dump := sim.Dump()
		yaml, err := dump.YAML()
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := simulator.LoadSeed("dump.yaml", yaml)
		if err != nil {
			t.Fatalf("%v\n%s", err, yaml)
		}
		again, err := simulator.New(loaded, simulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []*simulator.Seed{loaded, again.Dump()} {
			if diff := cmp.Diff(dump, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("(-dumped +loaded):\n%s", diff)
			}
		}
	})
	bad := simulator.DefaultSeed(2)
	bad.Account.Name = "\xff"
	if _, err := bad.YAML(); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("got %v", err)
	}
}

// What a created org has can be dumped too: its token, and when it is ready.
func TestDumpCreated(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 2})
	wantStatus(t, f.asParent("POST", "/api/v1/orgs", creation("acme-fresh")), 201)
	dump := f.Dump()
	last := dump.Orgs[len(dump.Orgs)-1]
	if last.Domain != "acme-fresh.okta.com" || last.ReadyDate != "2026-03-01T12:00:30.000Z" || len(last.Tokens) != 1 {
		t.Errorf("got %+v", last)
	}
	yaml, err := dump.YAML()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := simulator.LoadSeed("dump.yaml", yaml)
	if err != nil {
		t.Fatal(err)
	}
	wantSeed(t, loaded, dump)
}

// Neither seed nor dump shares memory with the simulator.
func TestNoSharing(t *testing.T) {
	seed := simulator.DefaultSeed(3)
	sim, err := simulator.New(seed, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := sim.Dump()
	seed.Orgs[1].Products[0], seed.Products[0].Name = "P9", "other"
	dump := sim.Dump()
	dump.Orgs[1].Products[0], dump.Orgs[1].Tokens[0] = "P9", "x"
	o, _ := sim.Org(simulator.DefaultParent)
	o.Products[0] = "P9"
	wantSeed(t, sim.Dump(), before)
}

func TestMutatorsRefuse(t *testing.T) {
	sim, err := simulator.New(simulator.DefaultSeed(3), simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := sim.Dump()
	for name, err := range map[string]error{
		"unknown org":         sim.SetOrgStatus("x.okta.com", "ACTIVE", ""),
		"unknown status":      sim.SetOrgStatus(simulator.DefaultParent, "GONE", ""),
		"the Aerial org":      sim.SetOrgStatus(simulator.DefaultAerialOrg, "INACTIVE", ""),
		"unsupported cell":    sim.LinkOrg("acme-legacy.okta.com", ""),
		"products twice":      sim.SetOrgProducts(simulator.DefaultParent, []string{"P000052", "P000052"}, ""),
		"account name":        sim.SetAccountName(strings.Repeat("x", 256)),
		"unsubscribed":        sim.SetOrgProducts(simulator.DefaultParent, []string{"P9"}, ""),
		"consent of a child":  sim.SetConsent("acme-new.okta.com", true, ""),
		"consent once linked": sim.SetConsent(simulator.DefaultParent, false, ""),
		"domain twice":        sim.AddOrg(simulator.Org{Domain: simulator.DefaultParent, Name: "x", Cell: "ok1"}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "simulator: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	wantSeed(t, sim.Dump(), before)
	// An empty set of products is one, given as nil or not.
	if err := sim.SetOrgProducts(simulator.DefaultParent, []string{}, ""); err != nil {
		t.Fatal(err)
	}
	if o, _ := sim.Org(strings.ToUpper(simulator.DefaultParent)); len(o.Products) != 0 {
		t.Errorf("got %v", o.Products)
	}
}

func TestDefaultSeed(t *testing.T) {
	tokenless := func(n int) *simulator.Seed {
		s := simulator.DefaultSeed(n)
		for i := range s.Orgs {
			s.Orgs[i].Tokens = nil
		}
		return s
	}
	large := tokenless(2000)
	if err := large.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{-1, 0, 2, 3, 300} {
		s := tokenless(n)
		managed := slices.DeleteFunc(slices.Clone(s.Orgs), func(o simulator.Org) bool { return !o.Managed })
		if len(managed) != max(n, 2) {
			t.Errorf("%d: got %d managed orgs", n, len(managed))
		}
		if diff := cmp.Diff(large.Orgs[:len(s.Orgs)], s.Orgs); diff != "" {
			t.Errorf("%d: not the beginning of a larger fleet:\n%s", n, diff)
		}
	}
	cells, statuses := map[string]bool{}, map[string]bool{}
	for _, o := range large.Orgs {
		cells[o.Cell], statuses[o.Status] = true, true
		if base := map[bool]string{true: ".oktapreview.com", false: ".okta.com"}[strings.HasPrefix(o.Cell, "op")]; !strings.HasSuffix(o.Domain, base) {
			t.Errorf("%s is in %s", o.Domain, o.Cell)
		}
	}
	if len(cells) != 8 || len(statuses) != 2 {
		t.Errorf("cells %v, statuses %v", cells, statuses)
	}
}

// The same calls in the same order have the same answers.
func TestDeterministic(t *testing.T) {
	run := func() string {
		f := start(t, simulatortest.Config{Orgs: 3})
		token := f.token(scopeManage)
		var all strings.Builder
		for _, path := range []string{"/api/v1/products", "/api/v1/orgs/x", "/api/v1/orgs/" + f.orgID(simulator.DefaultParent) + "/products", "/api/v1/orgs"} {
			all.WriteString(f.aerial(token, "GET", path, "").body)
		}
		f.asParent("POST", "/api/v1/orgs", creation("acme-x"))
		return strings.ReplaceAll(all.String(), f.URL, "") + f.orgID("acme-x.okta.com")
	}
	// Creation dates of DefaultSeed are fixed, the errorId and the order of
	// products come from RandSeed.
	if a, b := run(), run(); a != b {
		t.Errorf("got\n%s\nand\n%s", a, b)
	}
}
