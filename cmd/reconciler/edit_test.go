package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/git/gitrepo"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state/edit"
	"reconciler/internal/store/history"
)

// fleet are manifests with what several orgs share, and with comments everywhere.
const fleet = `# The fleet.
version: 1
products: {sso: P000052, mfa: P000131}

productSets:
  base: [sso] # for all
baselines:
  workforce:
    groups:
      # Everybody who works here.
      - profile: {name: Staff, description: 'All of them'} # ours
defaults:
  productSets: [base]
  baselines: [workforce]

orgs:
  # The first.
  - domain: acme-alpha.okta.com # alpha
    access: {clientID: CLIENT}

  - {domain: acme-beta.okta.com, access: {clientID: CLIENT}} # beta
  - domain: acme-gamma.okta.com
    access: {clientID: CLIENT}
    products: # its own
      - sso # why
`

// editRig is a rig whose manifests are in a git repository.
type editRig struct {
	*orgsRig
	repo *gitrepo.Repo
}

func newEditRig(t *testing.T) *editRig {
	t.Helper()
	r := newOrgsRig(t)
	repo, err := gitrepo.Init(filepath.Join(r.dir, "orgs"))
	if err != nil {
		t.Fatal(err)
	}
	e := &editRig{r, repo}
	e.commit(fleet)
	return e
}

// commit commits a manifest.
func (e *editRig) commit(text string) {
	e.t.Helper()
	if _, err := e.repo.Commit("change", map[string]string{"orgs.yaml": strings.ReplaceAll(text, "CLIENT", e.clients[""])}); err != nil {
		e.t.Fatal(err)
	}
}

// write writes a manifest without a commit.
func (e *editRig) write(text string) {
	e.t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, "orgs", "orgs.yaml"), []byte(strings.ReplaceAll(text, "CLIENT", e.clients[""])), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// text returns the manifest as it is.
func (e *editRig) text() string {
	e.t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, "orgs", "orgs.yaml"))
	if err != nil {
		e.t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), e.clients[""], "CLIENT")
}

// lastRun returns the run of the newest change of the history.
func (e *editRig) lastRun() string {
	e.t.Helper()
	out, _ := e.do(exitOK, "history", "-o", "json")
	var entries []struct{ Type, Run string }
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		e.t.Fatal(err, out)
	}
	for _, entry := range entries {
		if entry.Type == "change" {
			return entry.Run
		}
	}
	e.t.Fatal("no change", out)
	return ""
}

// live returns the products and the groups of the orgs.
func (e *editRig) live() map[string]any {
	all := map[string]any{}
	for _, domain := range []string{alpha, beta, gamma} {
		o, _ := e.sim.Org(domain)
		all[domain] = o.Products
		for _, name := range []string{"Staff", "Temps"} {
			if g := e.get(domain, "groups", name); g != nil {
				all[domain+" "+name] = g["profile"]
			}
		}
	}
	return all
}

