package browsertest

import (
	"fmt"
	"slices"
	"strings"
)

// The fleet: the Aerial org, the parent, and children of it, four of which drift from
// the start.
const (
	orgs      = 300 // declared ones that are live
	aerialOrg = "acme-aerial.okta.com"
	parentOrg = "acme.okta.com"
	// lessOrg has one product less than is declared, moreOrg one more, inactiveOrg is
	// inactive.
	lessOrg     = "acme-amer-bank.okta.com"
	moreOrg     = "acme-emea-labs.okta.com"
	inactiveOrg = "acme-apac-media.okta.com"
	// unknownOrg can't be read, unmanagedOrg is declared nowhere, missingOrg isn't live.
	unknownOrg   = "acme-india-health.okta.com"
	unmanagedOrg = "acme-bought.okta.com"
	missingOrg   = "acme-nordics-new.okta.com"
	// zoneOrg is one that has a baseline, in which another admin changes a zone.
	zoneOrg = "acme-emea-retail.okta.com"
)

var (
	regions = []string{"emea", "amer", "apac", "dach", "nordics", "latam", "india", "japan"}
	units   = []string{
		"retail", "labs", "logistics", "bank", "insurance", "health", "energy", "media", "travel", "foods", "motors",
		"pharma", "cloud", "partners", "careers", "support", "legal", "finance", "people", "sales",
	}
	products = []struct{ name, id, title string }{
		{"sso", "P000052", "IT Products - SSO"}, {"mfa", "P000131", "IT Products - MFA"},
		{"lifecycle", "P000139", "IT Products - Lifecycle Management with 1 OIN App"},
		{"directory", "P000201", "IT Products - Universal Directory"},
		{"api-access", "P000204", "IT Products - API Access Management"},
		{"governance", "P000207", "IT Products - Identity Governance"},
		{"workflows", "P000208", "IT Products - Workflows"},
	}
	cells = []string{"ok1", "ok2", "ok7", "eu1"}
)

// adminToken is the other admin's token in an org that has a baseline.
func adminToken(domain string) string { return "00token-of-another-admin-in-" + domain }

// org is one org of the fleet.
type org struct {
	domain, cell, region, unit string
	products                   []string // names
	baseline                   bool
}

// fleet returns the orgs, the same ones each time.
func fleet() []org {
	all := []org{
		{domain: aerialOrg, cell: "ok1", products: []string{"sso", "mfa"}},
		{domain: parentOrg, cell: "ok1", products: []string{"sso", "mfa"}},
	}
	for i := 0; len(all) < orgs; i++ {
		region, unit, round := regions[i%len(regions)], units[i/len(regions)%len(units)], i/(len(regions)*len(units))
		o := org{domain: "acme-" + region + "-" + unit, cell: cells[(i+i/7)%len(cells)], region: region, unit: unit, products: []string{"sso", "mfa"}}
		if round > 0 {
			o.domain += fmt.Sprintf("-%d", round+1)
		}
		o.domain += ".okta.com"
		for n, p := range products[2:] {
			if (i+n*n)%(n+3) == 0 || o.domain == lessOrg && p.name == "workflows" {
				o.products = append(o.products, p.name)
			}
		}
		o.baseline = i < 16 && region != "india"
		all = append(all, o)
	}
	return all
}

// objects is the baseline, in a form that is right in a manifest and in a seed.
const objects = `{"networkZones": [
    {"name": "Offices", "type": "IP", "status": "ACTIVE", "gateways": [{"type": "CIDR", "value": "198.51.100.0/24"}]},
    {"name": "Blocked", "type": "IP", "status": "ACTIVE", "usage": "BLOCKLIST", "gateways": [{"type": "CIDR", "value": "203.0.113.0/28"}]}
  ], "groups": [{"profile": {"name": "Contractors", "description": "External staff"}}]}`

// seed is what the simulator starts with.
func seed() string {
	var b strings.Builder
	b.WriteString("version: 1\naccount: {id: 0200bs0617vvhv2v675mch1cukp, name: Acme Holdings}\nlimits: {concurrent: 10, perMinute: 60000}\nproducts:\n")
	ids := map[string]string{}
	for _, p := range products {
		fmt.Fprintf(&b, "  - {id: %s, name: %s}\n", p.id, p.title)
		ids[p.name] = p.id
	}
	b.WriteString("orgs:\n")
	for i, o := range fleet() {
		live, status, more := slices.Clone(o.products), "ACTIVE", ""
		switch o.domain {
		case lessOrg:
			live = slices.DeleteFunc(live, func(p string) bool { return p == "workflows" })
		case moreOrg:
			if !slices.Contains(live, "governance") {
				live = append(live, "governance")
			}
		case inactiveOrg:
			status = "INACTIVE"
		case unknownOrg:
			more = ", readForbidden: true"
		case aerialOrg:
			more = ", aerialOrg: true"
		case parentOrg:
			more = ", creator: true, consent: true, tokens: [00parent-token-of-the-browser-tests]"
		}
		if o.domain != aerialOrg && o.domain != parentOrg {
			more += ", parent: " + parentOrg
		}
		if o.baseline {
			more += ", tokens: [" + adminToken(o.domain) + "], configuration: " + fmt.Sprintf("%q", objects)
		}
		for n, name := range live {
			live[n] = ids[name]
		}
		fmt.Fprintf(&b, "  - {id: 00o%017d, domain: %s, name: %q, cell: %s, status: %s, managed: true, products: [%s]%s}\n",
			i+1, o.domain, o.domain[:strings.Index(o.domain, ".")], o.cell, status, strings.Join(live, ", "), more)
	}
	fmt.Fprintf(&b, "  - {id: 00o%017d, domain: %s, name: Acme Bought, cell: ok7, status: ACTIVE, managed: true, products: [P000052]}\n", orgs+1, unmanagedOrg)
	return b.String()
}

// manifests are the files that declare the fleet. Orgs with a baseline have the given
// client.
func manifests(client string) map[string]string {
	var common strings.Builder
	common.WriteString("version: 1\naccount: {id: 0200bs0617vvhv2v675mch1cukp, name: Acme Holdings}\nproducts:\n")
	for _, p := range products {
		fmt.Fprintf(&common, "  %s: %s\n", p.name, p.id)
	}
	files := map[string]string{
		"orgs/common.yaml":    common.String(),
		"orgs/baselines.yaml": "version: 1\nbaselines:\n  workforce: " + objects + "\n",
	}
	for _, o := range fleet() {
		name := "orgs/acme.yaml"
		if o.region != "" {
			name = "orgs/" + o.region + ".yaml"
		}
		if files[name] == "" {
			files[name] = "version: 1\norgs:\n"
		}
		text := fmt.Sprintf("  - domain: %s\n    cell: %s\n    status: ACTIVE\n    products: [%s]\n", o.domain, o.cell, strings.Join(o.products, ", "))
		if o.region != "" {
			text += fmt.Sprintf("    owner: identity-%s@acme.example\n    labels: {region: %s, unit: %s}\n", o.region, o.region, o.unit)
		}
		if o.baseline {
			text += fmt.Sprintf("    baselines: [workforce]\n    access: {clientID: %s}\n", client)
		}
		files[name] += text
	}
	files["orgs/nordics.yaml"] += "  - domain: " + missingOrg + "\n    cell: ok1\n    products: [sso]\n    owner: identity-nordics@acme.example\n"
	return files
}
