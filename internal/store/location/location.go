// Package location names the place where a state is kept: a folder, or a PostgreSQL
// database. It opens neither.
package location

import (
	"context"
	"fmt"
)

// URL is the URL of a database, which is a secret. Read returns it as it is now, and
// String names where it is, without any of it.
type URL interface {
	Read(context.Context) ([]byte, error)
	String() string
}

// Location is a folder or a PostgreSQL database. The zero value is neither: nothing is
// kept.
type Location struct {
	dir      string
	database URL
}

// Folder returns the location of a folder; none if dir is empty.
func Folder(dir string) Location { return Location{dir: dir} }

// Postgres returns the location of a PostgreSQL database.
func Postgres(url URL) Location { return Location{database: url} }

// IsZero reports whether nothing is kept.
func (l Location) IsZero() bool { return l.dir == "" && l.database == nil }

// Dir returns the folder; empty if it is a database or nothing.
func (l Location) Dir() string { return l.dir }

// Postgres returns the URL of the database; nil if it is a folder or nothing.
func (l Location) Postgres() URL { return l.database }

// String names the location for people. It contains no secret.
func (l Location) String() string {
	switch {
	case l.database != nil:
		return fmt.Sprintf("PostgreSQL (%s)", l.database)
	case l.dir != "":
		return fmt.Sprintf("%q", l.dir)
	}
	return "nowhere"
}