// What a run changed is taken back by an edit of just the lines that say it: also what
// somebody had done by hand before the run. Nothing is written to Okta until it is
// applied, and then all is as it was.
func TestRevertTakesBack(t *testing.T) {
	t.Parallel()
	e := newEditRig(t)
	e.do(exitOK, "apply", "--yes")
	if err := e.sim.SetOrgProducts(beta, []string{"P000052", "P000131"}, "ivan@acme.example"); err != nil {
		t.Fatal(err)
	}
	before := e.live()
	changed := strings.NewReplacer(
		"All of them", "All of us",
		"acme-alpha.okta.com # alpha\n", "acme-alpha.okta.com # alpha\n    products: [mfa]\n    configuration:\n      groups:\n        - profile: {name: Temps} # for the summer\n",
	).Replace(fleet)
	e.commit(changed)
	e.do(exitOK, "apply", "--yes")
	run := e.lastRun()
	e.quiet()

	// With an uncommitted change, only another folder is written to.
	e.write(changed + "# not committed\n")
	if _, errs := e.do(exitError, "revert", run); !strings.Contains(errs, "nothing was edited: there are uncommitted changes in ") {
		t.Error(errs)
	}
	other := t.TempDir()
	e.do(exitOK, "revert", run, "--out", other)
	if e.text() != changed+"# not committed\n" {
		t.Error(e.text())
	}
	e.write(changed)

	out, _ := e.do(exitOK, "revert", run)
	wanted := strings.NewReplacer(
		"All of us", "All of them",
		"    products: [mfa]\n", "",
		"{name: Temps} # for the summer\n", "{name: Temps} # for the summer\n          absent: true\n",
		"{domain: acme-beta.okta.com, access", "{domain: acme-beta.okta.com, products: [mfa], access",
	).Replace(changed)
	if d := cmp.Diff(wanted, e.text()); d != "" {
		t.Errorf("(-wanted +got):\n%s", d)
	}
	if data, err := os.ReadFile(filepath.Join(other, "orgs.yaml")); err != nil || strings.ReplaceAll(string(data), e.clients[""], "CLIENT") != wanted+"# not committed\n" {
		t.Errorf("%v\n%s", err, data)
	}
	for _, want := range []string{
		"--- a/orgs.yaml\n+++ b/orgs.yaml\n@@ -8,7 +8,7 @@\n", "-    products: [mfa]\n", "+          absent: true\n",
		`profile.description of 3 orgs: edited in the one place that they share`, "- disable mfa (P000131)", "+ enable mfa (P000131)",
		"  Revert run " + run + "\n", "  - acme-beta.okta.com: group \"Staff\", profile.description; with mfa\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	e.wantWrites()
	e.commit(e.text())
	if _, errs := e.do(exitOK, "revert", run); !strings.Contains(errs, "nothing to edit: the manifests declare what was live before run "+run) {
		t.Error(errs)
	}
	if d := cmp.Diff(before, e.live()); d == "" {
		t.Error("it was applied")
	}
	e.do(exitOK, "apply", "--yes")
	if d := cmp.Diff(before, e.live()); d != "" {
		t.Error(d)
	}
	// Now another run has changed all of it again.
	out, errs := e.do(exitOK, "revert", run, "-o", "json")
	var r editedJSON
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err, out)
	}
	if again := "run " + e.lastRun() + " has changed it again"; len(r.Files) > 0 || len(r.Left) != 6 || r.Left[0].Reason != again || r.Left[0].File == "" || r.Left[0].Line == 0 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(errs, "nothing was edited: what the run changed is left, for the reasons that are given") {
		t.Error(errs)
	}
}

// What can't be done says why, and edits nothing.
func TestRevertMisuse(t *testing.T) {
	t.Parallel()
	e := newEditRig(t)
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"the history has no run 20200101T000000Z-aaaaaa\nhint: reconciler history shows changes with their runs", []string{"revert", "20200101T000000Z-aaaaaa"}},
		{"revert takes one run, and got 0", []string{"revert"}},
		{`-o "yaml": must be "text" or "json"`, []string{"revert", "x", "-o", "yaml"}},
		{`-o "jsn": must be "text" or "json": did you mean "json"?`, []string{"adopt", "-o", "jsn"}},
		{`--org "acme-x.okta.com": the manifests declare no such org`, []string{"adopt", "--org", "acme-x.okta.com"}},
		{"this is not in a git repository\nhint: manifests are edited in a git clone", []string{"adopt", "--manifests", t.TempDir()}},
	} {
		if _, errs := e.do(exitError, tt.args...); !strings.Contains(errs, tt.want) {
			t.Errorf("%q: %s", tt.args, errs)
		}
	}
	if d := cmp.Diff(fleet, e.text()); d != "" {
		t.Error(d)
	}
}

