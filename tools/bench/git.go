package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"reconciler/internal/git/source"
)

// The repositories: a large one, and an old one, each commit of which changes one
// manifest.
const (
	manyFiles  = 10_000
	oldFiles   = 1_000
	oldCommits = 5 * 52 * 5 * 15 // five years of working days with 15 commits each
)

// gitFetch compares our fetches with git's: of the same repositories, by git's
// server, over http on this machine.
func gitFetch(dir string, runs int) error {
	if _, err := exec.LookPath("git"); err != nil {
		fmt.Println("\nFetching: skipped, because git is not installed")
		return nil
	}
	version, err := exec.Command("git", "version").Output()
	if err != nil {
		return err
	}
	for _, r := range []struct {
		name           string
		files, commits int
	}{
		{"many", manyFiles, 1},
		{"old", oldFiles, oldCommits},
	} {
		repo := filepath.Join(dir, r.name+".git")
		if err := makeRepository(repo, r.files, r.commits); err != nil {
			return err
		}
		fmt.Printf("\nFetching %d manifests, %d commits, over http (median of %d runs, %s)\n",
			r.files, r.commits, runs, strings.TrimSpace(string(version)))
		if err := compareFetches(dir, r.name+".git", r.files, runs); err != nil {
			return err
		}
	}
	return nil
}

// compareFetches prints the costs of a first fetch, and of one without new commits,
// for git and for us.
func compareFetches(dir, repo string, files, runs int) error {
	srv, err := serveGit(dir)
	if err != nil {
		return err
	}
	defer srv.close()
	url := srv.url + "/" + repo
	self, err := os.Executable()
	if err != nil {
		return err
	}
	clone := filepath.Join(dir, "clone")
	fresh := func() error { return os.RemoveAll(clone) }
	g, err := source.NewGit(source.GitOptions{URL: url})
	if err != nil {
		return err
	}
	if _, err := g.Fetch(context.Background()); err != nil {
		return err
	}
	none := func() error { return nil }
	steps := []struct {
		name, what string
		before, do func() error
	}{
		{"git clone", "--depth 1, with files", fresh, func() error { return git(dir, "clone", "-q", "--depth", "1", url, clone) }},
		{"git clone", "--depth 1 --bare, without files", fresh, func() error { return git(dir, "clone", "-q", "--depth", "1", "--bare", url, clone) }},
		{"reconciler", "first fetch, in a process of its own", none, func() error {
			return run(exec.Command(self, "-fetch", url, "-files", fmt.Sprint(files)))
		}},
		{"git ls-remote", "of the branch", none, func() error { return git(dir, "ls-remote", "-q", url, "refs/heads/main") }},
		{"reconciler", "the branch has not moved", none, func() error { _, err := g.Fetch(context.Background()); return err }},
		{"git clone", "--bare, with all history", fresh, func() error { return git(dir, "clone", "-q", "--bare", url, clone) }},
	}
	var costs []cost
	for _, s := range steps {
		c, err := measure(srv, runs, s.before, s.do)
		if err != nil {
			return fmt.Errorf("%s %s: %w", s.name, s.what, err)
		}
		costs = append(costs, c)
		fmt.Printf("  %-13s %8.3f s %9.1f KB   %s\n", s.name, c.took.Seconds(), float64(c.bytes)/1000, s.what)
	}
	for _, r := range []struct {
		what   string
		ours   int
		theirs int
	}{{"first fetch, of --depth 1", 2, 0}, {"first fetch, of --depth 1 --bare", 2, 1}, {"not moved, of ls-remote", 4, 3}} {
		fmt.Printf("  ratio         %8.3f   %9.3f      %s\n", costs[r.ours].time(costs[r.theirs]), costs[r.ours].size(costs[r.theirs]), r.what)
	}
	return nil
}

// cost is a time, and the bytes sent in both directions.
type cost struct {
	took  time.Duration
	bytes int64
}

func (c cost) time(of cost) float64 { return c.took.Seconds() / of.took.Seconds() }
func (c cost) size(of cost) float64 { return float64(c.bytes) / float64(of.bytes) }

// measure returns the median costs of several runs of do, each after before.
func measure(srv *gitServer, runs int, before, do func() error) (cost, error) {
	var times []time.Duration
	var sizes []int64
	for range runs {
		if err := before(); err != nil {
			return cost{}, err
		}
		srv.bytes.Store(0)
		start := time.Now()
		if err := do(); err != nil {
			return cost{}, err
		}
		times = append(times, time.Since(start))
		sizes = append(sizes, srv.bytes.Load())
	}
	return cost{median(times), median(sizes)}, nil
}

// fetchOnce does a first fetch. It is an error if there are not so many manifests.
func fetchOnce(url string, files int) error {
	g, err := source.NewGit(source.GitOptions{URL: url})
	if err != nil {
		return err
	}
	snap, err := g.Fetch(context.Background())
	if err != nil {
		return err
	}
	found := 0
	err = fs.WalkDir(snap.FS, snap.Root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found++
		}
		return err
	})
	if err == nil && found != files {
		err = fmt.Errorf("%d manifests instead of %d", found, files)
	}
	return err
}

// makeRepository creates a bare, packed repository. The first commit has all
// manifests; each later one changes one of them.
func makeRepository(repo string, files, commits int) error {
	if err := git(".", "init", "-q", "--bare", "-b", "main", repo); err != nil {
		return err
	}
	cmd := gitCommand(repo, "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w := bufio.NewWriter(in)
	for n := range commits {
		message := fmt.Sprintf("change %d", n)
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter Ada Admin <ada@example.com> %d +0000\ndata %d\n%s\n", 1_600_000_000+n*7200, len(message), message)
		if n > 0 {
			writeManifest(w, n*7%files, n)
			continue
		}
		for i := range files {
			writeManifest(w, i, 0)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := in.Close(); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("git fast-import: %w", err)
	}
	return git(repo, "gc", "-q")
}

// writeManifest adds one org's manifest to a commit. Each folder has a hundred.
func writeManifest(w io.Writer, i, revision int) {
	ids := products()
	ids = ids[:1+(i+revision)%len(ids)]
	text := fmt.Sprintf("version: 1\norgs:\n  # revision %d\n  - domain: %s\n    cell: ok1\n    status: ACTIVE\n    products: [%s]\n",
		revision, domain(i), strings.Join(ids, ", "))
	fmt.Fprintf(w, "M 100644 inline orgs/%03d/%s.yaml\ndata %d\n%s\n", i/100, domain(i), len(text), text)
}

func git(dir string, args ...string) error { return run(gitCommand(dir, args...)) }

// gitCommand returns a git command without the settings of user and machine.
func gitCommand(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), gitSettings()...)
	return cmd
}

func gitSettings() []string {
	return []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// gitServer serves repositories, and counts the bytes.
type gitServer struct {
	url   string
	bytes atomic.Int64
	http  http.Server
	done  chan struct{}
}

func serveGit(dir string) (*gitServer, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &gitServer{url: "http://" + l.Addr().String(), done: make(chan struct{})}
	s.http.Handler = &cgi.Handler{
		Path: program,
		Args: []string{"http-backend"},
		Env:  append(gitSettings(), "GIT_PROJECT_ROOT="+dir, "GIT_HTTP_EXPORT_ALL=1"),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(&countingListener{l, &s.bytes}) // ends by close
	}()
	return s, nil
}

func (s *gitServer) close() {
	_ = s.http.Close()
	<-s.done
}

// countingListener counts the bytes of all its connections.
type countingListener struct {
	net.Listener
	bytes *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{c, l.bytes}, nil
}

type countingConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}
