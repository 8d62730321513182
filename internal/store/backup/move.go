package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/outbox"
	"reconciler/internal/store/securedir"
	"reconciler/internal/store/transfer"
	"reconciler/internal/text"
)

// ActionMigrated is the action of the entry that a history goes on with at another place.
const ActionMigrated = "migrate"

// Moved is what Move has copied and verified.
type Moved struct {
	// Tables are the tables with what was in them.
	Tables []transfer.Sum
	// Head is that of the history, and Entries how many it has; Problem is what was wrong
	// with its chain before.
	Head    string
	Entries int64
	Problem string

	// suspension is that of all writes at the target; empty if there is no journal.
	suspension string
}

// Rows returns how many rows were copied.
func (m *Moved) Rows() (n int64) {
	for i := range m.Tables {
		n += m.Tables[i].Rows
	}
	return n
}

// Move copies a state from one location to another, at which there is none, while nothing
// uses either, and compares both. The state stays where it was as well, and all writes
// are suspended there. by is who does it.
func Move(from, to location.Location, by string, now time.Time) (*Moved, error) {
	m, err := move(from, to, by, now)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("moving the state from %s to %s: %w", from, to, err), firstHint(err))
	}
	return m, nil
}

func move(from, to location.Location, by string, now time.Time) (*Moved, error) {
	if dir := from.Dir(); dir != "" {
		if _, err := os.Lstat(dir); err != nil {
			return nil, text.WithHint(securedir.Cause(err), "is the volume mounted?")
		}
	}
	source, target := openStores(from), openStores(to)
	defer source.close()
	defer target.close()
	if exists, err := source.exist(); err != nil {
		return nil, err
	} else if !exists {
		return nil, errNothing
	}
	was, err := look(to)
	if err != nil {
		return nil, err
	}
	m, err := source.moveHeld(target, from, to, by, now)
	if m == nil {
		_ = target.close() // of which err says more
		err = was.undo(err)
	}
	return m, err
}

// moveHeld moves all of it while nothing else uses either place. At each moment, all
// writes are suspended at one of them at least. Once it is moved, it is returned even with
// an error.
func (s *stores) moveHeld(target *stores, from, to location.Location, by string, now time.Time) (*Moved, error) {
	if err := checkVacant(to.Dir()); err != nil {
		return nil, err
	}
	for _, one := range []*stores{s, target} {
		held, err := one.journal.Hold()
		if err != nil {
			return nil, err
		}
		defer held.Close()
	}
	if err := target.checkNew(); err != nil {
		return nil, err
	}
	m, err := s.moveTo(target, unfinished(fmt.Sprintf("the state is being moved here from %s", from), by), history.Entry{
		Type: history.TypeOperator, Action: ActionMigrated, By: by, Time: now, Reason: fmt.Sprintf("from %s to %s", from, to),
	})
	if err != nil {
		return nil, err
	}
	if m.suspension == "" { // there is no journal
		return m, nil
	}
	if err := s.retire(fmt.Sprintf("the state was moved to %s at %s", to, now.UTC().Format(time.RFC3339)), by); err != nil {
		return nil, err
	}
	return m, target.open(m.suspension)
}

