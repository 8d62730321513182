package state

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The functions of this file are for programs that write manifests. The loader
// applies the same rules.

// ValidDomain reports whether a manifest may have s as an org's domain.
func ValidDomain(s string) bool { return isDomain(s) }

// ValidID reports whether a manifest may have s as the id of an org or account.
func ValidID(s string) bool { return resourceID(s).Check() == nil }

// ValidCell reports whether s is a cell that Aerial supports.
func ValidCell(s string) bool { return cell(s).Check() == nil }

// ValidProductID reports whether a manifest may have s as the id of a product.
func ValidProductID(s string) bool { return isProductID(s) }

// ValidName reports whether a manifest may have s as the name of a product or a
// product set.
func ValidName(s string) bool {
	return checkName(s) == nil && !isProductID(strings.ToUpper(s))
}

// ValidAccountName reports whether a manifest may have s as the account's name.
func ValidAccountName(s string) bool { return utf8.ValidString(s) && line(s).Check() == nil }

// bases are the domains under which Okta creates orgs. A parent under one of them
// creates its children under the same.
var bases = []string{"okta.com", "oktapreview.com", "okta-emea.com"}

// CheckChild returns why a parent can't create an org of this domain, or nil. Of a
// parent with a domain of its own, or none that is known, only the form is known.
func CheckChild(domain, parent string) error {
	_, declared, _ := strings.Cut(domain, ".")
	_, base, _ := strings.Cut(parent, ".")
	if slices.Contains(bases, base) && declared != base {
		return fmt.Errorf("%s can't be created by its parent %s, which makes orgs under %s only: declare a domain under %s, or another parent", domain, parent, base, base)
	}
	for _, b := range bases {
		if sub, under := strings.CutSuffix(domain, "."+b); under && strings.Contains(sub, ".") {
			return fmt.Errorf("no parent can create %s: a new org has one name before %s", domain, b)
		}
	}
	return nil
}

// CheckCell returns an error if an org that is to be created is declared in
// another cell than that of its parent, where it would be. An empty cell is not
// known.
func CheckCell(domain, cell, parent, parentCell string) error {
	if cell == "" || parentCell == "" || cell == parentCell {
		return nil
	}
	return fmt.Errorf("%s is to be created in the cell %s, but its parent %s is in %s, and a new org lives in its parent's cell: correct the cell",
		domain, cell, parent, parentCell)
}
