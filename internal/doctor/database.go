package doctor

import (
	"context"
	"fmt"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/text"
)

// maxSkew is by how much the clock of the database may differ from the one of this
// machine before that is said. From postgres.MaxSkew on, replicas say so, too.
const maxSkew = 10 * time.Second

// database looks at the database of the state, and who leads.
func (e *examination) database(ctx context.Context, at location.Location) Check {
	c, err := postgres.Examine(ctx, at.Postgres(), e.opts.Now)
	if err != nil {
		return e.trouble(ctx, err, nil)
	}
	where := fmt.Sprintf("PostgreSQL %s, database %q", c.Version, c.Database)
	switch {
	case c.Schema == "":
		return failed(where+": the schema of its search_path doesn't exist", "create the schema, and let the user make tables in it")
	case c.ReadOnly:
		return failed(where+" can only be read", "the URL leads to a standby: name the primary, or several hosts with target_session_attrs=read-write")
	case !c.MayCreate:
		return failed(fmt.Sprintf("%s: the user may not make tables in the schema %q", where, c.Schema), "GRANT USAGE, CREATE ON SCHEMA to the user")
	}
	if err := e.journal.Check(); err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	found := fine("%s, schema %q: can be written to", where, c.Schema)
	if h, ok := journal.LastHolder(at); ok {
		found.Message += fmt.Sprintf("; the last to write was %v", h)
	}
	var more []string
	switch {
	case c.Remote && !c.Encrypted:
		more = append(more, "the connection is not encrypted: set sslmode=verify-full in the URL")
	case c.Remote && !c.Verified:
		more = append(more, "the server's certificate is not checked: set sslmode=verify-full in the URL, and sslrootcert if a CA of your own has signed it")
	}
	if c.OthersMayCreate {
		more = append(more, fmt.Sprintf("every user of the server may make tables and functions in the schema %q: REVOKE CREATE ON SCHEMA from PUBLIC, or use a schema of its own", c.Schema))
	}
	if c.Ahead.Abs() > maxSkew {
		more = append(more, postgres.Skew(-c.Ahead)+": set it (NTP)")
	}
	if e.cfg.Tokens.Dir != "" && e.creates() > 0 {
		more = append(more, config.KeyTokensDir+" is a folder, which each replica must have: the token of a new org is where the one was that created it")
	}
	return e.remembered(found, more)
}
