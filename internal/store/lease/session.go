package lease

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"reconciler/internal/text"
)

// Schema returns the steps that lead to the table of the locks of a database.
func Schema() []string { return []string{schema1} }

const schema1 = `
-- Who took a lock last. The epoch grows each time that it is taken: a transaction of a
-- holder compares it with its own, and so is refused once another process has the lock.
CREATE TABLE leases (
	name    TEXT PRIMARY KEY,
	epoch   INTEGER NOT NULL,
	backend INTEGER NOT NULL,
	pid     INTEGER NOT NULL,
	host    TEXT NOT NULL,
	started TIMESTAMPTZ NOT NULL,
	command TEXT NOT NULL
);
`

// Database is a PostgreSQL database that has locks.
type Database interface {
	// Open returns the connections to the database, after the steps of Schema.
	Open(ctx context.Context) (*sql.DB, error)
	// Explain returns an error of PostgreSQL in plain words.
	Explain(err error) error
}

// SessionLock is a lock of a PostgreSQL database, as one process sees it: an advisory
// lock that a session has, which is a connection of its own.
type SessionLock struct {
	db     Database
	name   string
	timing Timing
	now    func() time.Time
}

// NewSession returns the lock with a name in a database, and opens nothing. now returns
// the time that others are told.
func NewSession(db Database, name string, timing Timing, now func() time.Time) *SessionLock {
	return &SessionLock{db: db, name: name, timing: timing, now: now}
}

// tryLimit is how long a call that takes a lock or reads who holds it may take. It is
// longer than any transaction of a holder, for which a new epoch has to wait.
const tryLimit = 8 * time.Second

// Poll returns how often a process that waits is to call Try.
func (l *SessionLock) Poll() time.Duration { return l.timing.Poll }

// Observe does nothing: PostgreSQL itself ends the session of a holder that stands still.
func (l *SessionLock) Observe() {}

// key is the number of an advisory lock. It contains the schema, because advisory locks are
// those of a database, and several schemas of one may each have the tables of a state.
const key = `hashtextextended('reconciler lease ' || current_schema() || '.' || $1, 0)`

// Try takes the lock for this process.
func (l *SessionLock) Try(command string) (Hold, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tryLimit)
	defer cancel()
	db, err := l.db.Open(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, l.failed("connecting", err)
	}
	var locked bool
	// The limit of idle time comes with the lock: no session has one and not the other.
	err = conn.QueryRowContext(ctx, `SELECT coalesce(CASE WHEN pg_try_advisory_lock(`+key+`)
		THEN set_config('idle_session_timeout', $2, false) END, '') <> ''`, l.name, fmt.Sprintf("%dms", l.timing.Stale.Milliseconds())).Scan(&locked)
	if err != nil {
		drop(conn)
		return nil, l.failed("locking", err)
	}
	if !locked {
		holder, _ := l.last(ctx, conn)
		return nil, errors.Join(conn.Close(), &HeldError{holder})
	}
	h, err := l.hold(ctx, conn, command)
	if err != nil {
		drop(conn)
		return nil, l.failed("noting who holds it", err)
	}
	return h, nil
}

// drop ends the session of a connection, and so the locks that it has.
func drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

func (l *SessionLock) failed(doing string, err error) error {
	err = l.db.Explain(err)
	return text.WithHint(fmt.Errorf("lock %q: %s: %w", l.name, doing, err), text.Hint(err))
}

// Last returns the process that was the last to take the lock.
func (l *SessionLock) Last() (Holder, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), tryLimit)
	defer cancel()
	db, err := l.db.Open(ctx)
	if err != nil {
		return Holder{}, false
	}
	return l.last(ctx, db)
}

// last reads who took the lock last.
func (l *SessionLock) last(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (h Holder, known bool) {
	err := q.QueryRowContext(ctx, `SELECT pid, host, started, command FROM leases WHERE name = $1`, l.name).
		Scan(&h.PID, &h.Host, &h.Started, &h.Command)
	if err != nil {
		return Holder{}, false
	}
	h.Host, h.Command, h.Started = text.OneLine(h.Host, 200), text.OneLine(h.Command, 200), h.Started.UTC()
	return h, h.PID != 0
}

// sessionHold is a lock that a session of this process has.
type sessionHold struct {
	lock *SessionLock
	lost chan struct{} // closed before err is set
	// epoch is that of this hold, and backend the process of the server that serves the
	// session.
	epoch   int64
	backend int

	mu   sync.Mutex
	conn *sql.Conn
	// at is a time before the last query that the session has answered. The server's
	// count of idle time began later.
	at    time.Time
	timer *time.Timer
	ended bool
	err   error // why it is lost
}

// hold begins a new epoch in a session that has the lock. It waits for transactions of
// the one before: those that looked at the epoch before it was new end first.
func (l *SessionLock) hold(ctx context.Context, conn *sql.Conn, command string) (*sessionHold, error) {
	host, _ := os.Hostname()
	h := &sessionHold{lock: l, lost: make(chan struct{}), conn: conn, at: time.Now()}
	err := conn.QueryRowContext(ctx, `INSERT INTO leases (name, epoch, backend, pid, host, started, command)
		VALUES ($1, 1, pg_backend_pid(), $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET epoch = leases.epoch + 1, backend = excluded.backend, pid = excluded.pid,
			host = excluded.host, started = excluded.started, command = excluded.command
		RETURNING epoch, backend`, l.name, os.Getpid(), host, l.now().UTC().Truncate(time.Second), command).Scan(&h.epoch, &h.backend)
	if err != nil {
		return nil, err
	}
	if err := h.ask(); err != nil {
		return nil, err
	}
	h.timer = time.AfterFunc(l.timing.Beat, h.tick)
	return h, nil
}

// Lost returns the channel of h.
func (h *sessionHold) Lost() <-chan struct{} { return h.lost }

// limit is how long an answer of the session counts: until the server might end the
// session, less a margin for clocks that run at different speeds and for the send itself.
func (h *sessionHold) limit() time.Duration { return h.lock.timing.Stale - h.lock.timing.Beat }

// Check asks the session: it answers only if it is still there, and it has the lock as
// long as it is there. An answer that is read too late, as by a process that was frozen
// in between, doesn't count.
func (h *sessionHold) Check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.check()
}