// What a link leads to is edited, and the link stays.
func TestEditThroughLinks(t *testing.T) {
	t.Parallel()
	e := newEditRig(t)
	for name, to := range map[string]string{"file": "orgs/orgs.yaml", "folder": "orgs"} {
		link := filepath.Join(t.TempDir(), name)
		if err := os.Symlink(filepath.Join(e.dir, to), link); err != nil {
			t.Fatal(err)
		}
		e.commit(fleet)
		e.do(exitOK, "adopt", "--manifests", link)
		if want := strings.Replace(fleet, ", description: 'All of them'} # ours\n", "} # ours\n        absent: true\n", 1); e.text() != want {
			t.Errorf("%s: %s", name, cmp.Diff(want, e.text()))
		}
		if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// Who changed an object is found by its fields.
func TestWhoCaused(t *testing.T) {
	ref, ok := objects.ParseRef(objects.Update, "groups", "", "", "Staff")
	if !ok {
		t.Fatal("no such kind")
	}
	cause := &history.Cause{Actor: "eve@acme.example", Time: time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)}
	drift := []history.Drift{{Org: alpha, Field: "groups/Staff: profile.description", Cause: cause}, {Org: alpha, Field: "products", Cause: cause}, {Org: beta, Field: "products"}}
	for _, tt := range []struct {
		change edit.Change
		want   string
	}{
		{edit.Change{Org: alpha, Object: &edit.Object{Ref: ref}}, " (eve@acme.example, 2026-11-30 03:00:00 UTC)"},
		{edit.Change{Org: alpha, Disable: []string{"P1"}}, " (eve@acme.example, 2026-11-30 03:00:00 UTC)"},
		{edit.Change{Org: beta, Disable: []string{"P1"}}, ""},
		{edit.Change{Org: alpha, Status: "ACTIVE"}, ""},
	} {
		if got := whoCaused(&tt.change, drift); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// Of several files all are replaced, or none.
func TestReplaceAll(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(first, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	all := []replacement{
		{path: first, mode: 0o640, old: []byte("old"), data: []byte("new")},
		{path: filepath.Join(dir, "gone", "b.yaml"), mode: 0o600, data: []byte("new")},
	}
	for _, want := range []string{"old", "new"} {
		if err := replaceAll(all); (err == nil) != (want == "new") {
			t.Error(err)
		}
		if data, err := os.ReadFile(first); err != nil || string(data) != want {
			t.Errorf("%s instead of %s, %v", data, want, err)
		}
		all = all[:1]
		if info, err := os.Stat(first); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}

// What is live is adopted by an edit of just the lines that say it, and then there is no
// difference.
func TestAdopt(t *testing.T) {
	t.Parallel()
	e := newEditRig(t)
	e.do(exitOK, "apply", "--yes")
	if err := e.sim.SetOrgProducts(beta, []string{"P000131"}, "ivan@acme.example"); err != nil {
		t.Fatal(err)
	}
	if err := e.sim.SetOrgProducts(gamma, []string{"P000052", "P000131"}, "ivan@acme.example"); err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{alpha, beta, gamma} {
		if err := e.sim.Objects(domain).Patch("groups", "Staff", `{"profile": {"description": "Costs $5 ${each}"}}`, "ivan@acme.example"); err != nil {
			t.Fatal(err)
		}
	}
	e.quiet()
	e.configure("guards: {maxDestructiveOrgs: 0}\n") // which have no say in what is live already
	if out, _ := e.do(exitOK, "adopt", "--org", beta); !strings.Contains(out, "- disable sso") || strings.Contains(out, "maxDestructiveOrgs") {
		t.Error(out)
	}
	e.do(exitOK, "diff", "--detailed-exitcode", "--org", beta)
	e.do(exitDifferences, "diff", "--detailed-exitcode")
	e.commit(fleet)
	out, _ := e.do(exitOK, "adopt")
	wanted := strings.NewReplacer(
		"'All of them'", "'Costs $5 $${each}'",
		"{domain: acme-beta.okta.com, access", "{domain: acme-beta.okta.com, productSets: [], products: [mfa], access",
		"      - sso # why\n", "      - sso # why\n      - mfa\n",
	).Replace(fleet)
	if d := cmp.Diff(wanted, e.text()); d != "" {
		t.Errorf("(-wanted +got):\n%s", d)
	}
	for _, want := range []string{
		"2 orgs of the account: no manifest declares them; reconciler import writes their declarations",
		"product sso comes from a place that 2 orgs share, and not all of them change in the same way: edited at acme-beta.okta.com",
		"  Adopt what is live in 3 orgs\n", "  - acme-beta.okta.com: group \"Staff\", profile.description; without sso, with mfa\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	e.do(exitOK, "diff", "--detailed-exitcode")
	if _, errs := e.do(exitOK, "adopt"); !strings.Contains(errs, "nothing to edit: the manifests declare what is live") {
		t.Error(errs)
	}
	e.wantWrites()
	// Orgs that can't be read are left, and the others adopted.
	e.commit(fleet)
	e.fault("GET /org/" + alpha + "/api/v1/groups status=403 code=E0000006")
	out, _ = e.do(exitPartly, "adopt")
	if !strings.Contains(out, "acme-alpha.okta.com: its configuration: it could not be read: reading groups: 403 E0000006") || !strings.Contains(e.text(), "- mfa\n") {
		t.Errorf("%s\n%s", out, e.text())
	}
}
