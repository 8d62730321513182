package journal

import (
	"testing"

	"reconciler/internal/store/postgres/postgrestest"
)

// All other tests hold for a journal in PostgreSQL as well, but for those that are about
// files.
func TestOnPostgres(t *testing.T) { postgrestest.Suite(t) }
