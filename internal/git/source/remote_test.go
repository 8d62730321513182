package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"reconciler/internal/text"
)

func containsAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func password(p string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return p, nil }
}

// An awkward password: it looks different in a URL.
const secret = "s3cret/+ %&"

func secretSpellings(user string) []string {
	return []string{secret, "s3cret", url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))}
}

func TestHTTPAuth(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	for _, tt := range []struct {
		name  string
		auth  Auth
		words []string // of the error; nil when it succeeds
	}{
		{"good", Auth{Username: "me", Password: password(secret)}, nil},
		{"none", Auth{}, []string{"the server answered 401 Unauthorized", "git.auth.username"}},
		{"other password", Auth{Username: "me", Password: password("s3cret-other")}, []string{"the server answered 401 Unauthorized", "expired"}},
		{"other user", Auth{Password: password(secret)}, []string{"answered 401 Unauthorized"}},
		{"empty password", Auth{Password: password("")}, []string{"the password is empty", "git.auth.passwordFile"}},
		{"no password to be had", Auth{Password: func(context.Context) (string, error) {
			return "", errors.New("reading \"f\":\nno such file")
		}}, []string{`.git": getting the password: reading "f": no such file`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWeb(t, r.Dir(), false)
			s.basicAuth("me", secret)
			logger, logged := logTo()
			g := newGit(t, GitOptions{URL: s.url(), Auth: tt.auth, Logger: logger})
			snap, err := g.Fetch(t.Context())
			if tt.words == nil {
				if err != nil {
					t.Fatal(err)
				}
				wantContents(t, snap, want)
				return
			}
			wantError(t, err, ErrDenied, tt.words...)
			all := err.Error() + text.Hint(err) + logged.String()
			if containsAny(all, secretSpellings("me")...) || containsAny(all, "s3cret-other") {
				t.Errorf("a secret got out: %s", all)
			}
			if n := s.lists.Load(); n > 1 {
				t.Errorf("asked %d times though asking again can't help", n)
			}
		})
	}
}

// A password that was replaced is used.
func TestHTTPAuthRotates(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	s := serveWeb(t, r.Dir(), false)
	s.basicAuth("git", "old")
	now := "old"
	g := newGit(t, GitOptions{URL: s.url(), Auth: Auth{Password: func(context.Context) (string, error) { return now, nil }}})
	fetch(t, g)
	s.basicAuth("git", "new")
	_, err := g.Fetch(t.Context())
	wantError(t, err, ErrDenied)
	now = "new"
	fetch(t, g)
}

func TestHTTPForbiddenAndMissing(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	for _, tt := range []struct {
		status int
		body   string
		kind   error
		tries  int32
		words  []string
	}{
		{403, "Resource not accessible by integration", ErrDenied, 1, []string{"the server answered 403 Forbidden: Resource not accessible by integration", "git.auth.username"}},
		{403, "<html>No!</html>", ErrDenied, 1, []string{"the server answered 403 Forbidden"}},
		{404, "nothing", ErrNotFound, 1, []string{"the server answered 404 Not Found", "git.auth.username"}},
		{410, "", ErrNotFound, 1, []string{"the answer is not git's: 410 Gone"}},
		{429, "", ErrUnreachable, maxTries, []string{"the server answered 429 Too Many Requests", "less often"}},
		{500, strings.Repeat("x", 1<<20), ErrUnreachable, maxTries, []string{"the server answered 500 Internal Server Error"}},
		{503, "", ErrUnreachable, maxTries, []string{"the server answered 503 Service Unavailable"}},
		{200, "<html>Please sign in</html>", ErrNotFound, 1, []string{"the answer is not git's", "a web page", "URL of a git repository", "git.auth.passwordFile"}},
		{200, "", ErrNotFound, 1, []string{"the answer is not git's: it is empty", "URL of a git repository"}},
		{200, "001e# service=git-upload-pack\n0000000eERR oh no!", ErrUnreachable, 1, []string{`the server says "oh no!"`}},
		{200, "001e# service=git-upload-pack\n0000001aERR access: not found!", ErrNotFound, 1, []string{`there is no such repository: the server says "access: not found!"`}},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.body[:min(10, len(tt.body))]), func(t *testing.T) {
			s := serveWeb(t, r.Dir(), false)
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
				return true
			}
			_, err := newGit(t, GitOptions{URL: s.url()}).Fetch(t.Context())
			wantError(t, err, tt.kind, tt.words...)
			if n := s.lists.Load(); n != tt.tries {
				t.Errorf("asked %d times, want %d", n, tt.tries)
			}
		})
	}
}

