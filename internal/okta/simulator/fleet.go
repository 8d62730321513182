package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The account of DefaultSeed and two of its orgs.
const (
	// DefaultAccount is the id of the account.
	DefaultAccount = "0200bs0617vvhv2v675mch1cukp"
	// DefaultAerialOrg is the domain of the Aerial org, DefaultParent that of
	// the parent.
	DefaultAerialOrg = "acme-aerial.okta.com"
	DefaultParent    = "acme.okta.com"
)

// catalogue is what the account of DefaultSeed subscribes to. Okta has published
// the ids of the first four; the others are made up.
var catalogue = []Product{
	{"P000052", "IT Products - SSO"},
	{"P000131", "IT Products - MFA"},
	{"P000139", "IT Products - Lifecycle Management with 1 OIN App"},
	{"P001113", "IT Products - Identity Threat Protection"},
	{"P000201", "IT Products - Universal Directory"},
	{"P000202", "IT Products - Adaptive SSO"},
	{"P000203", "IT Products - Adaptive MFA"},
	{"P000204", "IT Products - API Access Management"},
	{"P000205", "IT Products - Access Gateway"},
	{"P000206", "IT Products - Advanced Server Access"},
	{"P000207", "IT Products - Identity Governance"},
	{"P000208", "IT Products - Workflows"},
}

var (
	regions = []string{"emea", "amer", "apac", "dach", "nordics", "latam", "india", "japan"}
	units   = []string{
		"retail", "labs", "logistics", "bank", "insurance", "health", "energy", "media",
		"travel", "foods", "motors", "pharma", "cloud", "partners", "careers", "support",
	}
	cells = []struct{ name, region, base string }{
		{"ok1", "us-east-1", "okta.com"}, {"ok2", "us-east-1", "okta.com"},
		{"ok7", "us-west-2", "okta.com"}, {"ok11", "us-east-2", "okta.com"},
		{"eu1", "eu-central-1", "okta.com"}, {"ok14", "us-east-2", "okta.com"},
		{"op1", "us-east-1", "oktapreview.com"},
	}
)

// DefaultSeed returns a plausible company with n managed orgs: the Aerial org, a
// parent, and n-2 children of it; n below 2 counts as 2. The same n results in the
// same fleet, and a smaller fleet is the beginning of a larger one. Four more orgs
// are not linked: acme-new.okta.com (a child, so with consent),
// acme-merged.okta.com (no consent), acme-bought.okta.com (consent, and products
// already) and acme-legacy.okta.com (consent, in a cell that Aerial doesn't
// support). The parent has consent, a new SSWS token, and the Org Creator API.
// There are no clients: see AddClient.
func DefaultSeed(n int) *Seed {
	random := rand.New(rand.NewPCG(1, 2))
	ids := &Simulator{random: random}
	seed := &Seed{
		Version:  SeedVersion,
		Account:  Account{ID: DefaultAccount, Name: "Acme Holdings"},
		Products: slices.Clone(catalogue),
		Templates: []Template{
			{ID: "rct0000000000000001", Name: "Contractors", ApplyStatus: "APPLIED"},
			{ID: "rct0000000000000002", Name: "Administrators", ApplyStatus: "NOT_APPLIED"},
		},
	}
	base := []string{"P000052", "P000131"}
	add := func(o Org) {
		o.ID, o.CreatedBy = ids.newID("00o"), "okta@acme.example"
		o.CreatedDate = fmt.Sprintf("202%d-%02d-%02dT%02d:15:18.000Z", random.IntN(5), 1+random.IntN(12), 1+random.IntN(28), random.IntN(24))
		seed.Orgs = append(seed.Orgs, o)
	}
	add(Org{Domain: DefaultAerialOrg, Name: "Acme Aerial", Cell: "ok1", Region: "us-east-1", Status: active, Managed: true, AerialOrg: true, Consent: true, Products: base})
	add(Org{Domain: DefaultParent, Name: "Acme", Cell: "ok1", Region: "us-east-1", Status: active, Managed: true, Creator: true, Consent: true, Tokens: []string{"00" + newSecret()[:40]}, Products: slices.Clone(base)})
	add(Org{Domain: "acme-new.okta.com", Name: "Acme New", Cell: "ok1", Region: "us-east-1", Status: active, Parent: DefaultParent})
	add(Org{Domain: "acme-merged.okta.com", Name: "Acme Merged", Cell: "ok2", Region: "us-east-1", Status: active})
	add(Org{Domain: "acme-bought.okta.com", Name: "Acme Bought", Cell: "ok7", Region: "us-west-2", Status: active, Consent: true, Products: []string{"P000052", "P000207"}})
	add(Org{Domain: "acme-legacy.okta.com", Name: "Acme Legacy", Cell: "ok5", Region: "us-east-1", Status: active, Consent: true})
	for i := range max(n, 2) - 2 {
		add(child(i, random))
	}
	return seed
}

// child returns the ith child, which doesn't depend on how many there are.
func child(i int, random *rand.Rand) Org {
	region, unit := regions[i%len(regions)], units[i/len(regions)%len(units)]
	sub := fmt.Sprintf("acme-%s-%s", region, unit)
	if round := i / (len(regions) * len(units)); round > 0 {
		sub = fmt.Sprintf("%s-%d", sub, round+1)
	}
	cell := cells[random.IntN(len(cells))]
	o := Org{
		Domain: sub + "." + cell.base, Name: title(sub), Cell: cell.name, Region: cell.region,
		Status: active, Managed: true, Parent: DefaultParent, Products: []string{"P000052", "P000131"},
	}
	if i%17 == 16 {
		o.Status = inactive
	}
	for _, p := range catalogue[2:] {
		if random.IntN(4) == 0 {
			o.Products = append(o.Products, p.ID)
		}
	}
	slices.Sort(o.Products)
	return o
}

// title returns the name for a subdomain: acme-emea-retail is Acme Emea Retail.
func title(sub string) string {
	words := strings.Split(sub, "-")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}
