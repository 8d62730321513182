package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

var (
	// ErrNone is the error of a store that has no tables yet.
	ErrNone = errors.New("there are no tables of it")
	// ErrNewer is the error of a store whose schema is that of a newer version of the
	// program.
	ErrNewer = errors.New("this version of the program knows no more than")
)

// Kind describes the tables of a store, and how they are used.
type Kind struct {
	// Store is the name of the store.
	Store string
	// Steps lead to the schema, as for SQLite: step n leads from schema n to n+1.
	Steps []string
	// Connections is how many connections a process has at most.
	Connections int
	// Migrating is called before an older schema is migrated.
	Migrating func(from, to int)
}

// Database is the tables of a store in a database. Its methods may be called by several
// goroutines and processes.
type Database struct {
	kind *Kind
	db   *sql.DB
	// seen reports whether the tables were there once.
	seen atomic.Bool
}

// bookkeeping has for each store the version of its schema, and how many transactions
// have written to it. Each transaction that writes to a store changes its row first, so
// that writers take turns, and a program that is too old for the schema finds out.
const bookkeeping = `CREATE TABLE IF NOT EXISTS reconciler_stores (
	store   TEXT COLLATE "C" PRIMARY KEY,
	version BIGINT NOT NULL,
	writes  BIGINT NOT NULL DEFAULT 0
)`

// Open returns the tables in the database at url, and connects to nothing.
func (k *Kind) Open(url location.URL) *Database {
	return &Database{kind: k, db: Open(url, k.Connections)}
}

// DB returns the database, for what needs no transaction or a connection of its own.
func (d *Database) DB() *sql.DB { return d.db }

// Close closes all connections. The database must not be used afterwards.
func (d *Database) Close() error { return d.db.Close() }

// Begin begins a transaction that writes: the only one in this store, which sees what
// all before it have written. It migrates an older schema. The error is [ErrNone] where
// there are no tables.
func (d *Database) Begin() (*sql.Tx, error) {
	for {
		tx, version, err := d.begin(nil, `UPDATE reconciler_stores SET writes = writes + 1 WHERE store = ? RETURNING version`)
		if err != nil || version == len(d.kind.Steps) {
			return tx, err
		}
		_ = tx.Rollback() // of what has done nothing
		if err := d.locked(d.migrate); err != nil {
			return nil, Explain(err)
		}
	}
}

// Snapshot begins a transaction that reads what is there at one moment. It must be rolled
// back: an older schema is migrated within it, and stays as it is for the program of an
// older version that may be using it. The error is [ErrNone] where there are no tables.
func (d *Database) Snapshot() (*sql.Tx, error) {
	const query = `SELECT version FROM reconciler_stores WHERE store = ?`
	opts := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	tx, version, err := d.begin(opts, query)
	if err != nil || version == len(d.kind.Steps) {
		return tx, err
	}
	_ = tx.Rollback()
	opts.ReadOnly = false
	if tx, version, err = d.begin(opts, query); err != nil {
		return nil, err
	}
	if err := d.steps(tx, version); err != nil {
		_ = tx.Rollback()
		return nil, Explain(err)
	}
	return tx, nil
}

// begin begins a transaction with a query that returns the version of the schema.
func (d *Database) begin(opts *sql.TxOptions, query string) (*sql.Tx, int, error) {
	tx, err := d.db.BeginTx(context.Background(), opts)
	if err != nil {
		return nil, 0, Explain(err)
	}
	version, err := d.version(tx, query)
	if err != nil {
		_ = tx.Rollback()
		return nil, 0, Explain(err)
	}
	return tx, version, nil
}

