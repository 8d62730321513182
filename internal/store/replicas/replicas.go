package replicas

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/text"
)

// connections is how many a replica uses at most: the daemon looks every second, and
// those who ask shall not wait for that.
const connections = 2

// answerWithin is how long the database may take for an answer. A connection that is cut
// off is given up then, and the next look makes another one.
const answerWithin = 8 * time.Second

// keptRuns is how many runs are kept.
const keptRuns = 20

// Store is what the replicas of a database share. Its methods may be called by several
// goroutines.
type Store struct {
	url    location.URL
	tables *postgres.Database

	mu sync.Mutex
	// made reports whether this process has seen the tables.
	made bool
}

// New returns what the replicas of the database at url share, and connects to nothing.
func New(url location.URL) *Store {
	kind := &postgres.Kind{Store: "replicas", Steps: schema(), Connections: connections}
	return &Store{url: url, tables: kind.Open(url)}
}

// Close closes the connections.
func (s *Store) Close() error { return s.tables.Close() }

// schema returns the steps that lead to the schema of this version: once released, a
// step is never changed.
func schema() []string { return []string{schema1, schema2} }

const schema1 = `
-- The status of the replica that leads, as JSON, and when that was last true.
CREATE TABLE replica_status (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	digest  TEXT NOT NULL,
	content BLOB NOT NULL,
	seen_at TIMESTAMPTZ NOT NULL
);

-- What the replica that leads is asked for, and hasn't begun.
CREATE TABLE replica_requests (
	kind     TEXT PRIMARY KEY,
	id       TEXT NOT NULL,
	asked_by TEXT NOT NULL,
	asked_at TIMESTAMPTZ NOT NULL
);

-- Plan and log of the last runs.
CREATE TABLE replica_runs (
	seq     INTEGER PRIMARY KEY AUTOINCREMENT,
	id      TEXT NOT NULL UNIQUE,
	content BLOB NOT NULL
);

-- The key of sessions, where no secret of the config is one.
CREATE TABLE replica_key (
	id  INTEGER PRIMARY KEY CHECK (id = 1),
	key BLOB NOT NULL
);

-- Sessions that were ended before they expire.
CREATE TABLE replica_revoked (
	session TEXT PRIMARY KEY,
	until   TIMESTAMPTZ NOT NULL
);
`

const schema2 = `
-- Where the orgs are declared, as the replica that leads knows it.
CREATE TABLE replica_places (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	digest  TEXT NOT NULL,
	content BLOB NOT NULL
);
`

// Check returns why what replicas share can't be used, as after a newer version of the
// program. It is nil where there is nothing yet, and changes nothing.
func (s *Store) Check() error { return s.failed("opening", s.tables.Check()) }

// ErrNewer is the error of what a newer version of the program shares.
var ErrNewer = postgres.ErrNewer

// OutageIn returns the end of a text, such as an error of a store, that says why the
// database can't be used; empty if it doesn't.
func OutageIn(said string) string { return postgres.OutageIn(said) }

// do calls f with the database, once the tables are there.
func (s *Store) do(doing string, f func(ctx context.Context, db *sql.DB) error) error {
	err := s.make()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		err = postgres.Explain(f(ctx, s.tables.DB()))
	}
	return s.failed(doing, err)
}

// failed returns an error that names the store and what was to be done, with a hint.
func (s *Store) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return text.WithHint(fmt.Errorf("what replicas share in PostgreSQL (%s): %s: %w", s.url, doing, err), text.Hint(err))
}

// make makes the tables, or migrates them, unless this process has seen them.
func (s *Store) make() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return nil
	}
	err := s.tables.Create(func(*sql.Tx) error { return nil })
	s.made = err == nil
	return err
}

// Kind is what the replica that leads is asked for.
type Kind string

// The kinds of requests.
const (
	// Run asks for a run.
	Run Kind = "run"
	// Push announces that git has changed.
	Push Kind = "push"
)

// Request is what the replica that leads is asked for.
type Request struct {
	Kind Kind
	ID   string
	// By is who asked first, as they name themselves.
	By string
}

// Ask asks for something. If that is asked for already, it returns the earlier request.
func (s *Store) Ask(r Request) (Request, error) {
	err := s.do("asking for a "+string(r.Kind), func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, `INSERT INTO replica_requests (kind, id, asked_by, asked_at) VALUES (?, ?, ?, now())
			ON CONFLICT (kind) DO UPDATE SET kind = excluded.kind RETURNING id, asked_by`, string(r.Kind), r.ID, r.By).Scan(&r.ID, &r.By)
	})
	return r, err
}

