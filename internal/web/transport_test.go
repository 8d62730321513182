package web

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tempFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// closing notes that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// Transport reads the file for each request, so a repaired file counts at once,
// and names the file that can't be used.
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
		{"missing", t.TempDir() + "/none", "the file of certificates can't be read: open "},
		{"damaged", tempFile(t, "-----BEGIN CERTIFICATE-----\nAAAA\n"), "can't be used: a certificate in it is cut off or damaged"},
		{"empty", tempFile(t, ""), "can't be used: there is no certificate in it"},
		{"UTF-16", tempFile(t, "\xff\xfe-\x00"), "can't be used: it is UTF-16; save it as UTF-8"},
		{"indented, with a byte order mark", tempFile(t, "\ufeff  "+strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})), "\n", "\n  ")), ""},
		{"good", tempFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))), ""},
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
