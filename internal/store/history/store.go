package history

import (
	"encoding/json"
	"io"
	"log/slog"
	"time"
)

// Options are what a history needs besides its folder. The zero value works.
type Options struct {
	// Now returns the time; time.Now if nil.
	Now func() time.Time
	// Logger logs damage, migrations and pruning; nil is silent.
	Logger *slog.Logger
	// Retention is how long entries are kept; 0 is for ever.
	Retention time.Duration
}

// Store is the history in a folder. It opens the file with its first use, and keeps it
// open until Close. With an empty folder it keeps nothing, finds nothing, and fails at
// nothing. Its methods may be called by several goroutines and processes.
type Store struct{}

// New returns the history in dir, and opens nothing.
func New(dir string, opts Options) *Store { return &Store{} }

// Close closes the file. The store may be used again, which reopens it.
func (s *Store) Close() error { panic("not built") }

// Run is a run of a command that writes.
type Run struct {
	ID string `json:"id"`
	// Command is the command: run, run --once, apply, access and so on, and Trigger why
	// a daemon ran.
	Command string `json:"command"`
	Trigger string `json:"trigger,omitempty"`
	Mode    string `json:"mode,omitempty"`
	// By is who ran it: USER@HOST, or the URL of a CI run.
	By       string    `json:"by"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	Commit   string    `json:"commit,omitempty"`
	Signer   string    `json:"signer,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	// Result is how it ended; "" while it goes on.
	Result string `json:"result"`
	Error  string `json:"error,omitempty"`
	// Record is what the command has to say of it, as JSON.
	Record json.RawMessage `json:"record,omitempty"`
	// Quiet is set if nothing happened: then it is only counted.
	Quiet bool `json:"-"`
}

// Recorder records one run. Its methods may be called by several goroutines.
type Recorder struct{}

// Begin begins a run: from now on it is in the history, as one that goes on, or as
// interrupted once its process is gone.
func (s *Store) Begin(r Run) (*Recorder, error) { panic("not built") }

// Planned sets what is known of the run once it has a plan.
func (r *Recorder) Planned(commit, signer, digest string) error { panic("not built") }

// Add adds entries of what happened in the run and was no change under way.
func (r *Recorder) Add(entries ...Entry) error { panic("not built") }

// Pending is a change under way.
type Pending struct{}

// Change records that a change is about to be made; it has synced that when it returns.
// After an error the change must not be made. If the process ends before End, the
// change is in the history with the outcome unknown.
func (r *Recorder) Change(e Entry) (*Pending, error) { panic("not built") }

// End adds the entry of the change, with its outcome.
func (p *Pending) End(outcome Entry) error { panic("not built") }

// Drift replaces the open drift of what a run compared: compared reports which fields of
// which orgs it could compare, and drift is all that differs of them. It adds an entry
// for what is new, changed and gone, and returns the open drift of everything, sorted by
// org and field. Since, LastSeen, Times, Run, Seq, Cause and Unknown of drift are ignored.
func (r *Recorder) Drift(drift []Drift, compared func(*Drift) bool) ([]Drift, error) {
	panic("not built")
}

// States adds an entry for each org whose declared or live state differs from what was
// recorded last.
func (r *Recorder) States(states []OrgState) error { panic("not built") }

// Finish ends the run, and returns the head. A quiet run is only counted. Once a day it
// also prunes.
func (r *Recorder) Finish(run Run) (head string, err error) { panic("not built") }

// Add adds entries of what happened outside of runs, in one transaction, and returns
// the head. Seq, Hash and a zero Time are set.
func (s *Store) Add(entries ...Entry) (head string, err error) { panic("not built") }

// Caused sets who caused an open drift, or why that can't be known, and adds an entry of
// type cause.
func (s *Store) Caused(seq int64, cause *Cause, unknown string) error { panic("not built") }

// Head returns the hash of the newest entry; empty if there is none.
func (s *Store) Head() (string, error) { panic("not built") }

// Query selects entries. Zero fields select all.
type Query struct {
	Types        []Type
	Org, Action  string
	Run          string
	Since, Until time.Time
	// Before selects entries with a lower seq, for paging.
	Before int64
	// RequestIDs selects changes that one of these requests of Okta made.
	RequestIDs []string
	// Limit is how many at most; 0 is all.
	Limit int
}

// Entries returns the entries that q selects, newest first. Causes that came later are
// set in the entries that they are about. Changes that are under way in a process that
// is gone are among them, with the outcome unknown and without a seq.
func (s *Store) Entries(q Query) ([]Entry, error) { panic("not built") }

// Runs returns runs that were kept, newest first; those of processes that are gone are
// interrupted. Before, where not empty, is the id of the run before which to begin.
func (s *Store) Runs(before string, limit int) ([]Run, error) { panic("not built") }

// FindRun returns a run; nil if there is none.
func (s *Store) FindRun(id string) (*Run, error) { panic("not built") }

// Quiet counts the runs that nothing happened in.
type Quiet struct {
	Runs  int       `json:"runs"`
	Since time.Time `json:"since,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// QuietRuns returns how many runs of the retention were only counted.
func (s *Store) QuietRuns() (Quiet, error) { panic("not built") }

// Drifts returns the open drift, sorted by org and field.
func (s *Store) Drifts() ([]Drift, error) { panic("not built") }

// At returns what was declared and live in an org at a time; nil if nothing is known of
// it then.
func (s *Store) At(org string, at time.Time) (*OrgState, error) { panic("not built") }

// LastStates returns what was declared and live in each org when it was recorded last,
// sorted by org.
func (s *Store) LastStates() ([]OrgState, error) { panic("not built") }

// Verification is what Verify found.
type Verification struct {
	// Entries is how many entries there are, and Pruned how many there were before them.
	Entries int64  `json:"entries"`
	Pruned  int64  `json:"pruned"`
	Head    string `json:"head"`
	// Seq is the first entry that was altered, removed, inserted or moved, and Problem
	// what is wrong with it; 0 and "" if the chain is whole.
	Seq     int64  `json:"seq,omitempty"`
	Problem string `json:"problem,omitempty"`
	// HeadAt is the entry whose hash the given head is; 0 if this chain never had it.
	HeadAt int64 `json:"headAt,omitempty"`
}

// Verify computes the whole chain anew. With a head, or the first 12 digits or more of
// one, it also looks for that head.
func (s *Store) Verify(head string) (*Verification, error) { panic("not built") }

// Export writes all entries, oldest first, as JSON lines.
func (s *Store) Export(w io.Writer) error { panic("not built") }

// Backup writes a copy of the file, as it is at one moment, to a new file, while others
// use it.
func (s *Store) Backup(file string) error { panic("not built") }
