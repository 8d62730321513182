package text

import "regexp"

// formula matches the beginning of what a spreadsheet may take for a formula. In many
// countries a semicolon separates cells, also of a file that has commas.
var formula = regexp.MustCompile(`(^|;)(\s*[=+\-@＝＋－＠\t\r\n])`)

// Spreadsheet returns the cells of a row of CSV so that no spreadsheet takes one for a
// formula: what begins like one gets an apostrophe. Characters that aren't printable are made
// visible. The row is changed.
func Spreadsheet(row []string) []string {
	for i, s := range row {
		row[i] = Visible(formula.ReplaceAllString(s, "$1'$2"))
	}
	return row
}
