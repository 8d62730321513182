package postgres_test

import (
	"errors"
	"testing"
	"time"

	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// Who uses a connection again that was cut meanwhile doesn't wait for an answer as long as
// a statement may take: a process that is to end would wait as well.
func TestCutConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	cable := server.NewCable(t)
	db := (&postgres.Kind{Store: "cut", Steps: []string{`CREATE TABLE cut (x TEXT)`}, Connections: 1}).Open(cable.File(t, server.File(t)))
	if _, err := db.Snapshot(); !errors.Is(err, postgres.ErrNone) {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // a connection that was used in the last second isn't tried
	cable.Cut()
	began := time.Now()
	_, err := db.Snapshot()
	if took := time.Since(began); err == nil || took > 15*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	began = time.Now()
	if err := db.Close(); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("closed after %v: %v", time.Since(began), err)
	}
}
