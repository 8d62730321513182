package backup

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// stopAt makes the first statement stand that changes a row of a table for which a
// condition holds, until the server is stopped. The table is made later.
func stopAt(t *testing.T, file postgrestest.File, table, event, condition string) {
	t.Helper()
	begin := fmt.Sprintf(`CREATE CONSTRAINT TRIGGER stop AFTER %s ON %s DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW WHEN (%s) EXECUTE FUNCTION stop()`, event, table, condition)
	execSQL(t, file, `CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NULL; END'`)
	execSQL(t, file, `CREATE FUNCTION made() RETURNS event_trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF EXISTS (SELECT 1 FROM pg_event_trigger_ddl_commands() WHERE object_identity = current_schema() || '.`+table+`') THEN
				EXECUTE $q$`+begin+`$q$;
			END IF;
		END $$`)
	execSQL(t, file, `CREATE EVENT TRIGGER made ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION made()`)
}

// stopServer stops the server once a statement stands.
func stopServer(t *testing.T, s *postgrestest.Server, file postgrestest.File) {
	t.Helper()
	db := postgres.Open(file, 1)
	defer db.Close()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var stands bool
		must(t, db.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep')`).Scan(&stands))
		if stands {
			break
		}
		if time.Since(began) > 30*time.Second {
			t.Fatal("nothing has stopped")
		}
	}
	must(t, s.Stop())
}

// A database that dies while a state is moved leaves no place behind that looks as if it
// had a state, and the error says in one line what to do.
func TestMoveOutage(t *testing.T) {
	server := postgrestest.Start(t)
	const (
		unfinishedWords = ", which has not ended: empty this place"
		left            = "; what was copied before may be left there"
	)
	for _, tt := range []struct {
		name                    string
		back                    bool // from the database to a folder
		table, event, condition string
		error, hint             string
		// from and to are why writes are suspended afterwards, beside what was suspended
		// before; "" for nothing, "none" for a place without a state, and "empty" for one in
		// which a state would begin.
		from, to string
	}{
		{name: "the journal is made", table: "suspensions", event: "INSERT", condition: "NEW.reason LIKE '%has not ended%'",
			error: `journal in PostgreSQL (URL): filling it: the server is being stopped or started (SQLSTATE 57P01)` + left,
			hint:  "wait until it is up again; empty PostgreSQL (URL) before you try again", to: "empty"},
		{name: "the history is copied", table: "entries", event: "INSERT", condition: "true",
			error: `: reading all of it: history in PostgreSQL (URL): filling it: the server is being stopped or started (SQLSTATE 57P01)` + left,
			hint:  "empty PostgreSQL (URL) before you try again", to: unfinishedWords},
		{name: "the queue is copied", table: "messages", event: "INSERT", condition: "true",
			error: "the server is being stopped or started (SQLSTATE 57P01)" + left,
			hint:  "empty PostgreSQL (URL) before you try again", to: unfinishedWords},
		{name: "the entry is added", table: "entries", event: "INSERT", condition: "NEW.action = 'migrate'",
			error: `history in PostgreSQL (URL): adding to the history: the server is being stopped or started (SQLSTATE 57P01)` + left,
			hint:  "empty PostgreSQL (URL) before you try again", to: unfinishedWords},
		{name: "the journal is copied", table: "suspensions", event: "INSERT", condition: "NEW.reason = 'audit'",
			error: "the server is being stopped or started (SQLSTATE 57P01)" + left,
			hint:  "empty PostgreSQL (URL) before you try again", to: unfinishedWords},
		{name: "the suspension is taken back", table: "suspensions", event: "DELETE", condition: "current_query() LIKE '%WHERE id%'",
			error: `the state was moved, but all writes are still suspended where it is now: journal in PostgreSQL (URL): resuming: the server is being stopped or started (SQLSTATE 57P01)`,
			hint:  "set the config to the new place and, once it can be written to, run: reconciler resume ", from: "the state was moved to PostgreSQL", to: unfinishedWords},
		{name: "the source is suspended", back: true, table: "suspensions", event: "INSERT", condition: "NEW.reason LIKE 'the state was moved%'",
			error: `it is not known whether all writes are suspended now where the state is: journal in PostgreSQL (URL): suspending: the server is being stopped or started (SQLSTATE 57P01)`,
			hint:  "the state is where it was: look whether its writes are suspended, and try again", to: "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder, file := filled(t), server.File(t)
			database := location.Postgres(file)
			stopAt(t, file, tt.table, tt.event, tt.condition)
			from, to := folder, database
			if tt.back {
				_, err := Move(from, to, "ada", now())
				must(t, err)
				from, to = database, location.Folder(filepath.Join(t.TempDir(), "back"))
			}
			done := make(chan error)
			go func() {
				_, err := Move(from, to, "ada", now())
				done <- err
			}()
			stopServer(t, server, file)
			err := <-done
			must(t, server.Start())
			execSQL(t, file, `DROP EVENT TRIGGER made`)
			execSQL(t, file, `DROP FUNCTION stop() CASCADE`)
			named := func(s string) string { return strings.ReplaceAll(s, "URL", file.String()) }
			wantError(t, err, named(tt.error), named(tt.hint))
			if strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "server is being stopped") != 1 {
				t.Errorf("more than one cause: %v", err)
			}
			before := "audit; second"
			check := func(at location.Location, want string) {
				t.Helper()
				got := reasons(t, at)
				if s := openStores(at); want == "none" {
					if exists, err := s.exist(); err != nil || exists {
						t.Errorf("there is something in %s: %v", at, err)
					}
				} else if want == "empty" {
					must(t, s.checkNew())
				} else if rest := strings.TrimPrefix(strings.TrimPrefix(got, before), "; "); want == "" && rest != "" || !strings.Contains(rest, want) {
					t.Errorf("suspended in %s: %q, wanted %q", at, got, want)
				}
			}
			check(from, tt.from)
			check(to, tt.to)
		})
	}
}

// The same holds for a restore.
func TestRestoreOutage(t *testing.T) {
	server := postgrestest.Start(t)
	file, backup := server.File(t), filepath.Join(t.TempDir(), "backup.tar")
	database := location.Postgres(file)
	_, err := Make(filled(t), backup, "v1", now())
	must(t, err)
	stopAt(t, file, "entries", "INSERT", "NEW.action = 'restore'") // after the history, before the journal
	done := make(chan error)
	go func() {
		_, err := Restore(backup, database, "ada", now())
		done <- err
	}()
	stopServer(t, server, file)
	err = <-done
	must(t, server.Start())
	wantError(t, err, "adding to the history: the server is being stopped or started (SQLSTATE 57P01); what was copied before may be left there",
		fmt.Sprintf("wait until it is up again; empty %s before you try again", database))
	if got := reasons(t, database); got != "a backup is being restored here, which has not ended: empty this place, and begin again" {
		t.Errorf("suspended: %s", got)
	}
	execSQL(t, file, `DROP EVENT TRIGGER made`)
	var schema string
	db := postgres.Open(file, 1)
	defer db.Close()
	must(t, db.QueryRow(`SELECT current_schema()`).Scan(&schema))
	execSQL(t, file, `DROP SCHEMA `+schema+` CASCADE; CREATE SCHEMA `+schema)
	_, err = Restore(backup, database, "ada", now())
	must(t, err)
	if got := reasons(t, database); got != "audit; second" {
		t.Errorf("suspended: %s", got)
	}
}
