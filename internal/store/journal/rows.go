package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"reconciler/internal/store/sqlitefile"
)

// RowError is a row of the journal that can't be read, because something else than
// this program has written to it. The other rows can be.
type RowError struct {
	Table string
	// Keys are the columns that identify the row, with their values.
	Keys map[string]string
	// Column is the one that can't be read, and Problem says why.
	Column, Problem string
}

// Error names table, row and column.
func (e *RowError) Error() string {
	var keys []string
	for _, name := range keyColumns() {
		if value, ok := e.Keys[name]; ok {
			keys = append(keys, fmt.Sprintf("%s %q", name, clean(value)))
		}
	}
	return fmt.Sprintf("table %s, row with %s: %s can't be read: %s", e.Table, strings.Join(keys, ", "), e.Column, clean(e.Problem))
}

// Hint returns what to do about it.
func (e *RowError) Hint() string {
	return `the other rows are used; docs/recovery.md, "A row of the journal can't be read", says how to set it right`
}

// RowsError are the rows of a table that can't be read. Methods that return it return
// the others as well.
type RowsError struct{ Rows []*RowError }

// Error returns the first and counts the others.
func (e *RowsError) Error() string {
	if n := len(e.Rows) - 1; n > 0 {
		return fmt.Sprintf("%v (and %d more)", e.Rows[0], n)
	}
	return e.Rows[0].Error()
}

// Hint returns what to do about it.
func (e *RowsError) Hint() string { return e.Rows[0].Hint() }

// unreadable returns the rows that an error is about; nil if it is another error.
func unreadable(err error) []*RowError {
	var rows *RowsError
	if errors.As(err, &rows) {
		return rows.Rows
	}
	return nil
}

// Unreadable returns the rows that can't be read of what is kept of an account, in
// all tables but that of runs, on which nothing relies.
func (j *Journal) Unreadable(account string) ([]*RowError, error) {
	_, creations := j.Creations(account)
	_, deletions := j.Deletions(account)
	_, announcements := j.Announcements(account)
	_, acceptances := list(j, "reading accepted commits", (*Acceptance).fields, acceptedRows)
	_, removals := list(j, "reading what was removed", (*Removal).fields, removalRows, account)
	_, orgs := j.Orgs(account)
	_, accesses := j.Accesses(account)
	_, inactive := j.Inactive(account)
	_, writes := j.FieldWrites(account)
	_, loss := j.Loss()
	var all []*RowError
	for _, err := range []error{creations, deletions, announcements, acceptances, removals, orgs, accesses, inactive, writes, loss} {
		rows := unreadable(err)
		if err != nil && rows == nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// list returns the rows of a query, or none where there is no file. fields returns
// where the columns of a row go. If some rows can't be read, the error is a
// *RowsError, and the others are returned.
func list[T any](j *Journal, doing string, fields func(*T) []any, query string, args ...any) (all []T, err error) {
	err = j.read(doing, func(q sqlitefile.Querier) error {
		all, err = rowsOf(q, fields, query, args...)
		return err
	})
	return all, err
}

// one is rowsOf for a query of at most one row; nil if there is none.
func one[T any](q sqlitefile.Querier, fields func(*T) []any, query string, args ...any) (*T, error) {
	all, err := rowsOf(q, fields, query, args...)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// checked is a row whose columns have to fit together. check returns the column that
// doesn't fit, and why.
type checked interface {
	check() (column, problem string)
}

func rowsOf[T any](q sqlitefile.Querier, fields func(*T) []any, query string, args ...any) ([]T, error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []T
	var bad []*RowError
	for rows.Next() {
		var row T
		column, problem := scan(rows, columns, fields(&row))
		if c, ok := any(&row).(checked); ok && column == "" {
			column, problem = c.check()
		}
		if column == "" {
			all = append(all, row)
			continue
		}
		bad = append(bad, &RowError{Table: tableOf(query), Keys: keysOf(rows, columns), Column: column, Problem: problem})
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(bad) > 0 {
		return all, &RowsError{bad}
	}
	return all, nil
}

// scan reads a row, and returns the first column that can't be read, and why.
func scan(rows *sql.Rows, columns []string, fields []any) (column, problem string) {
	if rows.Scan(fields...) == nil {
		return "", ""
	}
	for i := range fields {
		single := make([]any, len(fields))
		for k := range single {
			single[k] = new(any)
		}
		single[i] = fields[i]
		if err := rows.Scan(single...); err != nil {
			if inner := errors.Unwrap(err); inner != nil {
				err = inner // without the words of package sql
			}
			return columns[i], err.Error()
		}
	}
	return columns[0], "it can't be read"
}

// keyColumns returns the names of columns that identify a row, in any table.
func keyColumns() []string {
	return []string{"domain", "org_id", "action", "kind", "object", "source", "id"}
}

func keysOf(rows *sql.Rows, columns []string) map[string]string {
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(any)
	}
	keys := map[string]string{}
	if rows.Scan(values...) != nil {
		return keys
	}
	for i, name := range columns {
		value := *values[i].(*any)
		if b, ok := value.([]byte); ok {
			value = string(b)
		}
		if slices.Contains(keyColumns(), name) && value != nil && value != "" {
			keys[name] = fmt.Sprint(value)
		}
	}
	return keys
}

var (
	inParentheses = regexp.MustCompile(`\([^()]*\)`)
	afterFrom     = regexp.MustCompile(`\bFROM (\w+)`)
)

// tableOf returns the table that a query of this package reads.
func tableOf(query string) string {
	for inParentheses.MatchString(query) {
		query = inParentheses.ReplaceAllString(query, "")
	}
	if m := afterFrom.FindStringSubmatch(query); m != nil {
		return m[1]
	}
	return "?"
}

// word scans one of a few words.
type word[T ~string] struct {
	value *T
	of    []T
}

// Scan reads one of the words.
func (w word[T]) Scan(value any) error {
	s, ok := sqlitefile.TextOf(value)
	if !ok || !slices.Contains(w.of, T(s)) {
		return fmt.Errorf("%q is none of %q", fmt.Sprint(value), w.of)
	}
	*w.value = T(s)
	return nil
}

// stampPattern matches what is written as sqlitefile.StampForm is, for GLOB of SQLite and
// SIMILAR TO of PostgreSQL.
var stampPattern = regexp.MustCompile(`\d`).ReplaceAllString(sqlitefile.StampForm, "[0-9]")
