package journal

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"

	"reconciler/internal/store/lease"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
)

// tables is the home of a journal in a PostgreSQL database.
type tables struct {
	at  location.Location
	log *slog.Logger

	// db is nil while it isn't open.
	db *sql.DB
	// seen reports whether there was a journal once.
	seen bool
}