// checkVacant is checkEmpty for a folder that may be missing. An empty dir is none.
func checkVacant(dir string) error {
	if dir == "" {
		return nil
	}
	root, err := securedir.Existing(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return checkEmpty(root)
}

// outboxFile is the file of the queue of notifications, which is in no backup.
const outboxFile = "outbox.db"

// stores are the stores of a location.
type stores struct {
	history *history.Store
	outbox  *outbox.Store
	journal *journal.Journal
}

func openStores(at location.Location) *stores {
	return &stores{history.New(at, history.Options{}), outbox.New(at, outbox.Options{}), journal.New(at, journal.Options{})}
}

func (s *stores) close() error {
	return errors.Join(s.history.Close(), s.outbox.Close(), s.journal.Close())
}

// store is what the stores have in common.
type store interface {
	Rows(func(transfer.Side) error) (bool, error)
	Fill(func(transfer.Target) error) error
	IsNew() (bool, error)
}

// all returns the stores in the order in which they are copied: the journal last, as
// nothing is decided by a history alone.
func (s *stores) all() []store { return []store{s.history, s.outbox, s.journal} }

// errNothing is the error of a place without a state.
var errNothing = errors.New("there is neither a journal nor a history in it yet")

// exist reports whether there is a journal, a history or an outbox.
func (s *stores) exist() (bool, error) {
	for _, one := range s.all() {
		exists, err := one.Rows(func(transfer.Side) error { return nil })
		if err != nil || exists {
			return exists, err
		}
	}
	return false, nil
}

// checkNew returns an error unless nothing is kept yet.
func (s *stores) checkNew() error {
	for _, one := range s.all() {
		empty, err := one.IsNew()
		if err != nil {
			return err
		}
		if !empty {
			return text.WithHint(errors.New("there is a state already, which is never overwritten"), "name an empty folder, or an empty schema as search_path in the URL of the database")
		}
	}
	return nil
}

// begin makes a journal with a suspension, until the one that is copied last takes its
// place: a process that ends before leaves no place behind that looks as if it had a
// state, and which knows nothing of what must not be written.
func (s *stores) begin(suspension freeze.Suspension) error {
	_, err := s.journal.FillSuspended(suspension, func(transfer.Target) error { return nil })
	return err
}

// unfinished returns a suspension of all writes that should be gone in the end.
func unfinished(why, by string) freeze.Suspension {
	const notEnded = ", which has not ended: empty this place, and begin again"
	return suspensionOf(text.OneLine(why, freeze.MaxReason-len(notEnded))+notEnded, by)
}

// suspensionOf returns a suspension of all writes. Who does it may be the long address of a
// job in CI.
func suspensionOf(why, by string) freeze.Suspension {
	return freeze.Suspension{Reason: text.OneLine(why, freeze.MaxReason), Owner: text.OneLine(by, freeze.MaxOwner)}
}

// copyStore copies a store by what fills another one, compares what is there with what
// was read, and returns it. Of a store that isn't there, it copies nothing.
func copyStore(from store, fill func(func(transfer.Target) error) error) (sums []transfer.Sum, err error) {
	_, err = from.Rows(func(from transfer.Side) error {
		return fill(func(target transfer.Target) (err error) {
			if sums, err = transfer.Copy(from, target); err != nil {
				return err
			}
			got, err := transfer.Sums(target.Side)
			if err != nil {
				return err
			}
			return transfer.Compare(sums, got)
		})
	})
	return sums, err
}

// copyStores copies stores to others.
func copyStores(from, target []store) (all []transfer.Sum, err error) {
	for i, one := range from {
		sums, err := copyStore(one, target[i].Fill)
		if err != nil {
			return nil, err
		}
		all = append(all, sums...)
	}
	return all, nil
}

// moveTo copies all of it, while nothing else uses it, compares it, and adds an entry to
// the history. The journal comes last, and all writes stay suspended at the target.
func (s *stores) moveTo(target *stores, suspension freeze.Suspension, entry history.Entry) (*Moved, error) {
	exists, err := s.journal.Exists()
	if err == nil && exists {
		err = target.begin(suspension)
	}
	if err != nil {
		return nil, err
	}
	m := &Moved{}
	if m.Tables, err = copyStores([]store{s.history, s.outbox}, []store{target.history, target.outbox}); err != nil {
		return nil, err
	}
	if err := m.verify(s, target); err != nil {
		return nil, err
	}
	if _, err := target.history.Add(entry); err != nil {
		return nil, err
	}
	tables, err := copyStore(s.journal, func(f func(transfer.Target) error) error {
		placed, err := target.journal.FillSuspended(suspension, f)
		m.suspension = placed.ID
		return err
	})
	if err != nil {
		return nil, err
	}
	m.Tables = append(m.Tables, tables...)
	return m, target.journal.Check()
}

// verify verifies the chain of the history that was copied, and notes what it is.
func (m *Moved) verify(source, target *stores) error {
	before, err := source.history.Verify("")
	if err != nil {
		return err
	}
	after, err := target.history.Verify("")
	if err != nil {
		return err
	}
	if after.Head != before.Head || problemOf(after) != problemOf(before) {
		return fmt.Errorf("the history that was copied ends with the head %q, and the one before with %q", after.Head, before.Head)
	}
	m.Head, m.Entries, m.Problem = after.Head, after.Entries, problemOf(after)
	return nil
}

// retire suspends all writes at a place that is no longer used, in case a daemon with a
// config of before is started.
func (s *stores) retire(why, by string) error {
	if _, err := s.journal.Suspend(suspensionOf(why, by)); err != nil {
		return text.WithHint(fmt.Errorf("it is not known whether all writes are suspended now where the state is: %w", err),
			"the state is where it was: look whether its writes are suspended, and try again")
	}
	return nil
}

// open takes back the suspension of a place that has the whole state.
func (s *stores) open(suspension string) error {
	if _, err := s.journal.Resume(func(one freeze.Suspension) bool { return one.ID == suspension }); err != nil {
		return text.WithHint(fmt.Errorf("the state was moved, but all writes are still suspended where it is now: %w", err), "set the config to the new place and, once it can be written to, run: reconciler resume "+suspension)
	}
	return nil
}
