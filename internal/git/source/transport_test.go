package source

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// closing notes that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// Transport reads the file for each request, so what is mended there counts at
// once, and says which file it is that can't be used.
func TestTransport(t *testing.T) {
	if Transport("") != http.DefaultTransport {
		t.Error("without a file, other connections than the process's")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(w, r.Body); err != nil {
			t.Error(err)
		}
	}))
	s.StartTLS()
	defer s.Close()
	for _, tt := range []struct{ name, file, want string }{
		{"missing", t.TempDir() + "/none", "git.auth.caFile: open "},
		{"damaged", tempFile(t, "-----BEGIN CERTIFICATE-----\nAAAA\n"), "can't be used: a certificate in it is cut off or damaged"},
		{"empty", tempFile(t, ""), "can't be used: there is no certificate in it"},
		{"good", tempFile(t, pemOf(s.Certificate().Raw)), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := &closing{Reader: strings.NewReader("hello")}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := Transport(tt.file).RoundTrip(req)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.file) || !body.closed {
					t.Errorf("%v; body closed: %t", err, body.closed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "hello" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}
