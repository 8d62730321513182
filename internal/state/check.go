package state

import (
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