// version returns the version of the schema by a query. It rejects a newer one.
func (d *Database) version(tx *sql.Tx, query string) (version int, err error) {
	seen := d.seen.Load()
	if !seen {
		if there, err := isKept(tx); err != nil {
			return 0, err
		} else if !there {
			return 0, ErrNone
		}
		if err := checkOwner(tx); err != nil {
			return 0, err
		}
	}
	err = tx.QueryRow(query, d.kind.Store).Scan(&version)
	switch known := len(d.kind.Steps); {
	case errors.Is(err, sql.ErrNoRows) && seen:
		return 0, text.WithHint(errors.New("its tables were there before and are gone"), "put them back from a backup of the database; a program that starts anew makes new ones")
	case errors.Is(err, sql.ErrNoRows):
		return 0, ErrNone
	case err != nil:
		return 0, err
	case version > known:
		return 0, newer(version, known)
	}
	d.seen.Store(true)
	return version, nil
}

// checkOwner returns an error if the table of the versions is one of a user who could do
// nothing to ours otherwise, and who may have made it first: its triggers would run with
// the rights of our user. All other tables are made by us alone, or not at all.
func checkOwner(tx *sql.Tx) error {
	var ours bool
	err := tx.QueryRow(`SELECT coalesce(bool_and(pg_has_role(c.relowner, 'USAGE') OR c.relowner IN (n.nspowner, d.datdba) OR o.rolsuper), true)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner JOIN pg_database d ON d.datname = current_database()
		WHERE c.oid = to_regclass('reconciler_stores')`).Scan(&ours)
	if err == nil && !ours {
		return text.WithHint(errors.New("the table reconciler_stores belongs to another user of the database, who could have anything done by it"),
			"use a database or a schema of its own, in which only this user may create tables")
	}
	return err
}

// newer returns the error of a schema that is newer than the known one.
func newer(version, known int) error {
	return text.WithHint(fmt.Errorf("it has schema %d, and %w %d", version, ErrNewer, known),
		"a newer version has used this database: run that one, or one newer still; docs/recovery.md says how to go back")
}

// migrate brings an older schema to that of this version, in a transaction of locked.
func (d *Database) migrate(tx *sql.Tx) error {
	version, err := d.version(tx, `SELECT version FROM reconciler_stores WHERE store = ?`)
	if err != nil || version == len(d.kind.Steps) {
		return err
	}
	// Who writes meanwhile finds out afterwards.
	if version, err = d.version(tx, `SELECT version FROM reconciler_stores WHERE store = ? FOR UPDATE`); err != nil {
		return err
	}
	if d.kind.Migrating != nil {
		d.kind.Migrating(version, len(d.kind.Steps))
	}
	return d.steps(tx, version)
}

// steps does the steps from a schema on.
func (d *Database) steps(tx *sql.Tx, from int) error {
	for n, step := range d.kind.Steps[from:] {
		if _, err := tx.Exec(Translate(step)); err != nil {
			return fmt.Errorf("migrating schema %d to %d: %w", from+n, from+n+1, err)
		}
	}
	_, err := tx.Exec(`UPDATE reconciler_stores SET version = ?, writes = writes + 1 WHERE store = ?`, len(d.kind.Steps), d.kind.Store)
	return err
}

// Create makes the tables, as a whole or not at all, unless they are there: then it
// migrates an older schema, and refuses a newer one. What fill writes is part of them
// from their first moment.
func (d *Database) Create(fill func(tx *sql.Tx) error) error {
	return Explain(d.locked(func(tx *sql.Tx) error {
		if _, err := tx.Exec(bookkeeping); err != nil {
			return err
		}
		if err := checkOwner(tx); err != nil {
			return err
		}
		res, err := tx.Exec(`INSERT INTO reconciler_stores (store, version) VALUES (?, 0) ON CONFLICT DO NOTHING`, d.kind.Store)
		if err != nil {
			return err
		}
		switch n, err := res.RowsAffected(); {
		case err != nil:
			return err
		case n == 0:
			return d.migrate(tx)
		}
		if err := d.steps(tx, 0); err != nil {
			return err
		}
		return fill(tx)
	}))
}

