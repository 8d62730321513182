// Package transfer copies the rows of tables from one database to another, of which each
// may be a SQLite file or a PostgreSQL database, and compares them. What the tables mean
// is for the packages that own them.
package transfer

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Side is one of the two databases.
type Side struct {
	Tx       Reader
	Postgres bool
	// Tables are the names of the tables. Those of both sides correspond by their places.
	Tables []string
	// Rowid are those of the tables whose order is that of SQLite's rowid, for which
	// PostgreSQL has a column of that name.
	Rowid []string
}

// Target is the one of the two databases that is written to.
type Target struct {
	Side
	Tx Writer
}

// Reader is a transaction that reads.
type Reader interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

// Writer is a transaction that writes.
type Writer interface {
	Reader
	Exec(query string, args ...any) (sql.Result, error)
}

// To returns a side as a target.
func To(side Side, tx Writer) Target {
	side.Tx = tx
	return Target{side, tx}
}

// Read calls f with a side in a transaction that begin begins, in which nothing is written.
// It reports whether there is anything to read, which isn't so if begin returns none.
func Read(begin func() (*sql.Tx, error), none error, side func(Reader) Side, f func(Side) error) (exists bool, err error) {
	tx, err := begin()
	if errors.Is(err, none) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer tx.Rollback()
	return true, f(side(tx))
}

// Write calls f with a target in a transaction that begin begins, and commits it if f
// returns nil.
func Write(begin func() (*sql.Tx, error), side func(Reader) Side, f func(Target) error) error {
	tx, err := begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(To(side(tx), tx)); err != nil {
		return err
	}
	return tx.Commit()
}

// Sum describes the rows of a table. Two tables with the same Sum have the same rows.
type Sum struct {
	Table string
	Rows  int64
	// digest is the sum of the digests of the rows, so that their order doesn't matter:
	// the databases have no common one.
	digest [4]uint64
}

// Equal reports whether two tables have the same rows.
func (s *Sum) Equal(other *Sum) bool { return s.Rows == other.Rows && s.digest == other.digest }

const (
	// maxValues and maxBytes are how many values, and about how many bytes, one statement
	// inserts.
	maxValues = 5000
	maxBytes  = 1 << 20
)

// Copy replaces all rows of the target by those of from, and returns what it has read. A
// column that the target lacks is an error.
func Copy(from Side, to Target) ([]Sum, error) {
	if len(from.Tables) != len(to.Tables) {
		return nil, fmt.Errorf("there are %d tables, and %d in the target", len(from.Tables), len(to.Tables))
	}
	for _, side := range []Side{from, to.Side} {
		if err := side.patient(); err != nil {
			return nil, err
		}
	}
	if err := Clear(to); err != nil {
		return nil, err
	}
	var all []Sum
	for i, table := range from.Tables {
		sum, err := copyTable(from, to, table, to.Tables[i])
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", table, err)
		}
		all = append(all, sum)
	}
	return all, nil
}

// patient lifts the limits of time of a transaction.
func (s Side) patient() error {
	if !s.Postgres {
		return nil
	}
	var statement, idle string
	return s.Tx.QueryRow(`SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`).Scan(&statement, &idle)
}

