package source

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"reconciler/internal/git/gitrepo"
	"reconciler/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRepo makes a repository with one commit of the files on main.
func newRepo(t *testing.T, files map[string]string) (*gitrepo.Repo, string) {
	t.Helper()
	r, err := gitrepo.Init(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return r, commit(t, r, files)
}

func commit(t *testing.T, r *gitrepo.Repo, files map[string]string) string {
	t.Helper()
	h, err := r.Commit("a change\n\nwith a reason\n", files)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// settings are what users call the options.
var settings = Names{
	URL: "git.url", Path: "git.path",
	Username: "git.auth.username", Password: "git.auth.passwordFile", CAFile: "git.auth.caFile",
	SSHKeyFile: "git.auth.sshKeyFile", SSHPassphrase: "git.auth.sshPassphraseFile", KnownHostsFile: "git.auth.knownHostsFile",
}

// newGit returns a Git that doesn't pause between tries.
func newGit(t *testing.T, opts GitOptions) *Git {
	t.Helper()
	opts.Names = settings
	g, err := NewGit(opts)
	if err != nil {
		t.Fatal(err)
	}
	g.pauses = func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }
	return g
}

func fetch(t *testing.T, g *Git) *Snapshot {
	t.Helper()
	snap, err := g.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// wantError fails the test unless err is of the kind and its text and hint hold
// the words, in one line each.
func wantError(t *testing.T, err error, kind error, words ...string) {
	t.Helper()
	var f *failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v (%T), want a failure in words of ours", err, err)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("got kinds %v, want %v: %v", f.kinds, kind, err)
	}
	all := err.Error() + "\n" + text.Hint(err)
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("got error %q with hint %q, want %q in it", err, text.Hint(err), w)
		}
	}
	if strings.Count(all, "\n") != 1 {
		t.Errorf("got more than one line: %q", all)
	}
}

// needGit skips the test where there is no git program.
func needGit(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git program")
	}
	return path
}

// git runs git in dir, without the user's or the machine's configuration.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(needGit(t), args...)
	cmd.Dir = dir
	cmd.Env = gitEnv(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func gitEnv(t *testing.T) []string {
	return []string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
	}
}

// storage opens the objects of a repository with a work tree.
func storage(dir string) *filesystem.Storage {
	return filesystem.NewStorage(osfs.New(filepath.Join(dir, ".git")), cache.NewObjectLRUDefault())
}

// serveUploadPack is git-upload-pack by go-git: one that knows neither shallow
// fetches nor any other extension.
func serveUploadPack(dir string, in io.Reader, list, pack io.Writer) error {
	ep, err := transport.NewEndpoint(dir)
	if err != nil {
		return err
	}
	sto := storage(dir)
	if _, err := os.Stat(sto.Filesystem().Root()); err != nil {
		return transport.ErrRepositoryNotFound
	}
	s, err := server.NewServer(server.MapLoader{ep.String(): sto}).NewUploadPackSession(ep, nil)
	if err != nil {
		return err
	}
	if list != nil {
		adv, err := s.AdvertisedReferences()
		if err != nil {
			return err
		}
		if err := adv.Encode(list); err != nil {
			return err
		}
	}
	if pack == nil {
		return nil
	}
	req := packp.NewUploadPackRequest()
	if err := req.Decode(in); err != nil {
		return err
	}
	resp, err := s.UploadPack(context.Background(), req)
	if err != nil {
		return err
	}
	return resp.Encode(pack)
}

// webServer is a git server over HTTP that counts what it is asked.
type webServer struct {
	*httptest.Server
	lists, packs atomic.Int32
	mu           sync.Mutex
	auths        []string // Authorization of each request
	// before may answer in place of the server, by giving true.
	before func(w http.ResponseWriter, r *http.Request) bool
}

// serveWeb serves the repository, by git itself or by go-git.
func serveWeb(t *testing.T, dir string, byGit bool) *webServer {
	t.Helper()
	s := &webServer{}
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pureHTTP(w, r, dir) })
	if byGit {
		h := &cgi.Handler{
			Path:   needGit(t),
			Args:   []string{"http-backend"},
			Env:    append(gitEnv(t), "GIT_PROJECT_ROOT="+filepath.Join(dir, ".git"), "GIT_HTTP_EXPORT_ALL=1"),
			Stderr: io.Discard,
		}
		answer = h.ServeHTTP
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.auths = append(s.auths, r.Header.Get("Authorization"))
		s.mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/info/refs"):
			s.lists.Add(1)
		case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
			s.packs.Add(1)
		}
		if s.before != nil && s.before(w, r) {
			return
		}
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/repo.git")
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *webServer) url() string { return s.URL + "/repo.git" }

