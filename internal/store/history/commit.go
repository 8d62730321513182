package history

import (
	"cmp"
	"database/sql"
	"errors"
	"sync"
)

// queue holds what waits to be written. What is queued while a transaction is synced
// goes into the next one together, so that many goroutines cost few syncs.
type queue struct {
	mu      sync.Mutex
	jobs    []*job
	working bool
}

// job is one write.
type job struct {
	f    func(tx *sql.Tx) error
	err  error
	done chan struct{}
}

// write calls f in a transaction, maybe one with those of other goroutines, which is
// synced when write returns nil. When f returns an error, what it wrote is taken back.
// f may be called again, in another file, if the first is found to be damaged. Where
// nothing is kept, write does nothing.
func (s *Store) write(doing string, f func(tx *sql.Tx) error) error {
	if s.place == nil {
		return nil
	}
	j := &job{f: f, done: make(chan struct{})}
	s.queue.mu.Lock()
	s.queue.jobs = append(s.queue.jobs, j)
	if !s.queue.working {
		s.queue.working = true
		go s.work()
	}
	s.queue.mu.Unlock()
	<-j.done
	return s.failed(doing, j.err)
}

// work writes what is queued until nothing is.
func (s *Store) work() {
	for {
		s.queue.mu.Lock()
		batch := s.queue.jobs
		s.queue.jobs = nil
		s.queue.working = len(batch) > 0
		s.queue.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		s.commitAll(batch)
		for _, j := range batch {
			close(j.done)
		}
	}
}

// commitAll commits jobs together. If the file turns out to be damaged, it is set aside
// and they are done again in the new one.
func (s *Store) commitAll(batch []*job) {
	err := s.commit(batch)
	damage := err
	for _, j := range batch {
		damage = errors.Join(damage, j.err)
	}
	if errors.Is(damage, ErrDamaged) {
		if err = s.place.replace(damage); err == nil {
			err = s.commit(batch)
		}
	}
	if err != nil {
		for _, j := range batch {
			j.err = err
		}
	}
}

func (s *Store) commit(batch []*job) error {
	tx, err := s.place.write()
	if err != nil {
		return s.place.explain(err)
	}
	defer tx.Rollback()
	for _, j := range batch {
		var ended bool
		if ended, j.err = s.inSavepoint(tx, j.f); ended {
			return j.err
		}
	}
	return s.place.explain(tx.Commit())
}

// inSavepoint calls f, and takes back what it wrote if it returns an error. It reports
// whether the database has ended the transaction by itself.
func (s *Store) inSavepoint(tx *sql.Tx, f func(tx *sql.Tx) error) (ended bool, err error) {
	if _, err := tx.Exec("SAVEPOINT one"); err != nil {
		return true, s.place.explain(err)
	}
	err = f(tx)
	end := "RELEASE one"
	if err != nil {
		end = "ROLLBACK TO one; RELEASE one"
	}
	_, endErr := tx.Exec(end)
	return endErr != nil, s.place.explain(cmp.Or(err, endErr)) // of both, the first says why
}
