package source

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// endless gives lines of a list that has no end.
type endless struct {
	line func(n int) string
	n    int
	rest string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		s := e.line(e.n)
		e.rest = fmt.Sprintf("%04x%s", len(s)+4, s)
		e.n++
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

const someHash = "0123456789abcdef0123456789abcdef01234567"

func endlessRefs() io.Reader {
	return &endless{line: func(n int) string {
		if n == 0 {
			return someHash + " refs/heads/main\x00shallow ofs-delta\n"
		}
		return fmt.Sprintf("%s refs/heads/b%d\n", someHash, n)
	}}
}

func endlessShallows() io.Reader {
	return &endless{line: func(int) string { return "shallow " + someHash + "\n" }}
}

// A server that never comes to an end is given up early, in little memory.
func TestEndlessAnswers(t *testing.T) {
	const most = 100 << 20 // allocated in all: less is in use at a time
	list := fmt.Sprintf("%04x%s", 4+len(someHash+" refs/heads/main\x00shallow\n"), someHash+" refs/heads/main\x00shallow\n") + "0000"
	for _, tt := range []struct {
		name  string
		write func(w http.ResponseWriter, r *http.Request)
		words []string
	}{
		{"refs", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, endlessRefs()) },
			[]string{"the repository is too large: its list of branches and tags takes more than 6 MB", "fewer branches and tags"}},
		{"refs that inflate", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.Copy(z, endlessRefs())
		}, []string{"its list of branches and tags takes more than 6 MB"}},
		{"shallow lines", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/info/refs") {
				fmt.Fprint(w, list)
				return
			}
			_, _ = io.Copy(w, endlessShallows())
		}, []string{"the answer is not git's: there is no pack in it"}},
		{"words of a refusal", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.Copy(w, &endless{line: func(int) string { return "no " }})
		}, []string{"403 Forbidden"}},
		{"headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 20<<20))
		}, []string{"server response headers exceeded"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
			s := serveWeb(t, r.Dir(), false)
			s.before = func(w http.ResponseWriter, r *http.Request) bool { tt.write(w, r); return true }
			g := newGit(t, GitOptions{URL: s.url()})
			used := allocated(func() {
				_, err := g.Fetch(t.Context())
				wantError(t, err, nil, tt.words...)
			})
			if tt.name != "headers" && used > most { // the server's are counted there
				t.Errorf("took %d MB of memory", used>>20)
			}
		})
	}
}

// The same over ssh.
func TestEndlessRefsSSH(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	s := serveSSH(t, r.Dir(), false)
	s.answer = func(ch ssh.Channel) { _, _ = io.Copy(ch, endlessRefs()) }
	_, err := newGit(t, GitOptions{URL: s.url(), Auth: s.auth(t)}).Fetch(t.Context())
	wantError(t, err, ErrContent, "its list of branches and tags takes more than 6 MB")
}

// A list that comes a byte at a time ends with the time.
func TestSlowDrip(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	s := serveWeb(t, r.Dir(), false)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		for refs := endlessRefs(); r.Context().Err() == nil; time.Sleep(time.Millisecond) {
			_, _ = io.CopyN(w, refs, 1)
			_ = http.NewResponseController(w).Flush()
		}
		return true
	}
	_, err := newGit(t, GitOptions{URL: s.url(), Timeout: 100 * time.Millisecond}).Fetch(t.Context())
	wantError(t, err, ErrUnreachable, "not done within 100ms")
}
