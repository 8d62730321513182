package journal

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"reconciler/internal/store/sqlitefile"
)

const (
	// keepRuns and keepBytes bound how many records of runs are kept, and how
	// large they may be together.
	keepRuns  = 1000
	keepBytes = 32 << 20
)

// Run is the record of a run of the program that has ended. The journal doesn't
// look into it; the caller makes sure that it holds no secrets.
type Run struct {
	// ID is unique.
	ID                string
	Started, Finished time.Time
	Result            string
	// Record is JSON.
	Record json.RawMessage
}

// AddRun keeps the record of a run, and drops the oldest ones beyond what is kept
// (1000 runs, 32 MB).
func (w *Writer) AddRun(r Run) error {
	if r.ID == "" || r.Started.IsZero() || len(r.Record) > 0 && !json.Valid(r.Record) {
		return fmt.Errorf("keeping the run %q: id and time must be given, and its record must be JSON", r.ID)
	}
	return w.write("keeping a run", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`INSERT INTO runs (id, started_at, finished_at, result, record) VALUES (?, ?, ?, ?, ?)`,
			r.ID, sqlitefile.Stamp(r.Started), sqlitefile.Stamp(r.Finished), r.Result, string(r.Record)); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM runs WHERE seq IN (
			SELECT seq FROM (
				SELECT seq, row_number() OVER newest AS n, sum(length(record)) OVER newest AS bytes
				FROM runs WINDOW newest AS (ORDER BY seq DESC)
			) WHERE n > ? OR bytes > ?)`, keepRuns, keepBytes)
		return err
	})
}

// Runs returns the newest runs, at most limit of them, newest first. Those that
// can't be read are missing from them, and the error is a *RowsError.
func (j *Journal) Runs(limit int) ([]Run, error) {
	return list(j, "reading runs", func(r *Run) []any {
		return []any{&r.ID, sqlitefile.Moment(&r.Started), sqlitefile.Moment(&r.Finished), &r.Result, (*[]byte)(&r.Record)}
	}, `SELECT id, started_at, finished_at, result, nullif(record, '') FROM runs ORDER BY seq DESC LIMIT ?`, max(0, limit))
}
