package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/report"
)

// apply runs apply, and returns what it printed.
func (r *rig) apply(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append([]string{"apply", "--yes", "--config", r.config}, args...), stdio{strings.NewReader(""), &o, &e}, nil)
	return code, o.String(), e.String()
}

// sent counts the calls to Okta with this method whose path matches.
func (r *rig) sent(method, path string) int {
	n := 0
	for _, q := range r.sim.Requests() {
		if q.Method == method && regexp.MustCompile(path).MatchString(q.Path) {
			n++
		}
	}
	return n
}

// newDeletionRig is a rig with manifests that have Okta asked to delete an
// inactive org.
func newDeletionRig(t *testing.T, more string) (r *rig, domain, manifests string) {
	t.Helper()
	seed := simulator.DefaultSeed(10)
	seed.Account.DeletionAllowed = true
	r = newRigOf(t, seed, false)
	org := r.sim.Orgs()[6]
	if err := r.sim.SetOrgStatus(org.Domain, "INACTIVE", "ivan@acme.example"); err != nil {
		t.Fatal(err)
	}
	manifests = filepath.Join(r.dir, "deletion.yaml")
	text := "version: 1\norgs:\n  - {domain: " + org.Domain + ", cell: " + org.Cell + ", status: INACTIVE, requestDeletion: true}\n" + more
	if err := os.WriteFile(manifests, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r, org.Domain, manifests
}

// The lock is lost while the account is being read: another process may be writing by
// then, so nothing is sent.
func TestJournalLostInMidRun(t *testing.T) {
	r, doomed, manifests := newDeletionRig(t, `  - {domain: acme-amer-retail.okta.com, cell: ok2, products: [P000052, P000131, P000139]}
  - domain: acme-fresh.okta.com
    cell: ok1
    create:
      parent: acme
      name: Acme Fresh
      admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}
`)
	state := filepath.Join(r.dir, "state")
	var once sync.Once
	if err := r.sim.AddFault(simulator.Fault{Method: "GET", Path: "/api/v1/orgs/*/products", Do: func() {
		once.Do(func() {
			lock := filepath.Join(state, "journal.lock")
			if err := errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)); err != nil {
				t.Error(err)
			}
		})
	}}); err != nil {
		t.Fatal(err)
	}
	code, out, errs := r.apply(t, "--manifests", manifests)
	if code != exitError || !strings.Contains(errs, "this process has lost its lock") {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
	if posts := r.sent("POST", "") - r.sent("POST", "/token$"); posts != 0 || r.sent("PUT", "") != 0 {
		t.Errorf("%d and %d calls that write", posts, r.sent("PUT", ""))
	}

	// With the journal back, the deletion is asked for.
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	code, out, errs = r.apply(t, "--manifests", manifests, "--org", doomed)
	if org, _ := r.sim.Org(doomed); code != exitOK || !org.DeletionRequested {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
}

// Without a journal nothing would keep a request for a deletion from being made in
// each run, so none is made.
func TestDeletionWithoutJournal(t *testing.T) {
	r, _, manifests := newDeletionRig(t, "")
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^.*state: .*$`).ReplaceAll(text, nil)
	if err := os.WriteFile(r.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := r.apply(t, "--manifests", manifests)
	if n := r.sent("POST", "/deletionRequest$"); n != 0 || code == exitOK || !strings.Contains(out, "set state.dir to a folder that lasts") {
		t.Errorf("exit code %d after %d requests:\n%s%s", code, n, out, errs)
	}
}

// The run may be stopped while apply waits for the answer, and the terminal may go away.
func TestConfirm(t *testing.T) {
	hung, answer := io.Pipe()
	defer answer.Close()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		in   io.Reader
		says string
	}{
		{"stopped", stopped, hung, "context canceled"},
		{"terminal is gone", t.Context(), io.MultiReader(strings.NewReader("yes"), iotest.ErrReader(syscall.EIO)), `not applied: the answer was not "yes"`},
		{"last line", t.Context(), strings.NewReader("yes"), ""},
	} {
		a := &app{stdio: stdio{tt.in, io.Discard, io.Discard}}
		plan := &diff.Plan{}
		err := a.confirm(tt.ctx, plan, report.Data{Plan: plan})
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || err.Error() != tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A suspension that can't be understood is told beside the others, which are listed,
// and can be resumed by its ID.
func TestListUnreadableSuspension(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "reconciler.yaml")
	text := "manifests: orgs\nstate: {dir: state}\nsuspend: [{reason: three, owner: ops}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(want int, args ...string) (out, errs string) {
		t.Helper()
		var o, e bytes.Buffer
		if code := run(t.Context(), append(args, "--config", config), stdio{strings.NewReader(""), &o, &e}, nil); code != want {
			t.Fatalf("%q exits with %d, not %d\n%s%s", args, code, want, &o, &e)
		}
		return o.String(), e.String()
	}
	out, _ := command(0, "suspend", "--reason", "one", "--owner", "ada")
	id := strings.TrimSpace(out[strings.LastIndex(out, " "):])
	command(0, "suspend", "--reason", "two", "--owner", "bob", "--org", "acme.okta.com")
	db, err := sql.Open("sqlite", filepath.Join(dir, "state", "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE suspensions SET since = 'bad' WHERE reason = 'one'`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"text", "json"} {
		out, errs := command(1, "suspend", "--list", "-o", format)
		if strings.Contains(out, id) || !strings.Contains(out, "two") || !strings.Contains(out, "three") {
			t.Errorf("-o %s lists\n%s", format, out)
		}
		if !strings.Contains(errs, `the suspension "`+id+`" can't be understood: "bad" is no time`) || !strings.Contains(errs, "reconciler resume "+id) {
			t.Errorf("-o %s says\n%s", format, errs)
		}
	}
	command(0, "resume", id)
	if out, errs := command(0, "suspend", "--list"); !strings.Contains(out, "two") || errs != "" {
		t.Errorf("afterwards:\n%s%s", out, errs)
	}
	// Nothing that can be listed is not the same as nothing.
	if err := os.WriteFile(config, []byte("manifests: orgs\nstate: {dir: state}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state", "journal.db"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs := command(1, "suspend", "--list"); out != "" || !strings.Contains(errs, "damaged") {
		t.Errorf("damaged:\n%s%s", out, errs)
	}
}
