package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/signin"
)

// recentWorld has an answer that says how often it was made.
type recentWorld struct {
	*answers
	now     time.Time
	is, api shown
	settled bool
	err     error
	made    int
}

func newRecentWorld() *recentWorld {
	w := &recentWorld{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), settled: true}
	w.answers = newAnswers(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.made++
		rw.Header().Set("ETag", `"tag"`)
		if r.URL.Path == "/missing" {
			rw.WriteHeader(http.StatusNotFound)
		}
		_, _ = fmt.Fprintf(rw, "made %d csrf=%s", w.made, signin.CSRF(r.Context()))
	}), newRecent(func(page bool) (shown, bool, error) {
		if page {
			return w.is, w.settled, w.err
		}
		return w.api, w.settled, w.err
	}, func() time.Time { return w.now }))
	return w
}

// get asks for a path as a viewer, unless change makes it another request.
func (w *recentWorld) get(path, csrf string, change func(r *http.Request) *http.Request) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	ctx := signin.WithUser(r.Context(), &signin.User{Name: "ada", Role: signin.Viewer})
	if csrf != "" {
		ctx = signin.WithCSRF(ctx, csrf)
	}
	r = r.WithContext(ctx)
	if change != nil {
		r = change(r)
	}
	got := httptest.NewRecorder()
	w.ServeHTTP(got, r)
	return got.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The same question is answered once while nothing changes, and each response has the
// token of its own session.
func TestRecentAnswers(t *testing.T) {
	w := newRecentWorld()
	for i, step := range []struct {
		what   string
		do     func()
		path   string
		change func(r *http.Request) *http.Request
		made   bool
	}{
		{what: "first", path: "/", made: true},
		{what: "again", path: "/"},
		{what: "another question", path: "/?q=x", made: true},
		{what: "another user", path: "/", made: true, change: func(r *http.Request) *http.Request {
			return r.WithContext(signin.WithUser(r.Context(), &signin.User{Name: "bob", Role: signin.Viewer}))
		}},
		{what: "another role", path: "/", made: true, change: func(r *http.Request) *http.Request {
			return r.WithContext(signin.WithUser(r.Context(), &signin.User{Name: "ada", Role: signin.Operator}))
		}},
		{what: "from another site", path: "/", made: true, change: func(r *http.Request) *http.Request {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			return r
		}},
		{what: "compressed", path: "/", made: true, change: func(r *http.Request) *http.Request {
			r.Header.Set("Accept-Encoding", "gzip")
			return r
		}},
		{what: "the first still", path: "/"},
		{what: "another status", do: func() { w.is.status++ }, path: "/", made: true},
		{what: "another inventory", do: func() { w.is.requests++ }, path: "/", made: true},
		{what: "the API", path: "/api/v1/orgs", made: true},
		{what: "the same of the API", do: func() { w.is.status++ }, path: "/api/v1/orgs"},
		{what: "another status of the API", do: func() { w.api.status++ }, path: "/api/v1/orgs", made: true},
		{what: "another status of pages", path: "/", made: true},
		{what: "soon after", do: func() { w.now = w.now.Add(recentFor - 1) }, path: "/"},
		{what: "a second after", do: func() { w.now = w.now.Add(1) }, path: "/", made: true},
		{what: "the clock was set back", do: func() { w.now = w.now.Add(-time.Hour) }, path: "/", made: true},
		{what: "a run", path: "/runs/1", made: true},
		{what: "a run again", path: "/runs/1", made: true},
		{what: "a run of the API", path: "/api/v1/runs/1", made: true},
		{what: "a run of the API again", path: "/api/v1/runs/1", made: true},
		{what: "nothing there", path: "/missing", made: true},
		{what: "still nothing", path: "/missing", made: true},
		{what: "not all is read", do: func() { w.settled = false }, path: "/orgs", made: true},
		{what: "nor now", path: "/orgs", made: true},
		{what: "what is there can't be read", do: func() { w.err = errors.New("disk") }, path: "/", made: true},
		{what: "nor now", path: "/", made: true},
	} {
		if step.do != nil {
			step.do()
		}
		before, token := w.made, fmt.Sprintf("token%d", i)
		got := body(t, w.get(step.path, token, step.change))
		if made := w.made > before; made != step.made || !strings.HasSuffix(got, "csrf="+token) {
			t.Errorf("%s: made %v: %s", step.what, made, got)
		}
	}
}

// A client that has an answer already gets 304, even if it was made for others.
func TestRecentAnswersUnchanged(t *testing.T) {
	w := newRecentWorld()
	has := func(r *http.Request) *http.Request {
		r.Header.Set("If-None-Match", `"tag"`)
		return r
	}
	for range 2 {
		got := w.get("/", "x", has)
		if b := body(t, got); got.StatusCode != http.StatusNotModified || b != "" || got.Header.Get("Content-Length") != "" {
			t.Errorf("%d %q %v", got.StatusCode, b, got.Header)
		}
	}
	if got := w.get("/", "x", nil); got.StatusCode != http.StatusOK || body(t, got) != "made 1 csrf=x" || got.Header.Get("Content-Length") != "13" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

// What is kept has a limit.
func TestRecentAnswersLimit(t *testing.T) {
	w := newRecentWorld()
	w.get("/", "", nil)
	w.recent.size = maxRecent - 10
	for range 2 {
		w.get("/orgs", "", nil)
	}
	if w.made != 3 {
		t.Errorf("made %d", w.made)
	}
}
