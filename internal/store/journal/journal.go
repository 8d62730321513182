package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"reconciler/internal/store/securedir"
)

// Options are what a journal needs besides its folder. The zero value works.
type Options struct {
	// Now tells the time; time.Now if nil.
	Now func() time.Time
	// Logger is told of files that are set aside and of new schemas; nil for
	// nobody.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// View reads a journal, beside the process that holds it. It can also take
// down that a person has acknowledged something, and nothing else. Its methods
// may be called from several goroutines.
//
// None of them takes a context: they are local and take milliseconds, at most
// five seconds when another process is writing, and what is written here must
// not be cut short by the signal that ends a run.
type View struct {
	db   *sql.DB
	file string
	now  func() time.Time
	// older says that the file has an older schema, and db is a copy of it in
	// memory.
	older bool
}

// Journal is a View that may also be written to. One process at a time has it.
type Journal struct {
	View
	lock *lock
}

// Open opens the journal in dir for this process alone, until Close. A missing
// folder or journal is made, an older one is brought to the present schema.
//
// A file that can't be read is set aside under a new name, the logger is told,
// and the journal begins anew with Amnesia. Errors: *HeldError when another
// process holds the journal; *Error or *securedir.Error when folder or file
// can't be used.
func Open(dir string, opts Options) (*Journal, error) {
	return open(dir, opts, migrations())
}

func open(dir string, opts Options, steps []string) (_ *Journal, err error) {
	opts = opts.withDefaults()
	root, err := securedir.Dir(dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	lock, err := acquire(dir, root, opts.Now())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.release()
		}
	}()
	path := filepath.Join(dir, dbFile)
	if err := prepare(dir, root, opts, steps); err != nil {
		return nil, failed(path, "opening", err)
	}
	db, err := connectDurable(path)
	if err != nil {
		return nil, failed(path, "opening", err)
	}
	j := &Journal{View{db: db, file: path, now: opts.Now}, lock}
	if err := j.takeOver(steps); err != nil {
		db.Close()
		return nil, failed(path, "opening", err)
	}
	return j, nil
}

// prepare sees to it that there is a journal.db that can be worked with.
func prepare(dir string, root *os.Root, opts Options, steps []string) error {
	path := filepath.Join(dir, dbFile)
	c, err := diagnose(path, root)
	switch {
	case err != nil:
		return err
	case c.version > len(steps):
		return tooNew(path, c.version, len(steps))
	case c.missing:
		return beginAnew(dir, root, opts, steps)
	case c.broken == "" && c.version < len(steps):
		opts.Logger.Info("bringing the journal to a new schema", "file", path, "from", c.version, "to", len(steps))
	}
	if c.broken == "" {
		return nil
	}
	name, err := setAside(root, opts.Now())
	if err != nil {
		return fmt.Errorf("it is damaged (%s) and can't be set aside: %w", c.broken, err)
	}
	opts.Logger.Error("the journal is damaged and was set aside; what it knew of orgs being created is forgotten",
		"file", path, "damage", c.broken, "setAside", filepath.Join(dir, name))
	return beginAnew(dir, root, opts, steps)
}

// beginAnew makes a new journal. If there is a file that was set aside, then the
// new journal has forgotten something: either just now, or a process died
// between the two.
func beginAnew(dir string, root *os.Root, opts Options, steps []string) error {
	forgot, err := forgotten(dir, root, opts.Now())
	if err != nil {
		return err
	}
	return create(dir, root, steps, forgot)
}

func forgotten(dir string, root *os.Root, now time.Time) (*Amnesia, error) {
	name, err := lastAside(root)
	if err != nil || name == "" {
		return nil, err
	}
	return &Amnesia{Since: now, SetAside: filepath.Join(dir, name)}, nil
}