// Troubles of the network are got over within one Fetch.
func TestHTTPTriesAgain(t *testing.T) {
	want := map[string]string{"a.yaml": strings.Repeat("one\n", 1000)}
	r, _ := newRepo(t, want)
	hangUp := func(w http.ResponseWriter) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}
	for _, tt := range []struct {
		name string
		// trouble answers the nth request for the list or the objects.
		trouble func(n int32, packs bool, w http.ResponseWriter) bool
	}{
		{"503 twice", func(n int32, packs bool, w http.ResponseWriter) bool {
			if packs || n > 2 {
				return false
			}
			w.WriteHeader(503)
			return true
		}},
		{"list cut off", func(n int32, packs bool, w http.ResponseWriter) bool {
			if packs || n > 1 {
				return false
			}
			hangUp(w)
			return true
		}},
		{"objects refused", func(n int32, packs bool, w http.ResponseWriter) bool {
			if !packs || n > 1 {
				return false
			}
			w.WriteHeader(502)
			return true
		}},
		{"objects cut off", func(n int32, packs bool, w http.ResponseWriter) bool {
			if !packs || n > 2 {
				return false
			}
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "0008NAK\nPACK\x00\x00\x00\x02\x00\x00\x00\x03")
			return true
		}},
		{"objects cut off before they begin", func(n int32, packs bool, w http.ResponseWriter) bool {
			if !packs || n > 2 {
				return false
			}
			hangUp(w)
			return true
		}},
		{"moved meanwhile", func(n int32, packs bool, w http.ResponseWriter) bool {
			if !packs || n > 2 {
				return false
			}
			_, _ = io.WriteString(w, "0020ERR upload-pack: not our ref")
			return true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWeb(t, r.Dir(), false)
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					return tt.trouble(s.packs.Load(), true, w)
				}
				return tt.trouble(s.lists.Load(), false, w)
			}
			logger, logged := logTo()
			wantContents(t, fetch(t, newGit(t, GitOptions{URL: s.url(), Logger: logger})), want)
			if !strings.Contains(logged.String(), "trying again") {
				t.Errorf("retries were not logged: %s", logged)
			}
		})
	}
}

func TestHTTPNoServer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	_, err := newGit(t, GitOptions{URL: s.URL + "/r"}).Fetch(t.Context())
	wantError(t, err, ErrUnreachable, "no connection: ", "connection refused", "does the server run?")

	_, err = newGit(t, GitOptions{URL: "https://no-such-host.invalid/r"}).Fetch(t.Context())
	wantError(t, err, ErrUnreachable, "lookup no-such-host.invalid", "DNS")
}

func TestHTTPS(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	web := serveWeb(t, r.Dir(), false)
	s := httptest.NewUnstartedServer(web.Config.Handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	web.basicAuth("me", secret)
	auth := Auth{Username: "me", Password: password(secret), CAFile: caFile(t, s)}
	g := newGit(t, GitOptions{URL: s.URL + "/repo.git", Auth: auth})
	wantContents(t, fetch(t, g), want)
}

// caFile writes the certificate of a server, which is its own authority.
func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	return tempFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
}

func TestHTTPSNotTrusted(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, err := newGit(t, GitOptions{URL: s.URL + "/r"}).Fetch(t.Context())
	wantError(t, err, ErrDenied, "no trusted connection: tls", "git.auth.caFile")

	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err = newGit(t, GitOptions{URL: strings.Replace(plain.URL, "http:", "https:", 1) + "/r"}).Fetch(t.Context())
	wantError(t, err, ErrDenied, "no trusted connection: ", "git.url")
}

