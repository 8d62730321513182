package history

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"time"
)

// Version tells one content of the history from another: as long as it is the same,
// nothing was committed, by whichever process. The zero Version is that of no history.
type Version struct {
	// opened counts the files that were opened, and committed is what the database
	// counts.
	opened, committed int64
}

// Version returns the version of what is in the history now. It costs far less than to
// read anything.
func (s *Store) Version() (Version, error) {
	if s.place == nil {
		return Version{}, nil
	}
	v, err := s.place.version()
	if errors.Is(err, errNone) {
		return Version{}, nil
	}
	return v, s.failed("looking for what is new", err)
}

// Position is a place in the chain: the newest entry at a time.
type Position struct {
	Seq  int64
	Hash string
}

// EachStateSince calls f with what EachLastState does, but only for the orgs that an entry
// after p is about, and returns the position as of now. all reports that it was every org,
// as p isn't in the chain, such as the zero Position.
func (s *Store) EachStateSince(p Position, f func(*OrgState) error) (now Position, all bool, err error) {
	all = true
	err = s.read("reading the states of orgs", func(tx *sql.Tx) error {
		last, err := lastLink(tx)
		if err != nil {
			return err
		}
		now = Position{last.seq, last.head()}
		if all, err = p.lost(tx); err != nil {
			return err
		}
		query := `SELECT org FROM entries WHERE type = 'state' UNION SELECT org FROM kept WHERE type = 'state' ORDER BY 1`
		var args []any
		if !all {
			query, args = `SELECT DISTINCT org FROM entries WHERE seq > ? AND type IN ('state', 'change', 'drift', 'drift-ended', 'cause')`, []any{p.Seq}
		}
		return eachState(tx, f, query, args...)
	})
	return now, all, err
}

// lost reports whether the chain doesn't have a position, or not any more.
func (p *Position) lost(tx *sql.Tx) (bool, error) {
	if p.Seq == 0 {
		return true, nil
	}
	var hash []byte
	err := tx.QueryRow(`SELECT hash FROM entries WHERE seq = ?`, p.Seq).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return hex.EncodeToString(hash) != p.Hash, err
}

// eachState calls f with the newest state of each org that a query returns.
func eachState(tx *sql.Tx, f func(*OrgState) error, query string, args ...any) error {
	orgs, err := texts(tx, query, args...)
	if err != nil {
		return err
	}
	r, err := newStateReader(tx)
	if err != nil {
		return err
	}
	defer r.close()
	for _, org := range orgs {
		o, err := r.at(org, time.Time{})
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		if err := f(o); err != nil {
			return err
		}
	}
	return nil
}
