package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/config"
	"reconciler/internal/daemon/signin"
)

// invoked runs the program, and returns its exit code and what it printed.
func invoked(t *testing.T, environ []string, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, stdio{in: strings.NewReader(""), out: &stdout, err: &stderr}, environ)
	return code, stdout.String(), stderr.String()
}

func TestTokenCommand(t *testing.T) {
	code, out, errs := invoked(t, nil, "token", "ci", "--role", "viewer")
	token, line, _ := strings.Cut(out, "\n")
	entries, err := signin.ParseTokens("t", []byte(line))
	if code != 0 || err != nil || len(entries) != 1 || entries[0].Name != "ci" || entries[0].Role != signin.Viewer || !strings.HasPrefix(token, signin.TokenPrefix) || strings.Contains(errs, token) {
		t.Errorf("%d %q %q %v", code, out, errs, err)
	}
	code, out, _ = invoked(t, nil, "token", "on-call", "--role", "operator", "-o", "json")
	var made struct{ Token, Name, Role, SHA256 string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 || made.Name != "on-call" || made.Role != "operator" || len(made.SHA256) != 64 || len(made.Token) < 40 {
		t.Errorf("%d %s %v", code, out, err)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"token"}, "token takes one NAME, and got 0"},
		{[]string{"token", "ci"}, "--role is missing"},
		{[]string{"token", "ci", "--role", "admin"}, `--role "admin": must be "viewer" or "operator"`},
		{[]string{"token", "ci", "--role", "operater"}, `did you mean "operator"?`},
		{[]string{"token", "a b", "--role", "viewer"}, "the name must be 1 to 100 letters"},
		{[]string{"token", "ci", "--role", "viewer", "-o", "yaml"}, `-o "yaml": must be "text" or "json"`},
	} {
		if code, out, errs := invoked(t, nil, tt.args...); code != 1 || out != "" || !strings.Contains(errs, tt.says) {
			t.Errorf("%v: %d %q %q", tt.args, code, out, errs)
		}
	}
}

// status, get and reconcile send the token of the flag or the environment.
func TestClientToken(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	viewer, entry, err := signin.NewToken("ci", signin.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"tokens.yaml": entry.String(), "token": viewer + "\n", "empty": "\n", "two": "a b\n", "other": "rcn_x"} {
		if err := os.WriteFile(path(name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gate, err := signin.New(signin.Options{
		HTTP:   &config.HTTP{Address: "127.0.0.1:8080", Auth: config.HTTPAuth{TokensFile: path("tokens.yaml")}},
		Memory: signin.NewMemory(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"version": 1, "account": "0200", "items": []}`)
	})))
	t.Cleanup(srv.Close)
	for _, tt := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		says    string
	}{
		{"flag", nil, []string{"status", "--token-file", path("token")}, 0, ""},
		{"variable", []string{"RECONCILER_TOKEN=" + viewer}, []string{"status"}, 0, ""},
		{"file of a variable", []string{"RECONCILER_TOKEN_FILE=" + path("token")}, []string{"get", "orgs"}, 0, ""},
		{"flag before variable", []string{"RECONCILER_TOKEN=x"}, []string{"get", "orgs", "--token-file", path("token")}, 0, ""},
		{"none", nil, []string{"status"}, 1, "hint: give a token with --token-file FILE or RECONCILER_TOKEN"},
		{"none, get", nil, []string{"get", "drift"}, 1, "refuses: this daemon wants to know who asks"},
		{"another", nil, []string{"status", "--token-file", path("other")}, 1, "refuses: the token is not valid"},
		{"empty", nil, []string{"status", "--token-file", path("empty")}, 1, "holds no token: it must be one word"},
		{"two words", nil, []string{"status", "--token-file", path("two")}, 1, "holds no token: it must be one word"},
		{"no file", nil, []string{"status", "--token-file", path("none")}, 1, "the token for the daemon can't be read"},
		{"both variables", []string{"RECONCILER_TOKEN=x", "RECONCILER_TOKEN_FILE=y"}, []string{"status"}, 1, "are both set: keep one"},
		{"a viewer", nil, []string{"reconcile", "--token-file", path("token")}, 1, "refuses: a viewer can't change anything"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := invoked(t, tt.environ, append(tt.args, "--address", srv.URL)...)
			if code != tt.code || !strings.Contains(errs, tt.says) || strings.Contains(out+errs, viewer) {
				t.Errorf("%d %q %q, want %d with %q", code, out, errs, tt.code, tt.says)
			}
		})
	}
	if _, _, errs := invoked(t, []string{"RECONCILER_TOKEN=x"}, "status", "--address", "http://reconciler.invalid:1"); !strings.Contains(errs, "warning: the token is sent to reconciler.invalid:1 unencrypted: use https") {
		t.Errorf("%s", errs)
	}
}
