// Package statetest looks for secrets in what is written to state folders.
package statetest

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/store/sqlitefile"
)

// NoneIn fails the test if one of the strings is in a file below dir: as it is, in a
// value of a database, also a compressed one, or in a file of a tar file. It also fails
// if there is no file, with which it would prove nothing.
func NoneIn(t testing.TB, dir string, secrets ...string) {
	t.Helper()
	found, files, err := Find(dir, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Errorf("there are no files in %s", dir)
	}
	for _, where := range found {
		t.Error(where)
	}
}

// Find returns where the strings are below dir, and how many files there are.
func Find(dir string, secrets ...string) (found []string, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil // gone meanwhile, or a folder
		}
		if err != nil {
			return err
		}
		files++
		s := &search{where: path, secrets: secrets}
		if err := s.file(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", path, err)
		}
		found = append(found, s.found...)
		return nil
	})
	return found, files, err
}

// search looks for secrets in one file.
type search struct {
	where   string
	secrets []string
	found   []string
}

func (s *search) in(what string, data []byte) {
	for _, secret := range s.secrets {
		if secret != "" && bytes.Contains(data, []byte(secret)) {
			s.found = append(s.found, fmt.Sprintf("%s: %s holds %q", s.where, what, secret))
		}
	}
}

func (s *search) file(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.in("the file", data)
	switch {
	case bytes.HasPrefix(data, []byte("SQLite format 3\x00")):
		return s.database(data, path)
	case strings.HasSuffix(path, ".tar"):
		return s.tar(data)
	}
	return nil
}

// database looks into the values, which may be split over pages of the file. It reads a
// copy, so that it is in nobody's way.
func (s *search) database(data []byte, path string) error {
	dir, err := os.MkdirTemp("", "statetest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy.db")
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		return err
	}
	if log, err := os.ReadFile(path + "-wal"); err == nil {
		if err := os.WriteFile(copied+"-wal", log, 0o600); err != nil {
			return err
		}
	}
	db, err := (&sqlitefile.Kind{Connections: 2}).Connect(copied)
	if err != nil {
		return err
	}
	defer db.Close()
	tables, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'table'`)
	if err != nil {
		return err
	}
	defer tables.Close()
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			return err
		}
		if err := s.table(db, name); err != nil {
			return err
		}
	}
	return tables.Err()
}

func (s *search) table(db sqlitefile.Querier, name string) error {
	rows, err := db.Query(`SELECT * FROM "` + name + `"`)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values := make([][]byte, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, value := range values {
			what := name + "." + columns[i]
			s.in(what, value)
			if plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(value))); err == nil {
				s.in(what+", uncompressed,", plain)
			}
		}
	}
	return rows.Err()
}

func (s *search) tar(data []byte) error {
	dir, err := os.MkdirTemp("", "statetest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for t := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		part, err := io.ReadAll(t)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.Base(header.Name))
		if err := os.WriteFile(path, part, 0o600); err != nil {
			return err
		}
		if err := s.file(path); err != nil {
			return err
		}
	}
}
