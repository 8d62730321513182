package sqlitefile

import "testing"

// A file whose structure is broken is still damaged.
func TestValuesAreNotDamage(t *testing.T) {
	for verdict, value := range map[string]bool{
		"CHECK constraint failed in creations":       true,
		"NULL value in creations.begun_at":           true,
		"non-TEXT value in creations.begun_at":       true,
		"Tree 5 page 9 cell 0: Rowid 1 out of order": false,
		"row 1 missing from index creations_key":     false,
		"database disk image is malformed":           false,
	} {
		if aboutValue.MatchString(verdict) != value {
			t.Errorf("%q is about a value: %v", verdict, !value)
		}
	}
}
