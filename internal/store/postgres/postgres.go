// Package postgres has what the stores in a PostgreSQL database have in common: how it
// is connected to, how their tables are made and migrated, and how its errors are
// worded. What is in the tables is for the packages that own them.
package postgres

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

const (
	// connectTimeout is how long a connection may take, and answerTimeout how long the
	// server may keep silent while it owes an answer: longer than any statement may take.
	connectTimeout = 5 * time.Second
	answerTimeout  = 90 * time.Second
	// maxIdle is how long a connection that isn't used is kept.
	maxIdle = 5 * time.Minute
)

// settings are those of each session, unless the URL has them. A process that is frozen
// within a transaction loses it, so that it doesn't block the one that takes over.
var settings = map[string]string{
	"application_name":                    "reconciler",
	"statement_timeout":                   "60s",
	"lock_timeout":                        "20s",
	"idle_in_transaction_session_timeout": "5s",
	"client_min_messages":                 "warning",
}

// Open returns the database at url, with at most the given number of connections, and
// connects to nothing. The URL is read again for each new connection, so that a password that was
// changed is used at once. In queries, ? and ?1 stand for arguments as in SQLite.
func Open(url location.URL, connections int) *sql.DB {
	db := sql.OpenDB(&connector{url})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(maxIdle)
	return db
}

// connector makes connections to the database at a URL.
type connector struct{ url location.URL }

// Connect makes a connection.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	cfg, err := c.config(ctx)
	if err != nil {
		return nil, &urlError{err}
	}
	conn, err := stdlib.GetConnector(*cfg).Connect(ctx)
	if err != nil {
		if r, ok := c.url.(refusable); ok && isRefused(err) {
			r.Refused()
		}
		return nil, err
	}
	return &session{conn.(*stdlib.Conn)}, nil
}

// refusable is a URL that is to be told that the server has refused it: one that was kept
// for a while may have been replaced.
type refusable interface{ Refused() }

// isRefused reports whether the server has refused user or password.
func isRefused(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && strings.HasPrefix(server.Code, "28")
}

// Driver returns the driver that speaks PostgreSQL's protocol.
func (c *connector) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// urlError is the error of a URL that can't be read or understood.
type urlError struct{ error }

// Unwrap returns why.
func (e *urlError) Unwrap() error { return e.error }

// config returns how to connect. Its errors contain nothing of the URL: what can't be
// parsed may be a password anywhere.
func (c *connector) config(ctx context.Context) (*pgx.ConnConfig, error) {
	data, err := c.url.Read(ctx)
	if err != nil {
		return nil, err
	}
	const form = "it must be like postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full, with % and two digits for special characters"
	url := strings.TrimSpace(string(data))
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, text.WithHint(errors.New(c.url.String()+" has no URL of a PostgreSQL database"), form)
	}
	if isDivided(url) {
		return nil, text.WithHint(errors.New(c.url.String()+" has a URL that can't be understood"), form)
	}
	cfg, err := pgx.ParseConfig(url)
	var file *fs.PathError
	switch {
	case errors.As(err, &file):
		return nil, text.WithHint(fmt.Errorf("%s has a URL that names the file %q, which can't be read: %w", c.url, text.OneLine(file.Path, maxLine), file.Err), "check sslrootcert, sslcert and sslkey in the URL of the database")
	case err != nil:
		return nil, text.WithHint(errors.New(c.url.String()+" has a URL that can't be understood"), form)
	}
	if host := undecided(cfg); host != "" {
		return nil, text.WithHint(fmt.Errorf("%s has a URL that leaves open whether the connection to %q is encrypted", c.url, text.OneLine(host, maxLine)),
			"add sslmode=verify-full to it, or sslmode=disable where nobody else can listen")
	}
	for key, value := range settings {
		if cfg.RuntimeParams[key] == "" {
			cfg.RuntimeParams[key] = value
		}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
		defer cancel()
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatient{Conn: conn}, nil
	}
	return cfg, nil
}

// undecided returns a host on another machine to which connections are encrypted only if
// whoever answers wants that, as with sslmode=prefer, the default; empty if there is none.
// Who is between would say no, and read along.
func undecided(cfg *pgx.ConnConfig) string {
	plain, encrypted := map[string]bool{}, map[string]bool{}
	note := func(host string, t *tls.Config) {
		if t == nil {
			plain[host] = true
		} else {
			encrypted[host] = true
		}
	}
	note(cfg.Host, cfg.TLSConfig)
	for _, f := range cfg.Fallbacks {
		note(f.Host, f.TLSConfig)
	}
	for _, host := range slices.Sorted(maps.Keys(plain)) {
		if encrypted[host] && !isLocal(host) {
			return host
		}
	}
	return ""
}

// isLocal reports whether a host is this machine, or the folder of a socket.
func isLocal(host string) bool {
	at, err := netip.ParseAddr(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || err == nil && at.Unmap().IsLoopback()
}

// isDivided reports whether a URL has an @ that doesn't end user and password: a password
// with a / or ? or # that isn't written as % and two digits ends the host too early, and
// would be taken for a port, a database or a parameter, of which errors speak.
func isDivided(url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	host, path := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host, path = rest[:end], rest[end:]
	}
	if strings.Contains(host, "@") {
		path, _, _ = strings.Cut(path, "?")
	}
	return strings.Contains(path, "@")
}

// impatient is a connection on which nothing waits for ever, as for a machine that is
// gone without a word. A deadline that is set, as by a context that ends, counts where it
// is sooner.
type impatient struct {
	net.Conn

	mu sync.Mutex
	// read and write are the deadlines that were set; zero for none.
	read, write time.Time
}

// SetDeadline sets when reads and writes fail.
func (c *impatient) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets when reads fail.
func (c *impatient) SetReadDeadline(t time.Time) error {
	return c.limit(&c.read, t, c.Conn.SetReadDeadline)
}

// SetWriteDeadline sets when writes fail.
func (c *impatient) SetWriteDeadline(t time.Time) error {
	return c.limit(&c.write, t, c.Conn.SetWriteDeadline)
}

// limit notes the deadline of a direction, and sets it.
func (c *impatient) limit(noted *time.Time, t time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*noted = t
	return set(t)
}

// start sets the deadline of one call, which is no later than the one that was set.
func (c *impatient) start(noted *time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := time.Now().Add(answerTimeout)
	if !noted.IsZero() && noted.Before(limit) {
		limit = *noted
	}
	return set(limit)
}

// Read waits for an answer.
func (c *impatient) Read(p []byte) (int, error) {
	if err := c.start(&c.read, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write waits until it is sent.
func (c *impatient) Write(p []byte) (int, error) {
	if err := c.start(&c.write, c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
