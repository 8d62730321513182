package history

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"reconciler/internal/store/securedir"
)

// processPrefix and processSuffix enclose the names of lock files. Each process that
// has runs holds the lock on a file of its own, with a random name. The lock ends with
// the process, however that ends, so that neither ids of processes, which are used
// again and are the same in each container, nor clocks have to be compared.
const processPrefix, processSuffix = "history.run-", ".lock"

// process is the lock of this process.
type process struct {
	name string
	file *os.File
}

// newProcess makes and locks a file.
func newProcess(root *os.Root) (*process, error) {
	for {
		p := &process{name: processPrefix + strings.ToLower(rand.Text()[:16]) + processSuffix}
		var err error
		if p.file, err = root.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, err
		}
		err = securedir.Lock(p.file)
		if err == nil && p.named(root) {
			return p, nil
		}
		p.file.Close()
		if err != nil && !errors.Is(err, securedir.ErrLocked) {
			return nil, errors.Join(err, root.Remove(p.name))
		}
		// Another process took it for one that was left behind.
	}
}

// named reports whether the file that is locked is the one with its name.
func (p *process) named(root *os.Root) bool {
	opened, err := p.file.Stat()
	if err != nil {
		return false
	}
	info, err := root.Lstat(p.name)
	return err == nil && os.SameFile(opened, info)
}

// end removes the file and the lock.
func (p *process) end(root *os.Root) error {
	if p.named(root) {
		if err := root.Remove(p.name); err != nil {
			return errors.Join(err, p.file.Close())
		}
	}
	return p.file.Close()
}

// alive reports whether the process with this lock file goes on. It takes the lock for
// a moment, shared with others that look.
func alive(root *os.Root, name string) bool {
	f, err := root.Open(name)
	if err != nil {
		// Each process has its file for as long as it has runs.
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return errors.Is(securedir.LockShared(f), securedir.ErrLocked)
}

// sweepAge is how old a lock file must be before it counts as left behind. One that is
// younger may not be locked yet.
const sweepAge = time.Minute

// sweep removes lock files that processes left behind.
func sweep(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, processPrefix) || !strings.HasSuffix(name, processSuffix) {
			continue
		}
		info, err := root.Lstat(name)
		if err != nil || time.Since(info.ModTime()) < sweepAge || alive(root, name) {
			continue
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// enter returns the name of the lock file of this process, which it makes where there is
// none yet.
func (d *folder) enter() (string, error) {
	root, err := securedir.Existing(d.dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil || !d.process.named(root) {
		if err := sweep(root); err != nil {
			return "", err
		}
		p, err := newProcess(root)
		if err != nil {
			return "", err
		}
		if d.process != nil {
			d.process.file.Close()
		}
		d.process = p
	}
	return d.process.name, nil
}

// gone reports whether the process with a lock file has ended.
func (d *folder) gone(_ *sql.Tx, process string) bool {
	root, err := securedir.Existing(d.dir)
	if err != nil {
		return false
	}
	defer root.Close()
	return !alive(root, process)
}

// runningRow is a run that has not finished.
type runningRow struct {
	Run
	process string
}

// running returns the runs that have not finished, newest first.
func running(tx *sql.Tx) ([]runningRow, error) {
	rows, err := tx.Query(`SELECT process, run FROM running ORDER BY begun DESC, id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []runningRow
	for rows.Next() {
		var r runningRow
		var data []byte
		if err := rows.Scan(&r.process, &data); err != nil {
			return nil, err
		}
		if err := unmarshal(data, &r.Run); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// interrupt turns r into a run whose process ended before it did.
func (r *runningRow) interrupt() {
	r.Result = ResultInterrupted
	r.Error = "the process ended before the run did"
}

// pendingOf returns the changes that a run had under way, with the outcome unknown, in
// the order in which they were begun.
func pendingOf(tx *sql.Tx, run string) ([]Entry, error) {
	rows, err := tx.Query(`SELECT entry FROM pending WHERE run = ? ORDER BY id`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		var e Entry
		if err := unmarshal(data, &e); err != nil {
			return nil, err
		}
		e.Outcome = OutcomeUnknown
		e.Error = "the process ended before the answer came"
		all = append(all, e)
	}
	return all, rows.Err()
}

// recoverRuns turns runs of processes that are gone into entries, with the changes that
// they had under way.
func recoverRuns(tx *sql.Tx, now time.Time, gone func(tx *sql.Tx, process string) bool) error {
	all, err := running(tx)
	if err != nil {
		return err
	}
	for i := len(all) - 1; i >= 0; i-- {
		r := &all[i]
		if !gone(tx, r.process) {
			continue
		}
		r.interrupt()
		if err := closeRun(tx, now, &r.Run); err != nil {
			return err
		}
	}
	return nil
}

// closeRun adds the entries of a run that has ended, also of changes that it left
// under way.
func closeRun(tx *sql.Tx, now time.Time, r *Run) error {
	entries, err := pendingOf(tx, r.ID)
	if err != nil {
		return err
	}
	e, err := runEntry(r)
	if err != nil {
		return err
	}
	if _, err := add(tx, now, append(entries, e)...); err != nil {
		return err
	}
	return forgetRunning(tx, r.ID)
}

// forgetRunning removes what is kept of a run while it goes on.
func forgetRunning(tx *sql.Tx, id string) error {
	if _, err := tx.Exec(`DELETE FROM pending WHERE run = ?`, id); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM running WHERE id = ?`, id)
	return err
}