// Credentials stay with the host that they are for.
func TestHTTPRedirect(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	to := func(target func() string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, target()+strings.TrimPrefix(r.URL.RequestURI(), "/repo.git"), http.StatusTemporaryRedirect)
			return true
		}
	}
	auth := Auth{Username: "me", Password: password(secret)}

	t.Run("open elsewhere", func(t *testing.T) {
		from, other := serveWeb(t, r.Dir(), false), serveWeb(t, r.Dir(), false)
		from.before = to(other.url)
		wantContents(t, fetch(t, newGit(t, GitOptions{URL: from.url(), Auth: auth})), want)
		for _, a := range other.auths {
			if a != "" {
				t.Errorf("credentials went elsewhere: %q", a)
			}
		}
		if from.auths[0] == "" || other.packs.Load() != 1 {
			t.Error("want credentials for the first host, and the objects from the other")
		}
	})
	t.Run("locked elsewhere", func(t *testing.T) {
		from, other := serveWeb(t, r.Dir(), false), serveWeb(t, r.Dir(), false)
		from.before = to(other.url)
		other.basicAuth("me", secret)
		_, err := newGit(t, GitOptions{URL: from.url(), Auth: auth}).Fetch(t.Context())
		wantError(t, err, ErrDenied, "redirected", strings.TrimPrefix(other.URL, "http://"), "credentials don't follow")
	})
	t.Run("objects elsewhere", func(t *testing.T) {
		from, other := serveWeb(t, r.Dir(), false), serveWeb(t, r.Dir(), false)
		from.before = func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPost && to(other.url)(w, r)
		}
		_, err := newGit(t, GitOptions{URL: from.url(), Auth: auth}).Fetch(t.Context())
		wantError(t, err, ErrDenied, "redirect")
		if len(other.auths) > 0 {
			t.Error("the redirect was followed")
		}
	})
	t.Run("in circles", func(t *testing.T) {
		from := serveWeb(t, r.Dir(), false)
		from.before = to(from.url)
		_, err := newGit(t, GitOptions{URL: from.url(), Auth: auth}).Fetch(t.Context())
		wantError(t, err, ErrDenied, "too many redirects")
	})
}

// stalled returns a server that accepts connections and says nothing.
func stalled(t *testing.T) (addr string, reached <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	c := make(chan struct{}, 100)
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c <- struct{}{}
			wg.Go(func() { _, _ = io.Copy(io.Discard, conn); conn.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String(), c
}

func TestFetchEndsInTime(t *testing.T) {
	_, key := newKey(t)
	host, _ := newKey(t)
	for _, scheme := range []string{"http", "ssh"} {
		t.Run(scheme, func(t *testing.T) {
			addr, reached := stalled(t)
			opts := GitOptions{URL: scheme + "://" + addr + "/repo.git"}
			if scheme == "ssh" {
				opts.Auth = Auth{SSHKeyFile: key, KnownHostsFile: knownHosts(t, addr, host.PublicKey())}
			}
			t.Run("cancelled", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				go func() { <-reached; cancel() }()
				_, err := newGit(t, opts).Fetch(ctx)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want the context's error", err)
				}
			})
			t.Run("timeout", func(t *testing.T) {
				opts.Timeout = 50 * time.Millisecond
				_, err := newGit(t, opts).Fetch(t.Context())
				wantError(t, err, ErrUnreachable, "not done within 50ms")
			})
		})
	}
}