func (h *sessionHold) check() error {
	switch {
	case h.ended:
		return errReleased
	case h.err != nil:
		return h.err
	}
	if err := h.ask(); err != nil {
		return h.lose(err)
	}
	return nil
}

// errStood is the error of an answer that came too late.
var errStood = errors.New("its answer came too late")

// ask asks the session for its epoch. h.mu is held, or h isn't shared yet.
func (h *sessionHold) ask() error {
	began := time.Now()
	ctx, cancel := context.WithDeadline(context.Background(), h.at.Add(h.limit()))
	defer cancel()
	var epoch int64
	var backend int
	err := h.conn.QueryRowContext(ctx, `SELECT epoch, pg_backend_pid() FROM leases WHERE name = $1`, h.lock.name).Scan(&epoch, &backend)
	switch {
	case err != nil:
		return err
	case time.Since(began) >= h.limit():
		return errStood
	case epoch != h.epoch:
		return errEpoch
	case backend != h.backend:
		return text.WithHint(errors.New("another session answers"),
			"between the program and PostgreSQL is a pooler that changes sessions, as PgBouncer does with pool_mode=transaction: connect to the server, or use pool_mode=session")
	}
	h.at = began
	return nil
}

var errEpoch = errors.New("another epoch has begun")

// tick shows the server that this process goes on.
func (h *sessionHold) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || h.err != nil {
		return
	}
	if time.Since(h.at) < h.lock.timing.Beat/2 || h.check() == nil {
		h.timer.Reset(h.lock.timing.Beat)
	}
}

// lose notes that the lock is lost, and ends the session if it is still there. h.mu is
// held: calls of Check meanwhile wait for the error.
func (h *sessionHold) lose(why error) error {
	close(h.lost)
	drop(h.conn)
	why = h.lock.db.Explain(why)
	h.err = text.WithHint(&LostError{
		By: h.by(), why: "the session of this one with the database had ended",
		how: "its session with the database has ended: " + text.OneLine(why.Error(), 300),
	}, cmp.Or(text.Hint(why), (&LostError{}).Hint()))
	return h.err
}

// by returns who has begun a later epoch.
func (h *sessionHold) by() Holder {
	ctx, cancel := context.WithTimeout(context.Background(), h.lock.timing.Beat)
	defer cancel()
	db, err := h.lock.db.Open(ctx)
	if err != nil {
		return Holder{}
	}
	var epoch int64
	by, known := h.lock.last(ctx, db)
	err = db.QueryRowContext(ctx, `SELECT epoch FROM leases WHERE name = $1`, h.lock.name).Scan(&epoch)
	if err != nil || !known || epoch == h.epoch {
		return Holder{}
	}
	return by
}

// Fence compares the epoch, in the transaction, with the one of h. A new one can't begin
// before the transaction has ended.
func (h *sessionHold) Fence(tx *sql.Tx) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return errReleased
	case h.err != nil:
		return h.err
	}
	var epoch int64
	err := tx.QueryRow(`SELECT epoch FROM leases WHERE name = $1 FOR SHARE`, h.lock.name).Scan(&epoch)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && epoch != h.epoch:
		return h.lose(errEpoch)
	case err != nil:
		return h.lock.failed("comparing the epoch", err)
	}
	return nil
}

// Release releases the lock and closes the session.
func (h *sessionHold) Release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return nil
	}
	h.ended = true
	h.timer.Stop()
	if h.err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.lock.timing.Beat)
	defer cancel()
	// With a statement of its own: a process that waits gets the lock now, and not when
	// the server notices that the connection is closed. If it fails, the session ends all
	// the same.
	_, err := h.conn.ExecContext(ctx, `SELECT pg_advisory_unlock(`+key+`)`, h.lock.name)
	drop(h.conn)
	if err != nil {
		return h.lock.failed("giving it back", err)
	}
	return nil
}
