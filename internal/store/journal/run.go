package journal

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// keepRuns and keepBytes bound how many records of runs are kept, and how
	// large they may be together.
	keepRuns  = 1000
	keepBytes = 32 << 20
)

// Run is the record of a run of the program. The journal doesn't look into it;
// the caller makes sure that it holds no secrets.
type Run struct {
	// ID is unique.
	ID      string
	Started time.Time
	// Finished is zero, and Result and Record are empty, for a run that goes
	// on, or whose process died.
	Finished time.Time
	Result   string
	// Record is JSON.
	Record json.RawMessage
}

// StartRun records that a run begins, and drops the oldest records beyond what
// is kept (1000 runs, 32 MB). Of r, ID and Started count.
func (w *Writer) StartRun(r Run) error {
	if r.ID == "" || r.Started.IsZero() {
		return errors.New("starting a run: id and time must be given")
	}
	return w.write("starting a run", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`INSERT INTO runs (id, started_at, finished_at, result, record) VALUES (?, ?, '', '', '')`,
			r.ID, stamp(r.Started)); err != nil {
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

// EndRun records how a run ended. After StartRun; it may be repeated.
func (w *Writer) EndRun(r Run) error {
	if len(r.Record) > 0 && !json.Valid(r.Record) {
		return fmt.Errorf("ending the run %q: its record is no JSON", r.ID)
	}
	return w.write("ending a run", func(tx *sql.Tx) error {
		done, err := tx.Exec(`UPDATE runs SET finished_at = ?, result = ?, record = ? WHERE id = ?`,
			stamp(r.Finished), r.Result, string(r.Record), r.ID)
		return wantRow(done, err, fmt.Errorf("ending the run %q: the journal knows of no such run", r.ID))
	})
}

// Runs returns the newest runs, at most limit of them, newest first.
func (j *Journal) Runs(limit int) ([]Run, error) {
	return list(j, "reading runs", func(r *Run) []any {
		return []any{&r.ID, moment{&r.Started}, moment{&r.Finished}, &r.Result, (*[]byte)(&r.Record)}
	}, `SELECT id, started_at, finished_at, result, nullif(record, '') FROM runs ORDER BY seq DESC LIMIT ?`, max(0, limit))
}