func TestSSHTrust(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	s := serveSSH(t, r.Dir(), false)
	other, otherFile := newKey(t)
	good := s.auth(t)
	line := knownhosts.Line([]string{knownhosts.Normalize(s.addr)}, s.host.PublicKey())
	for _, tt := range []struct {
		name  string
		auth  Auth
		words []string
	}{
		{"good", good, nil},
		{"indented key with a byte order mark", Auth{KnownHostsFile: good.KnownHostsFile, SSHKeyFile: tempFile(t,
			"\ufeff  "+strings.ReplaceAll(readFile(t, s.keyFile), "\n", "\n  "))}, nil},
		{"known hosts in UTF-16", Auth{SSHKeyFile: s.keyFile, KnownHostsFile: tempFile(t, "\xff\xfe#\x00")},
			[]string{"the file of known hosts \"", "can't be read: it is UTF-16; save it as UTF-8"}},
		{"hashed host", Auth{SSHKeyFile: s.keyFile, KnownHostsFile: tempFile(t,
			knownhosts.HashHostname(knownhosts.Normalize(s.addr))+line[strings.Index(line, " "):]+"\n")}, nil},
		{"unknown host", Auth{SSHKeyFile: s.keyFile, KnownHostsFile: knownHosts(t, "other.example:22", other.PublicKey())},
			[]string{"is not a known one", "it shows ssh-ed25519 SHA256:", "ssh-keyscan -p "}},
		{"changed host key", Auth{SSHKeyFile: s.keyFile, KnownHostsFile: knownHosts(t, s.addr, other.PublicKey())},
			[]string{"shows another key than the known one: ssh-ed25519 SHA256:", "somebody may be in between", "on line 1 of"}},
		{"revoked host key", Auth{SSHKeyFile: s.keyFile, KnownHostsFile: tempFile(t, "@revoked "+line+"\n")},
			[]string{"the host key of", "is refused (ssh-ed25519 SHA256:", "revoked"}},
		{"no known hosts file", Auth{SSHKeyFile: s.keyFile, KnownHostsFile: "/no/such/file"},
			[]string{"the file of known hosts can't be read: open /no/such/file: no such file", "is the path right"}},
		{"garbage in known hosts", Auth{SSHKeyFile: s.keyFile, KnownHostsFile: tempFile(t, "garbage\n")},
			[]string{"can't be used", "ssh-keyscan"}},
		{"other key", Auth{SSHKeyFile: otherFile, KnownHostsFile: good.KnownHostsFile},
			[]string{"the server refused the key SHA256:", `for user "git"`, "deploy keys"}},
		{"no key", Auth{SSHKeyFile: "/no/such/key", KnownHostsFile: good.KnownHostsFile},
			[]string{"the SSH key can't be read: open /no/such/key: no such file"}},
		{"garbage key", Auth{SSHKeyFile: tempFile(t, "garbage"), KnownHostsFile: good.KnownHostsFile},
			[]string{"can't be read", "not the .pub file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snap, err := newGit(t, GitOptions{URL: s.url(), Auth: tt.auth}).Fetch(t.Context())
			if tt.words == nil {
				if err != nil {
					t.Fatal(err)
				}
				wantContents(t, snap, want)
				return
			}
			wantError(t, err, ErrDenied, tt.words...)
		})
	}
}

func TestSSHPassword(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	s := serveSSH(t, r.Dir(), false)
	s.password = secret
	auth := Auth{Password: password(secret), KnownHostsFile: s.auth(t).KnownHostsFile}
	wantContents(t, fetch(t, newGit(t, GitOptions{URL: s.url(), Auth: auth})), want)
	auth.Password = password("s3cret-other")
	_, err := newGit(t, GitOptions{URL: s.url(), Auth: auth}).Fetch(t.Context())
	wantError(t, err, ErrDenied, "refused")
	if containsAny(err.Error()+text.Hint(err), "s3cret") {
		t.Errorf("a secret got out: %v", err)
	}
}

func TestSSHLockedKey(t *testing.T) {
	r, _ := newRepo(t, nil)
	s := serveSSH(t, r.Dir(), false)
	// A locked key is known by its header; to lock one really takes seconds.
	block := &pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("locked")}
	auth := Auth{SSHKeyFile: tempFile(t, string(pem.EncodeToMemory(block))), KnownHostsFile: s.auth(t).KnownHostsFile}
	_, err := newGit(t, GitOptions{URL: s.url(), Auth: auth}).Fetch(t.Context())
	wantError(t, err, ErrDenied, "needs a passphrase", "ssh-keygen")
}

