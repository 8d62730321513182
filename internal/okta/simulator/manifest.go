package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
)

// Manifest returns the manifest of the managed orgs of a seed; a diff of the two is
// empty.
func Manifest(seed *Seed) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\naccount:\n  id: %s\n  name: %s\n", strictyaml.Scalar(seed.Account.ID), strictyaml.Scalar(seed.Account.Name))
	b.WriteString("products:\n")
	names := productNames(seed.Products)
	for _, p := range seed.Products {
		fmt.Fprintf(&b, "  %s: %s # %s\n", names[p.ID], strictyaml.Scalar(p.ID), strings.Join(strings.Fields(p.Name), " "))
	}
	app := ""
	for _, c := range seed.Clients {
		if c.Org == AllOrgs {
			app = c.ID
		}
	}
	b.WriteString("orgs:\n")
	for _, o := range slices.SortedFunc(slices.Values(seed.Orgs), func(a, b Org) int { return strings.Compare(a.Domain, b.Domain) }) {
		if !o.Managed {
			continue
		}
		fmt.Fprintf(&b, "  - domain: %s\n    cell: %s\n    status: %s\n", o.Domain, o.Cell, cmp.Or(o.Status, active))
		if o.AerialOrg || o.Creator {
			b.WriteString("    protected: true\n")
		}
		list := make([]string, len(o.Products))
		for i, id := range o.Products {
			list[i] = names[id]
		}
		fmt.Fprintf(&b, "    products: [%s]\n", strings.Join(list, ", "))
		if app != "" {
			fmt.Fprintf(&b, "    access: {clientID: %s}\n", app)
		}
	}
	return []byte(b.String())
}

// productNames returns a short name for each product id, such as adaptive-mfa for
// "IT Products - Adaptive MFA".
func productNames(products []Product) map[string]string {
	names, taken := map[string]string{}, map[string]bool{}
	for _, p := range products {
		_, short, ok := strings.Cut(p.Name, " - ")
		if !ok {
			short = p.Name
		}
		name := slug(short)
		if name == "" || name != strictyaml.Scalar(name) || taken[name] {
			name = "product-" + slug(p.ID)
		}
		for taken[name] {
			name += "-2"
		}
		taken[name] = true
		names[p.ID] = name
	}
	return names
}

func slug(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}
