package outbox

import (
	"database/sql"
	"errors"
	"log/slog"
	"strings"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
)

// database is the place of an outbox in PostgreSQL.
type database struct {
	at     location.Location
	kind   *postgres.Kind
	tables *postgres.Database // nil while nothing is open
}

// keptTable is the name of the table that is "kept" in a file: the history's tables, which
// are in the same database, have one of that name.
const keptTable = "outbox_kept"

func newDatabase(at location.Location, log *slog.Logger) *database {
	steps := schema()
	steps[0] = strings.Replace(steps[0], "CREATE TABLE kept", "CREATE TABLE "+keptTable, 1)
	return &database{at: at, kind: &postgres.Kind{
		Store: "outbox", Steps: steps, Connections: 1,
		Migrating: func(from, to int) {
			log.Info("migrating the schema of the queue of notifications", "from", from, "to", to)
		},
	}}
}

// String names the database.
func (d *database) String() string { return "in " + d.at.String() }

func (d *database) kept() string { return keptTable }

// explain returns an error of our own instead of PostgreSQL's.
func (d *database) explain(err error) error { return postgres.Explain(err) }

// open returns the tables, and connects to nothing.
func (d *database) open() *postgres.Database {
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
	tx, err := d.open().Begin()
	if !errors.Is(err, postgres.ErrNone) {
		return tx, err
	}
	if err := d.tables.Create(func(*sql.Tx) error { return nil }); err != nil {
		return nil, err
	}
	return d.tables.Begin()
}

// replace returns the damage: there is no file to set aside.
func (d *database) replace(damage error) error { return damage }

// close ends all sessions.
func (d *database) close() error {
	tables := d.tables
	d.tables = nil
	if tables == nil {
		return nil
	}
	return tables.Close()
}
