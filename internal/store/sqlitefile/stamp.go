package sqlitefile

import (
	"database/sql"
	"fmt"
	"time"
)

// StampForm is RFC 3339 of fixed width, so that times sort as text, and a person who
// opens the file with sqlite3 in an emergency can read them.
const StampForm = "2006-01-02T15:04:05.000000000Z"

// Stamp returns a time as the files have it; "" is never.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(StampForm)
}

// Moment scans a stamp into t.
func Moment(t *time.Time) sql.Scanner { return moment{t} }

type moment struct{ t *time.Time }

// firstYear and lastYear bound the times that a file can have: from that of a clock
// that was never set to one that is far enough ahead.
const firstYear, lastYear = 1970, 2199

// Scan reads what Stamp returned.
func (m moment) Scan(value any) error {
	s, ok := TextOf(value)
	if !ok {
		return fmt.Errorf("a time of type %T", value)
	}
	if s == "" {
		*m.t = time.Time{}
		return nil
	}
	t, err := time.Parse(StampForm, s)
	if err != nil {
		return fmt.Errorf("%q is no time of the form %s", s, StampForm)
	}
	if y := t.Year(); y < firstYear || y > lastYear {
		return fmt.Errorf("%q can't be: it is not within the years %d to %d", s, firstYear, lastYear)
	}
	*m.t = t
	return nil
}

// TextOf returns a value of SQLite as text, and false if it is none.
func TextOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}
