package web

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/text"
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
	if Transport("") != Default {
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
		{"in one line", tempFile(t, strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})), "\n", " ")), ""},
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

// What can't be the URL of a proxy is refused, rather than read as another host, and
// nothing of it is told.
func TestEnvironmentProxy(t *testing.T) {
	for _, tt := range []struct {
		url, proxy, noProxy string
		ok                  bool
	}{
		{"https://a.example/", "http://pu:secret@127.0.0.1:1", "", true},
		{"https://a.example/", "127.0.0.1:1", "", true},
		{"https://a.example/", "proxy", "", true},
		{"https://a.example/", "https://proxy:1/", "", true},
		{"https://a.example/", "socks5://proxy:1", "", true},
		{"https://a.example/", "http://pu:se cret@127.0.0.1:1", "", false},
		{"https://a.example/", "http://pu:secret#@127.0.0.1:1", "", false},
		{"https://a.example/", "http://pu:sec/ret@127.0.0.1:1", "", false},
		{"https://a.example/", "pu:secret@@127 .0.0.1:1", "", false},
		{"https://a.example/", "http://:1", "", false},
		{"https://a.example/", "http://proxy:%zz", "", false},
		{"https://a.example/", "http:///secret", "", false},
		{"https://a.example/", "ftp://proxy", "", false},
		{"https://a.example/", "http:proxy:1", "", false},
		{"https://a.example/", "http://se cret@127.0.0.1:1", "a.example", true},
		{"https://a.example/", "http://se cret@127.0.0.1:1", "*", true},
		{"https://127.0.0.1/", "http://se cret@127.0.0.1:1", "", true}, // never by a proxy
		{"http://a.example/", "http://se cret@127.0.0.1:1", "", true},  // has a variable of its own
	} {
		t.Setenv("HTTPS_PROXY", tt.proxy)
		t.Setenv("NO_PROXY", tt.noProxy)
		req, err := http.NewRequest(http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = EnvironmentProxy(req)
		if (err == nil) != tt.ok || err != nil && err.Error() != "HTTPS_PROXY is not the URL of a proxy" {
			t.Errorf("%s for %s, but %q: %v", tt.proxy, tt.url, tt.noProxy, err)
		}
	}
}

// What a proxy answers in place of the server is told, with how a proxy is named;
// another try is worth it only where the proxy has trouble.
func TestCheckProxy(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 401: "the proxy answered 401 Unauthorized", 407: "the proxy answered 407 Proxy Authentication Required", 503: "the proxy answered 503 Service Unavailable",
	} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		at, err := url.Parse("http://pu:secret@" + proxy.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns := &http.Transport{Proxy: http.ProxyURL(at), OnProxyConnectResponse: CheckProxy}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conns.RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") ||
			want != "" && text.Hint(err) != ProxyHint || errors.As(err, new(*ProxyError)) != (status/100 == 4) {
			t.Errorf("%d: %v", status, err)
		}
		conns.CloseIdleConnections()
		proxy.Close()
	}
}

// A proxy is told who connects, and for which run, whatever the transport.
func TestProxyHeader(t *testing.T) {
	agents := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password := proxyAuth(r)
		agents <- r.Method + " " + r.UserAgent() + " " + user + " " + password
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	at := &url.URL{Scheme: "http", User: url.UserPassword("pu", "pw"), Host: proxy.Listener.Addr().String()}
	ca := httptest.NewUnstartedServer(nil)
	ca.StartTLS()
	defer ca.Close()
	file := tempFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw})))
	withRoots, err := caTransport(file).conns()
	if err != nil {
		t.Fatal(err)
	}
	for name, conns := range map[string]*http.Transport{"the process's": newDefault(), "with a file of certificates": withRoots} {
		conns.Proxy = http.ProxyURL(at)
		req, err := http.NewRequestWithContext(WithRun(t.Context(), "run-1"), http.MethodGet, "https://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conns.RoundTrip(req); err == nil {
			t.Error("connected")
		}
		if got, want := <-agents, "CONNECT reconciler/devel (run run-1) pu pw"; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func proxyAuth(r *http.Request) (user, password string) {
	r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
	user, password, _ = r.BasicAuth()
	return user, password
}
