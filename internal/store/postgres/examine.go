package postgres

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"reconciler/internal/store/location"
)

// Condition describes a database, for deciding whether it can be used.
type Condition struct {
	// Version is that of the server, Database its database, and Schema where tables are
	// made; empty if there is no such schema.
	Version, Database, Schema string
	// MayCreate reports whether the user may make tables in the schema. ReadOnly reports
	// whether nothing can be written.
	MayCreate, ReadOnly bool
	// OthersMayCreate reports whether every user of the server may create objects in the
	// schema: functions, say, that are called in place of PostgreSQL's own, with the
	// rights of our user.
	OthersMayCreate bool
	// Encrypted reports whether the connection is. Verified reports whether the URL
	// requires that each connection is encrypted and the server's certificate checked:
	// otherwise a machine in between can pose as the server, and ask for the password.
	// Remote reports whether the connection leads to another machine.
	Encrypted, Verified, Remote bool
	// Ahead is by how much the server's clock is ahead of the one of this machine.
	Ahead time.Duration
}

// Examine connects to the database at url, and changes nothing.
func Examine(ctx context.Context, url location.URL, now func() time.Time) (*Condition, error) {
	db := Open(url, 1)
	defer db.Close()
	var c Condition
	var address string
	var clock time.Time
	before := now()
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version'), current_database(), coalesce(current_schema(), ''),
		coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), coalesce(has_schema_privilege('public', current_schema(), 'CREATE'), false), current_setting('transaction_read_only') = 'on',
		coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), coalesce(host(inet_server_addr()), ''), clock_timestamp()`).
		Scan(&c.Version, &c.Database, &c.Schema, &c.MayCreate, &c.OthersMayCreate, &c.ReadOnly, &c.Encrypted, &address, &clock)
	if err != nil {
		return nil, Explain(err)
	}
	after := now()
	cfg, err := (&connector{url}).config(ctx)
	if err != nil {
		return nil, err
	}
	c.Verified = isVerified(cfg)
	c.Ahead = clock.Sub(before.Add(after.Sub(before) / 2))
	if at, err := netip.ParseAddr(address); err == nil {
		c.Remote = !at.IsLoopback()
	}
	return &c, nil
}

// isVerified reports whether all connections check the certificate of the server. With
// verify-ca any name in it will do, which says something only if the CA is one's own:
// those of the system give a certificate to everybody.
func isVerified(cfg *pgx.ConnConfig) bool {
	all := []*tls.Config{cfg.TLSConfig}
	for _, f := range cfg.Fallbacks {
		all = append(all, f.TLSConfig)
	}
	return !slices.ContainsFunc(all, func(t *tls.Config) bool {
		return t == nil || t.InsecureSkipVerify && (t.VerifyPeerCertificate == nil || t.RootCAs == nil)
	})
}
