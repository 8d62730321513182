package history

import (
	"encoding/json"
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

// Query selects entries. Zero fields select all.
type Query struct {
	Types        []Type
	Org, Action  string
	Run          string
	Since, Until time.Time
	// Before selects entries with a lower seq, for paging.
	Before int64
	// About selects entries about one of these, by their seqs.
	About []int64
	// RequestIDs selects changes that one of these requests of Okta made.
	RequestIDs []string
	// Limit is how many at most; 0 is all.
	Limit int
}

// Quiet counts the runs that nothing happened in.
type Quiet struct {
	Runs  int       `json:"runs"`
	Since time.Time `json:"since,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Verification is what Verify found.
type Verification struct {
	// Entries is how many entries there are, and Pruned how many there were before them.
	Entries int64  `json:"entries"`
	Pruned  int64  `json:"pruned"`
	Head    string `json:"head"`
	// Seq is the first entry that was altered, removed, inserted or moved, and Problem
	// what is wrong with it; Problem is "" if all is whole. Seq is 0 if the problem is
	// not about one entry.
	Seq     int64  `json:"seq,omitempty"`
	Problem string `json:"problem,omitempty"`
	// HeadAt is the entry whose hash the given head is; 0 if this chain never had it.
	HeadAt int64 `json:"headAt,omitempty"`
	// SetAside is the file of a history before this one that was damaged; "" if none is
	// in the folder.
	SetAside string `json:"setAside,omitempty"`
}
