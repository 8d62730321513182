package postgres

import (
	"database/sql"
	"fmt"
	"time"
)

// MaxSkew is by how much the clocks of this machine and of the database may differ before
// times of one can't stand for times of the other.
const MaxSkew = time.Minute

// Ahead returns by how much the clock of this machine, which now reads, is ahead of that
// of the database, which row queries.
func Ahead(row func(query string, args ...any) *sql.Row, now func() time.Time) (time.Duration, error) {
	var clock time.Time
	before := now()
	if err := row(`SELECT clock_timestamp()`).Scan(&clock); err != nil {
		return 0, err
	}
	after := now()
	return before.Add(after.Sub(before) / 2).Sub(clock), nil
}

// Skew describes by how much the clock of this machine is ahead.
func Skew(ahead time.Duration) string {
	way := "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	return fmt.Sprintf("this machine's clock is %v %s the database's", ahead.Abs().Round(time.Second), way)
}
