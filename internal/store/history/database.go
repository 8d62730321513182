package history

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/text"
)

// database is the place of a history in PostgreSQL.
type database struct {
	at   location.Location
	now  func() time.Time
	kind *postgres.Kind

	mu sync.Mutex
	// tables is nil while nothing is open. alive is the session that shows that this
	// process goes on, by a lock that ends with it; key is that of the lock, 0 for none.
	tables *postgres.Database
	alive  *sql.Conn
	key    int64
}

func newDatabase(at location.Location, now func() time.Time, log *slog.Logger) *database {
	return &database{at: at, now: now, kind: &postgres.Kind{
		Store: "history", Steps: schema(), Connections: 5, // one of them for the lock of the process
		Migrating: func(from, to int) { log.Info("migrating the history's schema", "from", from, "to", to) },
	}}
}

// String names the database.
func (d *database) String() string { return "in " + d.at.String() }

// explain returns an error of our own instead of PostgreSQL's.
func (d *database) explain(err error) error { return postgres.Explain(err) }

// open returns the tables, and connects to nothing.
func (d *database) open() *postgres.Database {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tables == nil {
		d.tables = d.kind.Open(d.at.Postgres())
	}
	return d.tables
}

// snapshot begins a transaction that reads.
func (d *database) snapshot() (*sql.Tx, error) {
	tx, err := d.open().Snapshot()
	if errors.Is(err, postgres.ErrNone) {
		return nil, errNone
	}
	return tx, err
}

// write begins a transaction that writes, and makes the tables where there are none.
func (d *database) write() (*sql.Tx, error) {
	tables := d.open()
	if err := d.stay(tables); err != nil {
		return nil, err
	}
	tx, err := tables.Begin()
	if !errors.Is(err, postgres.ErrNone) {
		return tx, err
	}
	if err := tables.Create(func(tx *sql.Tx) error { return initialize(tx, d.now(), nil) }); err != nil {
		return nil, err
	}
	return tables.Begin()
}

// replace returns the damage: there is no file to set aside, and what happened can't be
// deleted.
func (d *database) replace(damage error) error { return damage }

// version returns how often something was written.
func (d *database) version() (v Version, err error) {
	v.committed, err = d.open().Writes()
	return v, err
}

// size returns how many bytes the tables take.
func (d *database) size() (int64, error) { return d.open().Size() }

// check connects to the database.
func (d *database) check() error {
	tx, err := d.snapshot()
	if err != nil {
		return err
	}
	return tx.Rollback()
}

// backup fails: whoever runs the database backs it up.
func (d *database) backup(string) error {
	return text.WithHint(errors.New("a history in PostgreSQL is not copied to a file"), "back the database up by its own means, such as pg_dump")
}

// setAside returns "", as nothing is ever set aside.
func (d *database) setAside() (string, error) { return "", nil }

// stayTimeout is how long to wait for the lock of the process.
const stayTimeout = 10 * time.Second

// processName begins the names of processes. The key of the process's lock follows.
const processName = "session "

// enter takes the lock of this process, if it isn't held.
func (d *database) enter() (string, error) {
	tables := d.open()
	d.mu.Lock()
	if d.key == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // which never fails
		d.key = int64(binary.BigEndian.Uint64(b[:])>>1 | 1)
	}
	name := processName + strconv.FormatInt(d.key, 10)
	d.mu.Unlock()
	return name, d.stay(tables)
}

// stay takes the lock of a process that has one again, if the session in which it was
// held has ended, as by a cut connection.
func (d *database) stay(tables *postgres.Database) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), stayTimeout)
	defer stop()
	if d.alive != nil {
		if d.alive.PingContext(ctx) == nil {
			return nil
		}
		d.leave()
	}
	alive, err := tables.DB().Conn(ctx)
	if err != nil {
		return postgres.Explain(err)
	}
	d.alive = alive
	var locked bool
	err = alive.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(?)`, d.key).Scan(&locked)
	if err != nil || !locked {
		// If it isn't locked, the server hasn't noticed yet that the earlier session has
		// ended, and the next write tries again.
		d.leave()
	}
	return postgres.Explain(err)
}

// leave ends the session of the process. d.mu is held.
func (d *database) leave() {
	if d.alive == nil {
		return
	}
	// It isn't given back to the pool: the lock ends with the session.
	_ = d.alive.Raw(func(any) error { return driver.ErrBadConn })
	_ = d.alive.Close()
	d.alive = nil
}

// gone reports whether no session has the lock of a process. It asks in the session of tx:
// waiting for another connection, while others that wait have all of them, would never end.
func (d *database) gone(tx *sql.Tx, process string) bool {
	number, is := strings.CutPrefix(process, processName)
	key, err := strconv.ParseInt(number, 10, 64)
	if !is || err != nil {
		return true // a process of some other place, from which this history was copied
	}
	var held bool
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND classid::bigint = ? AND objid::bigint = ? AND objsubid = 1)`, key>>32, key&0xffffffff).Scan(&held)
	return err == nil && !held
}

// close ends all sessions.
func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leave()
	tables := d.tables
	d.tables, d.key = nil, 0
	if tables == nil {
		return nil
	}
	return tables.Close()
}
