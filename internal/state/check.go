package state

import (
	"strings"
	"unicode/utf8"
)

// What may stand in a manifest, for programs that write one. The loader says
// the same with words.

// ValidDomain reports whether s may be an org's domain.
func ValidDomain(s string) bool { return isDomain(s) }

// ValidID reports whether s may be the id of an org or an account.
func ValidID(s string) bool { return resourceID(s).Check() == nil }

// ValidCell reports whether s names a cell that Aerial supports.
func ValidCell(s string) bool { return cell(s).Check() == nil }

// ValidProductID reports whether s may be the id of a product.
func ValidProductID(s string) bool { return isProductID(s) }

// ValidName reports whether s may be the name of a product or a product set.
func ValidName(s string) bool {
	return checkName(s) == nil && !isProductID(strings.ToUpper(s))
}

// ValidAccountName reports whether s may be the name of an account.
func ValidAccountName(s string) bool { return utf8.ValidString(s) && accountName(s).Check() == nil }
