package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The test message reaches each receiver, or the line says why not. No URL is printed.
func TestNotifyTest(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies = append(bodies, string(body))
		if strings.HasPrefix(r.URL.Path, "/gone") {
			http.Error(w, "no_service\x1b[31m "+r.URL.Path, http.StatusNotFound)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, gone := file("good", server.URL+"/services/SECRETPATH1"), file("gone", server.URL+"/gone/SECRETPATH2")
	host := strings.TrimPrefix(server.URL, "http://")
	for _, test := range []struct {
		name, config string
		args         []string
		code         int
		out, errs    string
		sent         int
	}{
		{
			"all", "notify: [{type: slack, urlFile: good}, {type: teams, urlFile: good, events: [failed]}]", nil, exitOK,
			"slack " + good + ": ok\nteams " + good + ": ok\n", "", 2,
		},
		{
			"one is gone", "notify: [{type: webhook, urlFile: gone}, {type: webhook, urlFile: missing}, {type: webhook, urlFile: good}]", []string{"--event", "failed"}, exitError,
			"webhook " + gone + ": not delivered: " + host + " answered 404 Not Found: no_service [31m [token] (was the webhook removed, or its URL renewed? Put the present one into " + gone + ")\n" +
				"webhook " + filepath.Join(dir, "missing") + `: not delivered: notify.1.urlFile: reading "` + filepath.Join(dir, "missing") + `": no such file or directory` + "\n" +
				"webhook " + good + ": ok\n", "", 2,
		},
		{"nobody", "mode: report", nil, exitError, "", "reconciler: the config names no receivers\nhint: add notify; see docs/notifications.md\n", 0},
		{"unknown type", "mode: report", []string{"--event", "drifts"}, exitError, "", `reconciler: --event "drifts": must be `, 0},
		{"template", "notify: [{type: webhook, urlFile: good, template: good}]", nil, exitError, "", "reconciler: " + good + ":1:1: the template makes no valid JSON of a message\n", 0},
	} {
		bodies = nil
		var out, errs buffer
		args := append([]string{"notify", "test", "--config", file("reconciler.yaml", test.config+"\n")}, test.args...)
		code := run(t.Context(), args, stdio{strings.NewReader(""), &out, &errs}, nil)
		if code != test.code || out.String() != test.out || !strings.HasPrefix(errs.String(), test.errs) || test.errs == "" && errs.String() != "" {
			t.Errorf("%s: %d\n%s\n%s", test.name, code, out.String(), errs.String())
		}
		if strings.Contains(out.String()+errs.String(), "SECRETPATH") {
			t.Errorf("%s: a secret is printed", test.name)
		}
		if len(bodies) != test.sent {
			t.Errorf("%s: %d were sent", test.name, len(bodies))
		}
		for _, b := range bodies {
			if !strings.Contains(b, "this is a test: nothing has happened") {
				t.Errorf("%s: %s", test.name, b)
			}
		}
	}
}
