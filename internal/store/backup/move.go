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
		err = was.undo(errors.Join(err, target.close()))
	}
	return m, err
}

// moveHeld moves all of it while nothing else uses either place. Once it is moved, it is
// returned even with an error.
func (s *stores) moveHeld(target *stores, from, to location.Location, by string, now time.Time) (*Moved, error) {
	if err := checkVacant(to.Dir()); err != nil {
		return nil, err
	}
	for _, at := range []location.Location{from, to} {
		held, err := journal.Hold(at)
		if err != nil {
			return nil, err
		}
		defer held.Close()
	}
	if err := target.checkNew(); err != nil {
		return nil, err
	}
	exists, err := s.journal.Exists()
	if err == nil && exists {
		err = target.begin(fmt.Sprintf("the state is being moved here from %s", from), by)
	}
	if err != nil {
		return nil, err
	}
	m, err := s.moveTo(target)
	if err != nil {
		return nil, err
	}
	if _, err := target.history.Add(history.Entry{
		Type: history.TypeOperator, Action: ActionMigrated, By: by, Time: now, Reason: fmt.Sprintf("from %s to %s", from, to),
	}); err != nil {
		return nil, err
	}
	if err := s.retire(fmt.Sprintf("the state was moved to %s at %s", to, now.UTC().Format(time.RFC3339)), by); err != nil {
		return m, fmt.Errorf("the state was moved, but writes are not suspended where it was: %w", err)
	}
	return m, nil
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

// begin makes a journal that suspends all writes, until the one that is copied last takes
// its place: a process that ends before leaves no place behind that looks as if it had a
// state, and which knows nothing of what must not be written.
func (s *stores) begin(why, by string) error {
	if err := s.journal.Fill(func(transfer.Target) error { return nil }); err != nil {
		return err
	}
	return s.suspend(text.OneLine(why, freeze.MaxReason-len(notEnded))+notEnded, by)
}

// notEnded is what a suspension says that should be gone.
const notEnded = ", which has not ended: empty this place, and begin again"

// copyStores copies stores to others, compares what is there with what was read, and
// returns it. Of stores that aren't there, it copies nothing.
func copyStores(from, target []store) (all []transfer.Sum, err error) {
	for i, one := range from {
		to := target[i]
		_, err := one.Rows(func(from transfer.Side) error {
			var sums []transfer.Sum
			err := to.Fill(func(side transfer.Target) (err error) {
				sums, err = transfer.Copy(from, side)
				return err
			})
			if err != nil {
				return err
			}
			all = append(all, sums...)
			_, err = to.Rows(func(side transfer.Side) error {
				got, err := transfer.Sums(side)
				if err != nil {
					return err
				}
				return transfer.Compare(sums, got)
			})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// moveTo copies all of it, while nothing else uses it, and compares it.
func (s *stores) moveTo(target *stores) (m *Moved, err error) {
	m = &Moved{}
	if m.Tables, err = copyStores(s.all(), target.all()); err != nil {
		return nil, err
	}
	before, err := s.history.Verify("")
	if err != nil {
		return nil, err
	}
	after, err := target.history.Verify("")
	if err != nil {
		return nil, err
	}
	if after.Head != before.Head || problemOf(after) != problemOf(before) {
		return nil, fmt.Errorf("the history that was copied ends with the head %q, and the one before with %q", after.Head, before.Head)
	}
	m.Head, m.Entries, m.Problem = after.Head, after.Entries, problemOf(after)
	return m, target.journal.Check()
}

// retire suspends all writes at a place that is no longer used, in case a daemon with a
// config of before is started.
func (s *stores) retire(why, by string) error {
	if exists, err := s.journal.Exists(); err != nil || !exists {
		return err
	}
	return s.suspend(why, by)
}

// suspend suspends all writes. Who does it may be the long address of a job in CI.
func (s *stores) suspend(why, by string) error {
	_, err := s.journal.Suspend(freeze.Suspension{Reason: text.OneLine(why, freeze.MaxReason), Owner: text.OneLine(by, freeze.MaxOwner)})
	return err
}