// Clear removes all rows. Rows of later tables may refer to those of earlier ones.
func Clear(to Target) error {
	for _, table := range slices.Backward(to.Tables) {
		if _, err := to.Tx.Exec(`DELETE FROM ` + table); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	return nil
}

func copyTable(from Side, to Target, source, table string) (Sum, error) {
	columns, err := columnsOf(to.Side, table)
	if err != nil {
		return Sum{}, err
	}
	var in *Inserter
	sum, err := each(from, source, func(names []string, row []any) error {
		if in == nil {
			for _, name := range names {
				if !slices.Contains(columns, name) {
					return fmt.Errorf("the target has no column %s", name)
				}
			}
			in = NewInserter(to.Tx, table, names, "")
		}
		return in.Add(row...)
	})
	if err == nil && in != nil {
		err = in.Flush()
	}
	if err == nil && to.Postgres {
		err = setCounters(to.Tx, table, columns)
	}
	return sum, err
}

// query returns the query for all of a table.
func (s Side) query(table string) string {
	if !s.Postgres && slices.Contains(s.Rowid, table) {
		return `SELECT rowid, * FROM ` + table
	}
	return `SELECT * FROM ` + table
}

// columnsOf returns the names of the columns of a table.
func columnsOf(side Side, table string) ([]string, error) {
	rows, err := side.Tx.Query(side.query(table) + ` LIMIT 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	return names, errors.Join(err, rows.Err())
}

// Sums returns what is in the tables.
func Sums(side Side) ([]Sum, error) {
	if err := side.patient(); err != nil {
		return nil, err
	}
	var all []Sum
	for _, table := range side.Tables {
		sum, err := each(side, table, func([]string, []any) error { return nil })
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", table, err)
		}
		all = append(all, sum)
	}
	return all, nil
}

// each calls f with each row of a table.
func each(side Side, table string, f func(columns []string, row []any) error) (Sum, error) {
	sum := Sum{Table: table}
	rows, err := side.Tx.Query(side.query(table))
	if err != nil {
		return sum, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return sum, err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return sum, err
		}
		if err := sum.add(columns, row); err != nil {
			return sum, err
		}
		if err := f(columns, row); err != nil {
			return sum, err
		}
	}
	return sum, rows.Err()
}

// add adds a row, whose columns may be in another order elsewhere.
func (s *Sum) add(columns []string, row []any) error {
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(columns[a], columns[b]) })
	var b bytes.Buffer
	for _, i := range order {
		b.WriteString(columns[i])
		switch v := row[i].(type) {
		case nil:
			b.WriteString("=n")
		case int64:
			b.WriteString("=i")
			b.Write(binary.BigEndian.AppendUint64(nil, uint64(v)))
		case string:
			b.WriteString("=b")
			b.Write(binary.BigEndian.AppendUint64(nil, uint64(len(v))))
			b.WriteString(v)
		case []byte: // the same as a string: drivers differ in what they return
			b.WriteString("=b")
			b.Write(binary.BigEndian.AppendUint64(nil, uint64(len(v))))
			b.Write(v)
		default:
			return fmt.Errorf("column %s has a value of type %T, which can't be copied", columns[i], v)
		}
	}
	digest := sha256.Sum256(b.Bytes())
	for lane := range s.digest {
		s.digest[lane] += binary.BigEndian.Uint64(digest[8*lane:])
	}
	s.Rows++
	return nil
}

// Inserter inserts rows into a table, many with one statement: each statement is a round
// trip to a database. What was added is there after Flush.
type Inserter struct {
	tx Writer
	// begin and end are what a statement begins and ends with, and row is between for each.
	begin, row, end string
	columns         int
	values          []any
	size            int
}

// NewInserter returns an Inserter for some columns of a table. conflict, such as an ON
// CONFLICT clause, ends each statement; PostgreSQL allows that no two rows of one have the
// same key.
func NewInserter(tx Writer, table string, columns []string, conflict string) *Inserter {
	return &Inserter{
		tx: tx, begin: `INSERT INTO ` + table + ` (` + strings.Join(columns, ", ") + `) VALUES `,
		row: "(?" + strings.Repeat(", ?", len(columns)-1) + ")", end: " " + conflict, columns: len(columns),
	}
}

// Add adds a row.
func (in *Inserter) Add(row ...any) error {
	for _, v := range row {
		switch known := v.(type) {
		case string:
			in.size += len(known)
		case []byte:
			in.size += len(known)
			if known == nil {
				v = []byte{} // and not NULL
			}
		}
		in.values = append(in.values, v)
	}
	if len(in.values)+len(row) > maxValues || in.size > maxBytes {
		return in.Flush()
	}
	return nil
}

// Flush inserts the rows that are left.
func (in *Inserter) Flush() error {
	if len(in.values) == 0 {
		return nil
	}
	n := len(in.values) / in.columns
	_, err := in.tx.Exec(in.begin+in.row+strings.Repeat(", "+in.row, n-1)+in.end, in.values...)
	in.values, in.size = in.values[:0], 0
	return err
}

// setCounters makes PostgreSQL count on after the greatest number in each column that
// counts by itself.
func setCounters(tx Writer, table string, columns []string) error {
	for _, column := range columns {
		var counter sql.NullString
		if err := tx.QueryRow(`SELECT pg_get_serial_sequence(?, ?)`, table, column).Scan(&counter); err != nil {
			return err
		}
		if !counter.Valid {
			continue
		}
		if _, err := tx.Exec(`SELECT setval(?::regclass, (SELECT coalesce(max(`+column+`), 0) + 1 FROM `+table+`), false)`, counter.String); err != nil {
			return err
		}
	}
	return nil
}

// Compare returns an error that names the first table that differs.
func Compare(want, got []Sum) error {
	for i := range want {
		if w, g := &want[i], &got[i]; !w.Equal(g) {
			return fmt.Errorf("table %s: %d rows were read and %d are there, and they are not the same", w.Table, w.Rows, g.Rows)
		}
	}
	return nil
}
