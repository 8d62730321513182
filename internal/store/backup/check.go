package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/outbox"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/replicas"
	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// Report is what Check found.
type Report struct {
	// Journal and History report whether there are such files.
	Journal, History bool
	// Verification is that of the history.
	Verification history.Verification
	// Problems are what is wrong. Some have a hint.
	Problems []error
}

// Check checks the state at a location: that nobody else may read or write what is in it,
// the databases, the rows of the journal for an account, and the chain of the history.
// It changes nothing but modes, which opening a database sets right. The error is that
// the folder or the database can't be looked at.
func Check(at location.Location, account string, commands journal.Commands) (*Report, error) {
	r := &Report{}
	if dir := at.Dir(); dir != "" {
		if err := r.folder(dir); err != nil {
			return nil, err
		}
	}
	if url := at.Postgres(); url != nil {
		if err := reachable(url); err != nil {
			return nil, fmt.Errorf("state in %s: %w", at, err)
		}
	}
	r.journal(at, account, commands)
	r.history(at)
	r.outbox(at)
	r.replicas(at)
	return r, nil
}

// reachable returns why it can't be known what is in a database.
func reachable(url location.URL) error {
	c, err := postgres.Examine(context.Background(), url, time.Now)
	if err != nil {
		return err
	}
	if c.Schema == "" {
		return text.WithHint(fmt.Errorf("database %q has no schema that search_path names", c.Database), "check search_path in the URL of the database, or create the schema")
	}
	return nil
}

// folder looks at the folder and its files.
func (r *Report) folder(dir string) error {
	root, err := securedir.Existing(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return text.WithHint(fmt.Errorf("there is no state folder %q", dir), "is the volume mounted? The first run creates a folder that is missing")
	}
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	return r.modes(root)
}

func (r *Report) add(err error) {
	if err != nil {
		r.Problems = append(r.Problems, err)
	}
}

// modes looks for files that others may read or write.
func (r *Report) modes(root *os.Root) error {
	names, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := name.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // it is gone again, or none of ours
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			r.add(text.WithHint(fmt.Errorf("%s may be read or written by others (mode %04o)", text.Visible(name.Name()), mode), "run: chmod 600 FILE"))
		}
		r.Journal = r.Journal || name.Name() == journalFile
		r.History = r.History || name.Name() == historyFile
	}
	return nil
}

func (r *Report) journal(at location.Location, account string, commands journal.Commands) {
	j := journal.New(at, journal.Options{Commands: commands})
	defer j.Close()
	if err := j.Check(); err != nil {
		r.add(err)
		return
	}
	exists, err := j.Exists()
	r.add(err)
	r.Journal = r.Journal || exists
	rows, err := j.Unreadable(account)
	r.add(err)
	for _, row := range rows {
		r.add(row)
	}
	var suspensions *journal.SuspensionsError
	if _, err := j.Suspensions(); errors.As(err, &suspensions) {
		r.add(err)
	}
	if loss, err := j.Loss(); err == nil && loss != nil {
		r.add(text.WithHint(fmt.Errorf("the journal was damaged and set aside as %s", loss.SetAside), "docs/recovery.md says how to acknowledge that: "+j.Commands().Acknowledge))
	}
}

func (r *Report) history(at location.Location) {
	h := history.New(at, history.Options{})
	defer h.Close()
	if err := h.Check(); err != nil {
		r.add(err)
		return
	}
	v, err := h.Verify("")
	if err != nil {
		r.add(err)
		return
	}
	r.Verification = *v
	r.History = r.History || v.Head != ""
	if problem := problemOf(v); problem != "" {
		r.add(text.WithHint(fmt.Errorf("the history was altered: %s", problem), "docs/safety.md says what that proves; a backup may have the history as it was"))
	}
}

// outbox looks at the queue of notifications, which is no part of backups: what is
// restored must not be sent again.
func (r *Report) outbox(at location.Location) {
	o := outbox.New(at, outbox.Options{})
	r.add(errors.Join(o.Check(), o.Close()))
}

// replicas looks at what replicas share, which is in no backup either.
func (r *Report) replicas(at location.Location) {
	if at.Postgres() == nil {
		return
	}
	s := replicas.New(at.Postgres())
	r.add(errors.Join(s.Check(), s.Close()))
}