// basicAuth makes the server ask for the user and password.
func (s *webServer) basicAuth(user, password string) {
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		u, p, _ := r.BasicAuth()
		if u == user && p == password {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, "Sorry.\nNo entry for %q with %q (%s).", u, p, r.Header.Get("Authorization"))
		return true
	}
}

func pureHTTP(w http.ResponseWriter, r *http.Request, dir string) {
	var out bytes.Buffer
	var err error
	if r.URL.Path == "/info/refs" {
		out.WriteString("001e# service=git-upload-pack\n0000")
		err = serveUploadPack(dir, nil, &out, nil)
	} else {
		err = serveUploadPack(dir, r.Body, nil, &out)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_, _ = w.Write(out.Bytes())
}

// sshServer is a git server over SSH.
type sshServer struct {
	addr    string
	host    ssh.Signer
	keyFile string // of a client that it lets in
	lists   atomic.Int32
	packs   atomic.Int32
	// password is accepted, if it is set.
	password string
	// answer, if it is set, takes the place of git-upload-pack.
	answer func(ssh.Channel)
	wg     sync.WaitGroup
}

// serveSSH serves the repository; more are host keys besides its own, which
// one of the same kind replaces.
func serveSSH(t *testing.T, dir string, byGit bool, more ...ssh.Signer) *sshServer {
	t.Helper()
	if byGit {
		needGit(t)
	}
	s := &sshServer{}
	s.host, _ = newKey(t)
	client, file := newKey(t)
	s.keyFile = file
	cfg := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), client.PublicKey().Marshal()) {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
		PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			if s.password == "" || string(p) != s.password {
				return nil, errors.New("wrong password")
			}
			return nil, nil
		},
	}
	for _, host := range append([]ssh.Signer{s.host}, more...) {
		cfg.AddHostKey(host)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(conn, cfg, dir, byGit) })
		}
	})
	t.Cleanup(func() { l.Close(); s.wg.Wait() })
	return s
}

func (s *sshServer) serve(conn net.Conn, cfg *ssh.ServerConfig, dir string, byGit bool) {
	defer conn.Close()
	_, chans, reqs, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		return
	}
	s.wg.Go(func() { ssh.DiscardRequests(reqs) })
	for c := range chans {
		ch, reqs, err := c.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() {
			defer ch.Close()
			for r := range reqs {
				_ = r.Reply(r.Type == "exec", nil)
				if r.Type == "exec" {
					s.exec(ch, string(r.Payload[4:]), dir, byGit)
					return
				}
			}
		})
	}
}

func (s *sshServer) exec(ch ssh.Channel, command, dir string, byGit bool) {
	s.lists.Add(1)
	status := []byte{0, 0, 0, 0}
	defer func() { _, _ = ch.SendRequest("exit-status", false, status) }()
	if s.answer != nil {
		s.answer(ch)
		return
	}
	if command != "git-upload-pack '/repo.git'" {
		fmt.Fprintf(ch.Stderr(), "ERROR: Repository not found.\n%s\n", command)
		status[3] = 128
		return
	}
	in := io.TeeReader(ch, watcher{"want ", &s.packs})
	if !byGit {
		if err := serveUploadPack(dir, in, ch, ch); err != nil {
			fmt.Fprintln(ch.Stderr(), err)
			status[3] = 1
		}
		return
	}
	cmd := exec.Command("git", "upload-pack", dir)
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		// Not waited for by cmd: git may end without reading any of it.
		s.wg.Go(func() { _, _ = io.Copy(stdin, in); stdin.Close() })
		err = cmd.Wait()
	}
	if err != nil {
		status[3] = 1
	}
}

// watcher counts the writes that hold a word.
type watcher struct {
	word  string
	count *atomic.Int32
}

func (w watcher) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.word)) {
		w.count.Add(1)
	}
	return len(p), nil
}

func (s *sshServer) url() string { return "ssh://git@" + s.addr + "/repo.git" }

func (s *sshServer) auth(t *testing.T) Auth {
	return Auth{SSHKeyFile: s.keyFile, KnownHostsFile: knownHosts(t, s.addr, s.host.PublicKey())}
}

func knownHosts(t *testing.T, addr string, key ssh.PublicKey) string {
	return tempFile(t, knownhosts.Line([]string{knownhosts.Normalize(addr)}, key)+"\n")
}

func tempFile(t *testing.T, content string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(f, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, tempFile(t, string(pem.EncodeToMemory(block)))
}

// logTo returns a logger, and what it has written.
func logTo() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})), &b
}
