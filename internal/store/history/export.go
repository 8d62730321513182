package history

import (
	"bufio"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"reconciler/internal/store/postgres"
	"reconciler/internal/store/sqlitefile"
)

// exportPage is how many entries Export reads at once. Between pages it holds nothing,
// so that a slow reader of an export is in nobody's way.
const exportPage = 500

// Export writes all entries, oldest first, as JSON lines. Each line without its "hash" is
// what the entry's digest is taken of.
func (s *Store) Export(w io.Writer) error {
	b := bufio.NewWriter(w)
	next := int64(0)
	for {
		lines, first, err := s.page(next)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			return b.Flush()
		}
		if next > 0 && first != next {
			return s.failed("exporting", errors.New("entries were pruned while they were exported: begin again"))
		}
		for _, line := range lines {
			if _, err := b.Write(append(line, '\n')); err != nil {
				return fmt.Errorf("exporting the history: %w", err)
			}
		}
		next = first + int64(len(lines))
	}
}

// page returns the lines of entries from a seq on, and the seq of the first.
func (s *Store) page(from int64) (lines [][]byte, first int64, err error) {
	err = s.read("exporting", func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT seq, content, hash FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?`, from, exportPage)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var seq int64
			var content, hash []byte
			if err := rows.Scan(&seq, &content, &hash); err != nil {
				return err
			}
			if len(lines) == 0 {
				first = seq
			}
			lines = append(lines, withHash(content, hex.EncodeToString(hash)))
		}
		return rows.Err()
	})
	return lines, first, err
}

// Backup writes a copy of the history, as it is at one moment, to a new file, while others
// use it. Where there is no history, it writes none.
func (s *Store) Backup(file string) error {
	if s.place == nil {
		return nil
	}
	err := s.place.backup(file)
	if errors.Is(err, errNone) {
		return nil
	}
	return s.failed("copying", err)
}

// Check opens the history, and checks the structure of what it is kept in. A history that
// doesn't exist yet is fine.
func (s *Store) Check() error {
	if s.place == nil {
		return nil
	}
	err := s.place.check()
	if errors.Is(err, errNone) {
		return nil
	}
	return s.failed("checking", err)
}

// Newer returns an error if a newer version of the program has used the history, so that
// this one can add nothing to it. It is nil otherwise, whatever else is wrong.
func (s *Store) Newer() error {
	err := s.read("opening", func(*sql.Tx) error { return nil })
	if errors.Is(err, sqlitefile.ErrNewer) || errors.Is(err, postgres.ErrNewer) {
		return err
	}
	return nil
}
