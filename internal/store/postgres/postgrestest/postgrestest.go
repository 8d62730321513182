// Package postgrestest starts PostgreSQL for tests, from the programs that Debian's
// package postgresql installs. There is one server for each test binary, which ends with
// it, and each test has a schema of its own.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
)

// Required is the environment variable that makes a missing PostgreSQL a failure.
const Required = "POSTGRESTEST_REQUIRED"

// File is a file with a URL.
type File string

// Read returns what is in the file.
func (f File) Read(context.Context) ([]byte, error) { return os.ReadFile(string(f)) }

// String returns its name.
func (f File) String() string { return strconv.Quote(string(f)) }

// New returns a database without tables, or skips the test where PostgreSQL isn't
// installed.
func New(t testing.TB) location.Location {
	t.Helper()
	return location.Postgres(NewFile(t))
}

// NewFile returns the file with the URL of a database without tables, or skips the test
// where PostgreSQL isn't installed.
func NewFile(t testing.TB) File {
	t.Helper()
	return shared(t).File(t)
}

// shared is the server of this process.
func shared(t testing.TB) *Server {
	t.Helper()
	once.Do(func() { server, failed = start() })
	check(t, failed)
	return server
}

var (
	once    sync.Once
	server  *Server
	failed  error
	schemas atomic.Int64
)

// check fails or skips a test because of what start returned.
func check(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, errMissing) && os.Getenv(Required) == "":
		t.Skip("PostgreSQL is not installed: apt-get install postgresql")
	case err != nil:
		t.Fatal(err)
	}
}

// Start starts a server for one test, which may stop it, or skips the test where
// PostgreSQL isn't installed.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	check(t, err)
	t.Cleanup(s.Remove)
	return s
}

// errMissing is the error where PostgreSQL isn't installed.
var errMissing = errors.New("PostgreSQL is not installed")

// Server is a PostgreSQL server on a Unix socket.
type Server struct {
	// Socket is the socket that it listens on.
	Socket string

	bin, dir string
	as       []string // begins commands of the server's user
	cmd      *exec.Cmd
	stop     func() error
}

// start makes a cluster and starts its server.
func start() (_ *Server, err error) {
	s := &Server{}
	if s.bin, err = programs(); err != nil {
		return nil, err
	}
	// The path of a socket is short.
	if s.dir, err = os.MkdirTemp("/tmp", "pgtest"); err != nil {
		return nil, err
	}
	s.Socket = filepath.Join(s.dir, ".s.PGSQL.5432")
	defer func() {
		if err != nil {
			os.RemoveAll(s.dir)
		}
	}()
	if os.Geteuid() == 0 { // which the server refuses to run as
		if err := s.unprivileged(); err != nil {
			return nil, err
		}
	}
	initdb := s.command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s, s.Start()
}

// programs returns the folder of the programs.
func programs() (string, error) {
	if all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(all) > 0 {
		return filepath.Dir(slices.Max(all)), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errMissing
}

// unprivileged makes the server run as a user who isn't root.
func (s *Server) unprivileged() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	s.as = []string{"setpriv", "--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups"}
	return errors.Join(os.Chown(s.dir, uid, gid), os.Chmod(s.dir, 0o755))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command returns a command of the server's user.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	argv := append(append(slices.Clone(s.as), name), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	return cmd
}

// Start starts the server, and returns once it answers. It ends when this process does,
// however that ends: the shell reads from a pipe of it.
func (s *Server) Start() error {
	const script = `"$@" </dev/null >log 2>&1 & trap '' INT TERM HUP; read _; kill -INT $!; wait $!; [ -e keep ] || { d=$PWD; cd /; rm -rf "$d"; }`
	s.cmd = s.command("sh", "-c", script, "sh", filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=16MB")
	if err := os.Remove(filepath.Join(s.dir, "keep")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.stop = in.Close
	url := File(filepath.Join(s.dir, "url"))
	if err := os.WriteFile(string(url), []byte(s.URL("")), 0o600); err != nil {
		return err
	}
	db := postgres.Open(url, 1)
	defer db.Close()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := db.Ping()
		if err == nil {
			return nil
		}
		if time.Since(began) > 30*time.Second {
			said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("PostgreSQL doesn't start: %w\n%s", err, bytes.TrimSpace(said))
		}
	}
}

// Stop stops the server; [Server.Start] starts it again with what it had.
func (s *Server) Stop() error {
	if err := os.WriteFile(filepath.Join(s.dir, "keep"), nil, 0o644); err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// Remove stops the server and removes its files.
func (s *Server) Remove() {
	_ = s.stop()
	_ = s.cmd.Wait()
	os.RemoveAll(s.dir)
}

// URL returns the URL of the database, with a schema.
func (s *Server) URL(schema string) string {
	url := "postgres://postgres@/postgres?host=" + s.dir
	if schema != "" {
		url += "&search_path=" + schema
	}
	return url
}

// File returns the file with the URL of a schema without tables.
func (s *Server) File(t testing.TB) File {
	t.Helper()
	schema := fmt.Sprintf("test%d", schemas.Add(1))
	path := filepath.Join(t.TempDir(), "postgres-url")
	write := func(schema string) {
		if err := os.WriteFile(path, []byte(s.URL(schema)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	db := postgres.Open(File(path), 1)
	defer db.Close()
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	write(schema)
	return File(path)
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return strings.TrimSpace(string(said))
}