func TestSSHNoRepository(t *testing.T) {
	r, _ := newRepo(t, nil)
	s := serveSSH(t, r.Dir(), false)
	for path, command := range map[string]string{"/other.git": `'/other.git'`, "/~me/it's!.git": `'~me/it'\''s'\!'.git'`} {
		opts := GitOptions{URL: "ssh://" + s.addr + path, Auth: s.auth(t)}
		_, err := newGit(t, opts).Fetch(t.Context())
		wantError(t, err, ErrNotFound, `"ERROR: Repository not found. git-upload-pack `+strings.ReplaceAll(command, `\`, `\\`))
	}
}

// Files that are too large to be manifests are shown with their size, and not
// transferred where the server can leave them out.
func TestLargeFile(t *testing.T) {
	large := noise(4000)
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		r, _ := newRepo(t, map[string]string{"a.yaml": "one", "large.yaml": large})
		f, err := os.OpenFile(filepath.Join(r.Dir(), ".git/config"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("[uploadpack]\n\tallowFilter = true\n"); err != nil {
			t.Fatal(err)
		}
		f.Close()
		at := reach(t, r.Dir())
		g := newGit(t, at.opts)
		g.limits.file = 1000
		if strings.HasSuffix(t.Name(), "git") {
			g.limits.pack = 3000
		}
		snap := fetch(t, g)
		info, err := fs.Stat(snap.FS, "large.yaml")
		if err != nil || info.Size() <= 1000 {
			t.Errorf("got size %v, %v", info, err)
		}
		if g.ep.Protocol == "file" && info.Size() != int64(len(large)) {
			t.Errorf("got size %d, want %d", info.Size(), len(large))
		}
		if _, err := fs.ReadFile(snap.FS, "large.yaml"); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("got %v, want it to be too large", err)
		}
		if data, err := fs.ReadFile(snap.FS, "a.yaml"); string(data) != "one" {
			t.Errorf("got %q, %v", data, err)
		}
	})
}

// noise returns text that can't be compressed much.
func noise(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(' ' + random.IntN(95))
	}
	return string(b)
}

func TestRepositoryTooLarge(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": noise(100_000)})
	for name, reach := range remotes() {
		if name == "path" || name == "file" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			g := newGit(t, reach(t, r.Dir()).opts)
			g.limits.pack = 50_000
			_, err := g.Fetch(t.Context())
			wantError(t, err, ErrContent, "the repository is too large", "repository of their own")
		})
	}
}

// Only the one commit is transferred where the server can do that.
func TestShallow(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": noise(100_000)})
	commit(t, r, map[string]string{"a.yaml": "small"})
	for _, name := range []string{"http git", "ssh git"} {
		t.Run(name, func(t *testing.T) {
			g := newGit(t, remotes()[name](t, r.Dir()).opts)
			g.limits.pack = 10_000
			wantContents(t, fetch(t, g), map[string]string{"a.yaml": "small"})
		})
	}
}

func TestLogs(t *testing.T) {
	r, h := newRepo(t, map[string]string{"a.yaml": "one"})
	s := serveWeb(t, r.Dir(), false)
	s.basicAuth("git", secret)
	logger, logged := logTo()
	g := newGit(t, GitOptions{URL: s.url(), Auth: Auth{Password: password(secret)}, Logger: logger})
	fetch(t, g)
	fetch(t, g)
	for _, w := range []string{"read a commit", h, "manifests=1", "not moved"} {
		if !bytes.Contains(logged.Bytes(), []byte(w)) {
			t.Errorf("want %q in the log:\n%s", w, logged)
		}
	}
	if containsAny(logged.String(), secretSpellings("git")...) {
		t.Errorf("a secret got out: %s", logged)
	}
}