// Requests returns what is asked for, the oldest first.
func (s *Store) Requests() (all []Request, err error) {
	err = s.do("reading what is asked for", func(ctx context.Context, db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `SELECT kind, id, asked_by FROM replica_requests ORDER BY asked_at, kind`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r Request
			if err := rows.Scan(&r.Kind, &r.ID, &r.By); err != nil {
				return err
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	return all, err
}

// Answered removes a request, unless it is another one by now.
func (s *Store) Answered(id string) error {
	return s.do("removing what was asked for", func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `DELETE FROM replica_requests WHERE id = ?`, id)
		return err
	})
}

// Publish sets the status of the replica that leads.
func (s *Store) Publish(status []byte) error {
	return s.do("keeping the status", func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO replica_status (id, digest, content, seen_at) VALUES (1, ?, ?, now())
			ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, content = excluded.content, seen_at = excluded.seen_at`, digestOf(status), status)
		return err
	})
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Confirm notes that the status that was published last is still true.
func (s *Store) Confirm() error {
	return s.do("keeping the status", func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `UPDATE replica_status SET seen_at = now()`)
		return err
	})
}

// Status is the status of the replica that leads.
type Status struct {
	Digest string
	// Content is empty if the digest is the one that the reader knows.
	Content []byte
	// Age is how long ago it was true, by the clock of the database.
	Age time.Duration
}

// Status returns the status of the replica that leads; the zero Status if there is none
// yet. known is the digest of the one that the caller has.
func (s *Store) Status(known string) (status Status, err error) {
	err = s.do("reading the status", func(ctx context.Context, db *sql.DB) error {
		var seconds float64
		err := db.QueryRowContext(ctx, `SELECT digest, CASE WHEN digest = ? THEN ''::bytea ELSE content END, extract(epoch FROM clock_timestamp() - seen_at)::float8
			FROM replica_status`, known).Scan(&status.Digest, &status.Content, &seconds)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		status.Age = max(0, time.Duration(seconds*float64(time.Second)))
		return err
	})
	return status, err
}

// PublishPlaces sets where the orgs are declared.
func (s *Store) PublishPlaces(places []byte) error {
	return s.do("keeping where orgs are declared", func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO replica_places (id, digest, content) VALUES (1, ?, ?)
			ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, content = excluded.content`, digestOf(places), places)
		return err
	})
}

// Places returns where the orgs are declared, and its digest; none if nobody has said so
// yet. The content is empty if the digest is known.
func (s *Store) Places(known string) (content []byte, digest string, err error) {
	err = s.do("reading where orgs are declared", func(ctx context.Context, db *sql.DB) error {
		err := db.QueryRowContext(ctx, `SELECT digest, CASE WHEN digest = ? THEN ''::bytea ELSE content END FROM replica_places`, known).Scan(&digest, &content)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return content, digest, err
}

// KeepRun keeps what a run holds, and removes what is kept of older runs than the last
// 20.
func (s *Store) KeepRun(id string, content []byte) error {
	return s.do("keeping a run", func(ctx context.Context, db *sql.DB) error {
		if _, err := db.ExecContext(ctx, `INSERT INTO replica_runs (id, content) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content`, id, content); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, `DELETE FROM replica_runs WHERE seq NOT IN (SELECT seq FROM replica_runs ORDER BY seq DESC LIMIT ?)`, keptRuns)
		return err
	})
}

// RunKept returns what a run holds; nil if it isn't kept.
func (s *Store) RunKept(id string) (content []byte, err error) {
	err = s.do("reading a run", func(ctx context.Context, db *sql.DB) error {
		err := db.QueryRowContext(ctx, `SELECT content FROM replica_runs WHERE id = ?`, id).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return content, err
}

// Key returns the key of sessions, which is fresh if there is none yet. One of another
// length is an error: with an empty one, anybody could make sessions.
func (s *Store) Key(fresh []byte) (key []byte, err error) {
	err = s.do("reading the key of sessions", func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, `INSERT INTO replica_key (id, key) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING key`, fresh).Scan(&key)
	})
	if err == nil && len(key) != len(fresh) {
		return nil, text.WithHint(fmt.Errorf("what replicas share in PostgreSQL (%s): the key of sessions is damaged", s.url),
			"delete the row of the table replica_key: everybody signs in again")
	}
	return key, err
}

// Skew describes by how much the clock of this machine, which now reads, and that of the
// database differ; empty if they agree to a minute.
func (s *Store) Skew(now func() time.Time) (skew string, err error) {
	err = s.do("comparing the clocks", func(ctx context.Context, db *sql.DB) error {
		row := func(query string, args ...any) *sql.Row { return db.QueryRowContext(ctx, query, args...) }
		ahead, err := postgres.Ahead(row, now)
		if err == nil && ahead.Abs() > postgres.MaxSkew {
			skew = postgres.Skew(ahead)
		}
		return err
	})
	return skew, err
}

// keepRevoked is for how long a session that was ended is kept after it would have ended
// by itself: by the clock of a replica that is behind, it would still hold.
const keepRevoked = 24 * time.Hour

// Revoke ends a session that would hold until a time.
func (s *Store) Revoke(session string, until time.Time) error {
	return s.do("ending a session", func(ctx context.Context, db *sql.DB) error {
		if _, err := db.ExecContext(ctx, `DELETE FROM replica_revoked WHERE until < now() - make_interval(secs => ?)`, keepRevoked.Seconds()); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, `INSERT INTO replica_revoked (session, until) VALUES (?, ?) ON CONFLICT DO NOTHING`, session, until)
		return err
	})
}

// Revoked returns the sessions that were ended, and until when each would hold.
func (s *Store) Revoked() (all map[string]time.Time, err error) {
	all = map[string]time.Time{}
	err = s.do("reading which sessions were ended", func(ctx context.Context, db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `SELECT session, until FROM replica_revoked WHERE until > now() - make_interval(secs => ?)`, keepRevoked.Seconds())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var session string
			var until time.Time
			if err := rows.Scan(&session, &until); err != nil {
				return err
			}
			all[session] = until
		}
		return rows.Err()
	})
	return all, err
}
