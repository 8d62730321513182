package postgres_test

import (
	"testing"

	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	db := postgres.Open(postgrestest.NewFile(t), 2)
	defer db.Close()
	var n int
	var schema string
	if err := db.QueryRow(`SELECT ?2::bigint + ?1::bigint, current_schema()`, 1, 2).Scan(&n, &schema); err != nil || n != 3 {
		t.Fatal(n, schema, err)
	}
	t.Log(schema)
}
