package replicas

import (
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
	kind := &postgres.Kind{Store: "replicas", Steps: []string{schema1}, Connections: connections}
	return &Store{url: url, tables: kind.Open(url)}
}

// Close closes the connections.
func (s *Store) Close() error { return s.tables.Close() }

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

// do calls f with the database, once the tables are there.
func (s *Store) do(doing string, f func(db *sql.DB) error) error {
	err := s.make()
	if err == nil {
		err = postgres.Explain(f(s.tables.DB()))
	}
	if err == nil {
		return nil
	}
	return text.WithHint(fmt.Errorf("what replicas share in PostgreSQL (%s): %s: %w", s.url, doing, err), text.Hint(err))
}

// make makes the tables, unless this process has seen them.
func (s *Store) make() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return nil
	}
	if err := s.tables.Create(func(*sql.Tx) error { return nil }); err != nil {
		return err
	}
	tx, err := s.tables.Snapshot() // which migrates those of an older version
	if err != nil {
		return err
	}
	s.made = true
	return tx.Rollback()
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
	err := s.do("asking for a "+string(r.Kind), func(db *sql.DB) error {
		return db.QueryRow(`INSERT INTO replica_requests (kind, id, asked_by, asked_at) VALUES (?, ?, ?, now())
			ON CONFLICT (kind) DO UPDATE SET kind = excluded.kind RETURNING id, asked_by`, string(r.Kind), r.ID, r.By).Scan(&r.ID, &r.By)
	})
	return r, err
}

// Requests returns what is asked for, the oldest first.
func (s *Store) Requests() (all []Request, err error) {
	err = s.do("reading what is asked for", func(db *sql.DB) error {
		rows, err := db.Query(`SELECT kind, id, asked_by FROM replica_requests ORDER BY asked_at, kind`)
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
	return s.do("removing what was asked for", func(db *sql.DB) error {
		_, err := db.Exec(`DELETE FROM replica_requests WHERE id = ?`, id)
		return err
	})
}

// Publish sets the status of the replica that leads.
func (s *Store) Publish(status []byte) error {
	sum := sha256.Sum256(status)
	return s.do("keeping the status", func(db *sql.DB) error {
		_, err := db.Exec(`INSERT INTO replica_status (id, digest, content, seen_at) VALUES (1, ?, ?, now())
			ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, content = excluded.content, seen_at = excluded.seen_at`, hex.EncodeToString(sum[:]), status)
		return err
	})
}

// Confirm notes that the status that was published last is still true.
func (s *Store) Confirm() error {
	return s.do("keeping the status", func(db *sql.DB) error {
		_, err := db.Exec(`UPDATE replica_status SET seen_at = now()`)
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
	err = s.do("reading the status", func(db *sql.DB) error {
		var seconds float64
		err := db.QueryRow(`SELECT digest, CASE WHEN digest = ? THEN ''::bytea ELSE content END, extract(epoch FROM clock_timestamp() - seen_at)::float8
			FROM replica_status`, known).Scan(&status.Digest, &status.Content, &seconds)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		status.Age = max(0, time.Duration(seconds*float64(time.Second)))
		return err
	})
	return status, err
}

// KeepRun keeps what a run holds, and removes what is kept of older runs than the last
// 20.
func (s *Store) KeepRun(id string, content []byte) error {
	return s.do("keeping a run", func(db *sql.DB) error {
		if _, err := db.Exec(`INSERT INTO replica_runs (id, content) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content`, id, content); err != nil {
			return err
		}
		_, err := db.Exec(`DELETE FROM replica_runs WHERE seq NOT IN (SELECT seq FROM replica_runs ORDER BY seq DESC LIMIT ?)`, keptRuns)
		return err
	})
}

// RunKept returns what a run holds; nil if it isn't kept.
func (s *Store) RunKept(id string) (content []byte, err error) {
	err = s.do("reading a run", func(db *sql.DB) error {
		err := db.QueryRow(`SELECT content FROM replica_runs WHERE id = ?`, id).Scan(&content)
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
	err = s.do("reading the key of sessions", func(db *sql.DB) error {
		return db.QueryRow(`INSERT INTO replica_key (id, key) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING key`, fresh).Scan(&key)
	})
	if err == nil && len(key) != len(fresh) {
		return nil, text.WithHint(fmt.Errorf("what replicas share in PostgreSQL (%s): the key of sessions is damaged", s.url),
			"delete the row of the table replica_key: everybody signs in again")
	}
	return key, err
}

// Revoke ends a session that would hold until a time.
func (s *Store) Revoke(session string, until time.Time) error {
	return s.do("ending a session", func(db *sql.DB) error {
		if _, err := db.Exec(`DELETE FROM replica_revoked WHERE until < now()`); err != nil {
			return err
		}
		_, err := db.Exec(`INSERT INTO replica_revoked (session, until) VALUES (?, ?) ON CONFLICT DO NOTHING`, session, until)
		return err
	})
}

// Revoked returns the sessions that were ended, and until when each would hold.
func (s *Store) Revoked() (all map[string]time.Time, err error) {
	all = map[string]time.Time{}
	err = s.do("reading which sessions were ended", func(db *sql.DB) error {
		rows, err := db.Query(`SELECT session, until FROM replica_revoked WHERE until > now()`)
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
