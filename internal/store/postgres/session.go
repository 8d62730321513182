package postgres

import (
	"context"
	"database/sql/driver"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
)

// session is a connection that takes the placeholders and values of SQLite, so that the
// stores have one text for each query.
type session struct{ *stdlib.Conn }

// ResetSession returns an error if the connection can't be used again, which it tries if it
// wasn't used for a second. A connection to a machine that is gone without a word is given
// up as early as a new one would be, so that a process that is to end doesn't wait for it.
func (s *session) ResetSession(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return s.Conn.ResetSession(ctx)
}

// Prepare prepares a statement.
func (s *session) Prepare(query string) (driver.Stmt, error) { return s.Conn.Prepare(numbered(query)) }

// PrepareContext prepares a statement.
func (s *session) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return s.Conn.PrepareContext(ctx, numbered(query))
}

// ExecContext executes a statement.
func (s *session) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return s.Conn.ExecContext(ctx, numbered(query), args)
}

// QueryContext executes a query.
func (s *session) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return s.Conn.QueryContext(ctx, numbered(query), args)
}

// CheckNamedValue turns an argument into what a column holds. As in SQLite, a bool is a
// number. Foreign text must not make a statement fail: NULs, and bytes that aren't UTF-8,
// which PostgreSQL refuses, become U+FFFD.
func (s *session) CheckNamedValue(v *driver.NamedValue) error {
	if valuer, ok := v.Value.(driver.Valuer); ok {
		value, err := valuer.Value()
		if err != nil {
			return err
		}
		v.Value = value
	}
	if b, ok := v.Value.(bool); ok {
		v.Value = int64(0)
		if b {
			v.Value = int64(1)
		}
	}
	if t, ok := v.Value.(string); ok {
		v.Value = strings.ReplaceAll(strings.ToValidUTF8(t, "\uFFFD"), "\x00", "\uFFFD")
	}
	return s.Conn.CheckNamedValue(v)
}

// numbered returns a query with $1, $2 and so on instead of ?, and $N instead of ?N. What
// is in quotes stays as it is.
func numbered(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	quoted, n := false, 0
	for i := 0; i < len(query); i++ {
		c := query[i]
		if c == '\'' {
			quoted = !quoted
		}
		if c != '?' || quoted {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('$')
		if i+1 < len(query) && '1' <= query[i+1] && query[i+1] <= '9' {
			continue // the number follows
		}
		n++
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
