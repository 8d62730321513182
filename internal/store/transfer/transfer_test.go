package transfer

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
	_ "reconciler/internal/store/sqlitefile" // its driver
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const schema = `
CREATE TABLE things (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL,
	data BLOB,
	size INTEGER NOT NULL
) STRICT;
CREATE TABLE names (
	name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
`

// begin returns a transaction in a SQLite file or a PostgreSQL database with empty tables.
func begin(t *testing.T, inPostgres bool) Target {
	t.Helper()
	var db *sql.DB
	text := schema
	if inPostgres {
		db, text = postgres.Open(postgrestest.NewFile(t), 1), postgres.Translate(schema)
	} else {
		var err error
		db, err = sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
		must(t, err)
	}
	t.Cleanup(func() { must(t, db.Close()) })
	_, err := db.Exec(text)
	must(t, err)
	tx, err := db.Begin()
	must(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return To(Side{Postgres: inPostgres, Tables: []string{"things", "names"}}, tx)
}

func TestCopy(t *testing.T) {
	for _, way := range []struct{ from, to bool }{{false, true}, {true, false}, {true, true}, {false, false}} {
		t.Run(fmt.Sprintf("%+v", way), func(t *testing.T) {
			from, to := begin(t, way.from), begin(t, way.to)
			const n = 1500
			for i := range n {
				data := []byte{0, byte(i), 0xff}
				if i%3 == 0 {
					data = nil
				}
				_, err := from.Tx.Exec(`INSERT INTO things (id, name, data, size) VALUES (?, ?, ?, ?)`, 2*i+1, fmt.Sprint("näme ", i), data, int64(math.MaxInt64-i))
				must(t, err)
			}
			_, err := from.Tx.Exec(`INSERT INTO things (id, name, data, size) VALUES (?, ?, ?, ?)`, -1, strings.Repeat("x", 3<<20), []byte{}, -1)
			must(t, err)
			sums, err := Copy(from.Side, to)
			must(t, err)
			if sums[0].Rows != n+1 || sums[1].Rows != 0 {
				t.Fatalf("%+v", sums)
			}
			got, err := Sums(to.Side)
			must(t, err)
			must(t, Compare(sums, got))
			// The next row gets the next number.
			var id int64
			must(t, to.Tx.QueryRow(`INSERT INTO things (name, size) VALUES ('next', 0) RETURNING id`).Scan(&id))
			if id != 2*n {
				t.Errorf("the next number is %d", id)
			}
			_, err = to.Tx.Exec(`DELETE FROM things WHERE id = ?`, id)
			must(t, err)
			// One value that is another one is seen.
			for _, change := range []string{
				`UPDATE things SET size = 7 WHERE id = 5`, `UPDATE things SET name = 'y' WHERE id = -1`, `UPDATE things SET data = NULL WHERE id = 3`,
				`DELETE FROM things WHERE id = 9`,
			} {
				_, err := to.Tx.Exec(change)
				must(t, err)
				next, err := Sums(to.Side)
				must(t, err)
				if err := Compare(got, next); err == nil || !strings.Contains(err.Error(), "table things: 1501 rows were read and 150") {
					t.Errorf("%s: %v", change, err)
				}
				got = next
				got[0].Rows = n + 1 // what the words are about
			}
		})
	}
}

// What the target has no place for is not left out.
func TestNoColumn(t *testing.T) {
	from, to := begin(t, false), begin(t, false)
	_, err := from.Tx.Exec(`ALTER TABLE names ADD COLUMN more TEXT`)
	must(t, err)
	_, err = from.Tx.Exec(`INSERT INTO names VALUES ('a', 'b')`)
	must(t, err)
	if _, err := Copy(from.Side, to); err == nil || err.Error() != "table names: the target has no column more" {
		t.Error(err)
	}
	from.Tables[1] = "others"
	if _, err := Copy(from.Side, to); err == nil {
		t.Error("a table that isn't there is copied")
	}
}

// Only a place that itself has nothing counts as one: what f says of another place is an
// error, or half a state would be copied without one. And what fails isn't committed.
func TestReadAndWrite(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
	must(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1) // a transaction that isn't ended keeps the next one waiting
	_, err = db.Exec(schema)
	must(t, err)
	none, failed := errors.New("none"), errors.New("failed")
	side := func(tx Reader) Side { return Side{Tx: tx, Tables: []string{"names"}} }
	for _, want := range []error{nil, failed} {
		err := Write(db.Begin, side, func(to Target) error {
			_, err := to.Tx.Exec(`INSERT INTO names (name) VALUES (?)`, fmt.Sprint(want))
			return errors.Join(err, want)
		})
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	for _, tt := range []struct {
		begin  error
		f      error
		exists bool
		want   error
	}{{none, nil, false, nil}, {failed, nil, true, failed}, {nil, none, true, none}, {nil, nil, true, nil}} {
		rows := int64(-1)
		exists, err := Read(func() (*sql.Tx, error) {
			if tt.begin != nil {
				return nil, tt.begin
			}
			return db.Begin()
		}, none, side, func(from Side) error {
			sums, err := Sums(from)
			must(t, err)
			rows = sums[0].Rows
			return tt.f
		})
		if exists != tt.exists || !errors.Is(err, tt.want) || tt.begin == nil && rows != 1 {
			t.Errorf("%+v: %v, %v, %d rows", tt, exists, err, rows)
		}
	}
}