// takeOver brings the schema up to date, and closes what an earlier process left
// open: as this one holds the lock, nobody waits for an answer any more.
func (j *Journal) takeOver(steps []string) error {
	if err := migrate(j.db, steps); err != nil {
		return err
	}
	return j.write("closing the attempts of earlier processes", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`UPDATE creations SET last_error = 'the process ended before the answer came'
			WHERE step = 'sent' AND id IN (SELECT creation FROM attempts WHERE outcome = '')`); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE attempts SET outcome = 'unanswered' WHERE outcome = ''`)
		return err
	})
}

// Close gives the journal back. It may be called twice.
func (j *Journal) Close() error {
	err := j.View.Close()
	if closeErr := j.lock.release(); err == nil && !errors.Is(closeErr, os.ErrClosed) {
		err = closeErr
	}
	return err
}

// Look opens the journal in dir for reading, whether or not a process holds it.
// A folder or journal that isn't there reads as one that knows nothing; nothing
// is made. One of an older schema is read as what Open would make of it, and
// stays as it is. A damaged file is an error.
func Look(dir string, opts Options) (*View, error) {
	opts = opts.withDefaults()
	path := filepath.Join(dir, dbFile)
	v := &View{file: path, now: opts.Now}
	root, err := securedir.Existing(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := v.openEmpty(nil); err != nil {
			return nil, failed(path, "opening", err)
		}
		return v, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer root.Close()
	_, err = checkFile(root)
	switch {
	case err == nil:
		err = v.openFile(len(migrations()))
	case errors.Is(err, fs.ErrNotExist):
		var forgot *Amnesia
		if forgot, err = forgotten(dir, root, opts.Now()); err == nil {
			err = v.openEmpty(forgot)
		}
	}
	if err != nil {
		return nil, failed(path, "opening", err)
	}
	return v, nil
}

// openEmpty is a journal that knows nothing, in memory.
func (v *View) openEmpty(forgot *Amnesia) (err error) {
	if v.db, err = connect(v.file, "memory"); err != nil {
		return err
	}
	if err = migrate(v.db, migrations()); err == nil && forgot != nil {
		err = forgot.insert(v.db)
	}
	if err != nil {
		v.db.Close()
	}
	return err
}

func (v *View) openFile(known int) error {
	db, err := connect(v.file, "rw", "synchronous(FULL)", "wal_autocheckpoint(1)")
	if err != nil {
		return err
	}
	c, err := inspectDB(db)
	switch {
	case err != nil:
	case c.broken != "":
		err = &Error{
			msg:  fmt.Sprintf("journal %q: the file is damaged: %s", v.file, c.broken),
			hint: "the next start of apply or run sets it aside and says what to do", damaged: true,
		}
	case c.version > known:
		err = tooNew(v.file, c.version, known)
	case c.version < known:
		defer db.Close()
		return v.openOlder(db)
	}
	if err != nil {
		db.Close()
		return err
	}
	v.db = db
	return nil
}

// openOlder is what a file with an older schema would be, had Open brought it up
// to date. To look must not depend on that: it is what runs begin with, long
// before they have anything to write.
func (v *View) openOlder(old *sql.DB) error {
	data, err := serialize(old)
	if err != nil {
		return err
	}
	if v.db, err = connect(v.file, "memory"); err != nil {
		return err
	}
	if err = deserialize(v.db, data); err == nil {
		err = migrate(v.db, migrations())
	}
	if err != nil {
		v.db.Close()
		return err
	}
	v.older = true
	return nil
}

// modernize brings the file to the present schema, and takes it in the place of
// the copy. It takes the journal for a moment, which no process may hold.
func (v *View) modernize() error {
	j, err := Open(filepath.Dir(v.file), Options{Now: v.now})
	if err != nil {
		return err
	}
	copied := v.db
	err = errors.Join(j.Close(), v.openFile(len(migrations())))
	if err != nil {
		return failed(v.file, "opening", err)
	}
	v.older = false
	return copied.Close()
}

// Close ends the view. It may be called twice.
func (v *View) Close() error {
	return failed(v.file, "closing", v.db.Close())
}

// write does f in one transaction that is synced when write returns nil.
func (v *View) write(doing string, f func(tx *sql.Tx) error) error {
	if v.older {
		if err := v.modernize(); err != nil {
			return err
		}
	}
	tx, err := v.db.Begin()
	if err != nil {
		return failed(v.file, doing, err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return failed(v.file, doing, err)
	}
	return failed(v.file, doing, tx.Commit())
}

// stampForm is RFC 3339 of fixed width, so that times sort as text.
const stampForm = "2006-01-02T15:04:05.000000000Z"

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stampForm)
}

// moment scans a stamp.
type moment struct{ t *time.Time }

// Scan takes what stamp gave.
func (m moment) Scan(value any) error {
	s, ok := value.(string)
	if !ok {
		return fmt.Errorf("a time of type %T", value)
	}
	if s == "" {
		*m.t = time.Time{}
		return nil
	}
	t, err := time.Parse(stampForm, s)
	*m.t = t
	return err
}
