package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"reconciler/internal/text"
)

func TestFetchStatusErrors(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"the answer is 404 Not Found":              http.NotFound,
		"the answer is no status":                  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"a status of version 2, and this program ": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"version":2}`) },
		"a status of version 0, and this program":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) },
		"the answer is 302 Found":                  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/else", http.StatusFound) },
	}
	for want, h := range handlers {
		t.Run(want, func(t *testing.T) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			_, err := FetchStatus(t.Context(), srv.URL)
			if err == nil || !strings.HasPrefix(err.Error(), "what answers on "+srv.URL+" is not this program's daemon: ") || !strings.Contains(err.Error(), want) {
				t.Fatalf("error %v, want %q", err, want)
			}
			if text.Hint(err) == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, hint %q", err, text.Hint(err))
			}
		})
	}
}

func TestFetchStatusNobody(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	url := srv.URL
	srv.Close()
	_, err := FetchStatus(t.Context(), url)
	if err == nil || !strings.HasPrefix(err.Error(), "no daemon answers on "+url+": dial tcp") || strings.Count(err.Error(), url) != 1 {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(text.Hint(err), "reconciler run") {
		t.Errorf("hint %q", text.Hint(err))
	}
}

// A proxy's page that never ends must not fill the memory.
func TestFetchStatusEndless(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		block := []byte(strings.Repeat(" ", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	if _, err := FetchStatus(t.Context(), srv.URL); err == nil || !strings.Contains(err.Error(), "longer than 64 MB") {
		t.Errorf("error %v", err)
	}
}

func TestStatusURL(t *testing.T) {
	tests := []struct{ address, want string }{
		{"127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"localhost:8080", "http://localhost:8080"},
		{":8080", "http://localhost:8080"},
		{"0.0.0.0:8080", "http://localhost:8080"},
		{"[::]:8080", "http://localhost:8080"},
		{"[::1]:8080", "http://[::1]:8080"},
		{"https://reconciler.example/okta/", "https://reconciler.example/okta/"},
		{"http://user:pass@host:1?x=y#z", "http://host:1"},
		{"", ""},
		{"foo", ""},
		{"[::1]", ""},
		{"http://foo", "http://foo"},
		{"ftp://host", ""},
		{"http://", ""},
		{"://", ""},
		{"http://[::1", ""},
	}
	for _, tc := range tests {
		u, err := statusURL(tc.address)
		switch {
		case tc.want == "" && err == nil:
			t.Errorf("%q: %v, want an error", tc.address, u)
		case tc.want != "" && (err != nil || u.String() != tc.want):
			t.Errorf("%q: %v %v, want %q", tc.address, u, err, tc.want)
		}
	}
}

func TestHinted(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("around: %w", text.WithHint(cause, "advice"))
	if text.Hint(err) != "advice" || !errors.Is(err, cause) {
		t.Errorf("%v: hint %q", err, text.Hint(err))
	}
	if text.Hint(cause) != "" {
		t.Errorf("a plain error has the hint %q", text.Hint(cause))
	}
}
