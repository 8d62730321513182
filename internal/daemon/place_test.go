package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/reconcile"
)

// Where an org is declared is shown with a link, and follows its line without a word in
// the history.
func TestDeclaredAt(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("glpat-canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newConfiguredWorld(t, "0s", worldOptions{
		extra: "state: {dir: " + t.TempDir() + "}\n",
		git:   "status: {provider: gitlab, url: https://git.acme.example/api/v4, repository: it/orgs, tokenFile: " + token + "}",
	})
	org := func(domain string) (detail reconcile.OrgDetail) {
		t.Helper()
		resp := ask(w.handler, "GET", "/api/v1/orgs/"+domain)
		if err := json.Unmarshal(resp.Body.Bytes(), &detail); err != nil {
			t.Fatalf("%v: %s", err, resp.Body)
		}
		return detail
	}
	place := func(commit string, line int, anchor string) *reconcile.Place {
		return &reconcile.Place{File: "orgs/orgs.yaml", Line: line, Commit: commit, Link: "https://git.acme.example/it/orgs/-/blob/" + commit + "/orgs/orgs.yaml#L" + anchor}
	}
	w.runner.commitReporter = nil // nobody is there
	first := w.commit(w.configured(offices))
	w.run()
	got := org(emea)
	if d := cmp.Diff(place(first, 6, "6"), got.DeclaredAt); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(place(first, 6, "6"), got.Places["status"]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(place(first, 3, "3"), got.Places["networkZones/Offices"]); d != "" {
		t.Error(d)
	}
	if got.CommitLink != "https://git.acme.example/it/orgs/-/commit/"+first {
		t.Errorf("commit: %q", got.CommitLink)
	}
	changed := got.Changed
	if got := org(aerialOrg); got.DeclaredAt != nil || got.Places != nil {
		t.Errorf("nobody declares it: %+v", got)
	}

	second := w.commit("# A line more.\n" + w.configured(offices))
	w.run()
	got = org(emea)
	if d := cmp.Diff(place(second, 7, "7"), got.DeclaredAt); d != "" {
		t.Error(d)
	}
	if !got.Changed.Equal(changed) || got.Commit != first {
		t.Errorf("the history has a new state, of %v and commit %s", got.Changed, got.Commit)
	}
	if s, err := w.runner.r.History().At(emea, time.Time{}); err != nil || strings.Contains(string(s.Declared), "orgs.yaml") {
		t.Errorf("the history has the place: %s, %v", s.Declared, err)
	}
}
