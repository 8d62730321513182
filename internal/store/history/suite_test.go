package history

import (
	"testing"

	"reconciler/internal/store/postgres/postgrestest"
)

// All tests hold for a history in PostgreSQL as well.
func TestOnPostgres(t *testing.T) { postgrestest.Suite(t) }
