package text

import "strings"

// Spreadsheet returns the cells of a row of CSV so that no spreadsheet takes one for a
// formula: such a cell gets an apostrophe. Characters that aren't printable are made
// visible. The row is changed.
func Spreadsheet(row []string) []string {
	for i, s := range row {
		if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
			s = "'" + s
		}
		row[i] = Visible(s)
	}
	return row
}
