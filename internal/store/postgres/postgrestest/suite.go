package postgrestest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"reconciler/internal/store/location"
)

// suite is the environment variable that is set where the tests of a binary run for the
// second time, on PostgreSQL.
const suite = "POSTGRESTEST_SUITE"

// inSuite reports whether this is the second time.
func inSuite() bool { return os.Getenv(suite) != "" }

// Suite runs all tests of this binary a second time, with [Place] in PostgreSQL, so that
// stores have one suite for both. The test that calls it is left out then. To run one of
// them alone:
//
//	POSTGRESTEST_SUITE=1 go test -run NAME ./internal/store/journal
func Suite(t *testing.T) {
	t.Helper()
	if inSuite() {
		t.Skip("this is the second time")
	}
	_, err := programs()
	check(t, err)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.count=1"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), suite+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("on PostgreSQL: %v\n%s", err, out)
	}
}

// Place returns a place for a store: a folder that doesn't exist yet, and in a Suite a
// database without tables.
func Place(t testing.TB) location.Location {
	t.Helper()
	if inSuite() {
		return New(t)
	}
	return location.Folder(filepath.Join(t.TempDir(), "state"))
}

// Argument returns a place as an argument for a process of the same binary, which gets it
// back by [FromArgument].
func Argument(at location.Location) string {
	if file, ok := at.Postgres().(File); ok {
		return string(file)
	}
	return at.Dir()
}

// FromArgument returns the place that [Argument] was called with.
func FromArgument(s string) location.Location {
	if inSuite() {
		return location.Postgres(File(s))
	}
	return location.Folder(s)
}

// OnlyFolder skips a test in a Suite that is about what only a folder has.
func OnlyFolder(t testing.TB) {
	t.Helper()
	if inSuite() {
		t.Skip("only a folder has that")
	}
}

// OnlyDatabase skips a test outside of a Suite that is about what only a database has.
func OnlyDatabase(t testing.TB) {
	t.Helper()
	if !inSuite() {
		t.Skip("only a database has that")
	}
}