// Drop removes the tables with all that is in them, if they are there. Nobody else may use
// them.
func (d *Database) Drop() error {
	err := d.locked(func(tx *sql.Tx) error {
		if there, err := isKept(tx); err != nil || !there {
			return err
		}
		res, err := tx.Exec(`DELETE FROM reconciler_stores WHERE store = ?`, d.kind.Store)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // tables of the same names are of some other program
		}
		for _, table := range slices.Backward(d.kind.Tables()) {
			if _, err := tx.Exec(`DROP TABLE ` + table); err != nil {
				return err
			}
		}
		// What is kept of all stores goes with the last one.
		_, err = tx.Exec(`DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM reconciler_stores) THEN DROP TABLE reconciler_stores; END IF; END $$`)
		return err
	})
	if err == nil {
		d.seen.Store(false)
	}
	return Explain(err)
}

// isKept reports whether there are tables of any store.
func isKept(tx *sql.Tx) (there bool, err error) {
	err = tx.QueryRow(`SELECT to_regclass('reconciler_stores') IS NOT NULL`).Scan(&there)
	return there, err
}

// Stores returns the names of the stores that have tables in the database at url.
func Stores(url location.URL) (names []string, err error) {
	db := Open(url, 1)
	defer db.Close()
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, Explain(err)
	}
	defer tx.Rollback()
	if there, err := isKept(tx); err != nil || !there {
		return nil, Explain(err)
	}
	rows, err := tx.Query(`SELECT store FROM reconciler_stores ORDER BY store`)
	if err != nil {
		return nil, Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, Explain(err)
		}
		names = append(names, name)
	}
	return names, Explain(rows.Err())
}

// locked calls f in a transaction while no other process makes or migrates tables in the
// schema.
func (d *Database) locked(f func(tx *sql.Tx) error) error {
	tx, err := d.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`SELECT pg_advisory_xact_lock(hashtext('reconciler'), hashtext(coalesce(current_schema(), '')))`); err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Check returns why the tables can't be used, as those of a newer version. It is nil where
// there are none. It changes nothing.
func (d *Database) Check() error {
	tx, err := d.Snapshot()
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.Rollback()
}

// Writes returns how many transactions have written to the store; 0 if it has no tables.
// As long as it is the same, nothing has changed.
func (d *Database) Writes() (writes int64, err error) {
	tx, err := d.Snapshot()
	if errors.Is(err, ErrNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	err = tx.QueryRow(`SELECT writes FROM reconciler_stores WHERE store = ?`, d.kind.Store).Scan(&writes)
	return writes, Explain(err)
}

// Size returns how many bytes the tables take on disk; 0 if there are none.
func (d *Database) Size() (size int64, err error) {
	tx, err := d.Snapshot()
	if errors.Is(err, ErrNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	for _, table := range d.kind.Tables() {
		var n int64
		if err := tx.QueryRow(`SELECT coalesce(pg_total_relation_size(to_regclass(?)), 0)`, table).Scan(&n); err != nil {
			return 0, Explain(err)
		}
		size += n
	}
	return size, nil
}

// tableName matches where a table is made.
var tableName = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// Tables returns the names of the tables that the steps make.
func (k *Kind) Tables() []string {
	var all []string
	for _, step := range k.Steps {
		for _, m := range tableName.FindAllStringSubmatch(step, -1) {
			all = append(all, m[1])
		}
	}
	return all
}

// translations are the words of SQLite's schemas that PostgreSQL has others for. Texts
// are sorted as bytes, as SQLite does.
var translations = []struct {
	sqlite   *regexp.Regexp
	postgres string
}{
	{regexp.MustCompile(`\) STRICT(, WITHOUT ROWID)?;`), ");"},
	{regexp.MustCompile(`\bINTEGER PRIMARY KEY( AUTOINCREMENT)?`), "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"},
	{regexp.MustCompile(`\bINTEGER\b`), "BIGINT"},
	{regexp.MustCompile(`\bBLOB\b`), "BYTEA"},
	{regexp.MustCompile(`\bTEXT\b`), `TEXT COLLATE "C"`},
}

// Translate returns the step of a schema in PostgreSQL's SQL, from SQLite's.
func Translate(step string) string {
	for _, t := range translations {
		step = t.sqlite.ReplaceAllString(step, t.postgres)
	}
	return strings.TrimSpace(step)
}
