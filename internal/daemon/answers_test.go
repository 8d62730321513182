package daemon

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A long response is compressed for clients that take that, and no other.
func TestCompressed(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1000)
	for _, tt := range []struct {
		accepts, body string
		compressed    bool
	}{
		{"gzip", long, true}, {"br, GZIP;q=0.5", long, true}, {"", long, false}, {"gzip;q=0", long, false}, {"gzip; q=0.0", long, false}, {"identity", long, false}, {"gzip", "short", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/api/v1/x", nil)
		r.Header.Set("Accept-Encoding", tt.accepts)
		w := httptest.NewRecorder()
		newAnswers(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, tt.body[:3])
			_, _ = io.WriteString(w, tt.body[3:])
		}), newRecent(nil, time.Now)).ServeHTTP(w, r)
		var body io.Reader = w.Body
		if is := w.Header().Get("Content-Encoding") == "gzip"; is != tt.compressed || w.Code != http.StatusAccepted || w.Header().Get("Vary") == "" {
			t.Errorf("%q: %d %v", tt.accepts, w.Code, w.Header())
		} else if is {
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != tt.body {
			t.Errorf("%q: %v, %d bytes", tt.accepts, err, len(got))
		}
	}
}

// slowWriter is a client that takes nothing until it is released.
type slowWriter struct {
	*httptest.ResponseRecorder
	take chan struct{}
}

func (w *slowWriter) Write(data []byte) (int, error) {
	<-w.take
	return w.ResponseRecorder.Write(data)
}

// Few answers are made at a time. Who takes one slowly, or comes for what is answered at
// once, neither waits for others nor has them wait, nor does one that panicked.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, making, most := make(chan struct{}), 0, 0
		a := newAnswers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/panic" {
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path == "/orgs" {
				making++ // one goroutine at a time: there is one slot
				most = max(most, making)
				<-made
				making--
			}
			_, _ = io.WriteString(w, "answer")
		}), newRecent(nil, time.Now))
		a.making = make(chan struct{}, 1)
		serve := func(method, path string) *slowWriter {
			w := &slowWriter{httptest.NewRecorder(), make(chan struct{})}
			go func() {
				defer func() { _ = recover() }()
				a.ServeHTTP(w, httptest.NewRequest(method, "http://localhost"+path, nil))
			}()
			synctest.Wait()
			return w
		}
		slow := serve("GET", "/slow") // has a slot no more, and isn't taken
		serve("GET", "/panic")
		first, second := serve("GET", "/orgs"), serve("GET", "/orgs")
		for _, w := range []*slowWriter{serve("GET", "/healthz"), serve("GET", "/metrics"), serve("POST", "/actions/run"), slow} {
			close(w.take)
			synctest.Wait()
			if w.Body.String() != "answer" {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		}
		close(made)
		synctest.Wait()
		for _, w := range []*slowWriter{first, second} {
			close(w.take)
			synctest.Wait()
			if w.Body.String() != "answer" || w.Header().Get("Content-Length") != "6" {
				t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
			}
		}
		if most != 1 {
			t.Errorf("%d answers were made at a time", most)
		}
	})
}
