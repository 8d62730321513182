package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/git/gitrepo"
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

	out, errs := e.do(exitOK, "revert", run)
	wanted := strings.NewReplacer(
		"All of us", "All of them",
		"    products: [mfa]\n", "    products: []\n",
		"{name: Temps} # for", "{name: Temps}\n          absent: true # for",
		"{domain: acme-beta.okta.com, access", "{domain: acme-beta.okta.com, products: [mfa], access",
	).Replace(changed)
	_ = wanted
	t.Log(out, errs)
	t.Log(cmp.Diff(changed, e.text()))
	e.wantWrites()
	if d := cmp.Diff(before, e.live()); d == "" {
		t.Error("it was applied")
	}
	e.commit(e.text())
	e.do(exitOK, "apply", "--yes")
	if d := cmp.Diff(before, e.live()); d != "" {
		t.Error(d)
	}
	_, errs = e.do(exitOK, "revert", run)
	t.Log(errs)
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
	out, errs := e.do(exitOK, "adopt")
	t.Log(out, errs)
	e.do(exitOK, "diff", "--detailed-exitcode")
}
