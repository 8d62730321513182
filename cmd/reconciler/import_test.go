package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
)

// imported is what a command printed and how it ended.
type imported struct {
	code     int
	out, err string
}

// readOnly serves an account to a client that may only read, and gives a way to
// run commands against it.
func readOnly(t *testing.T, seed *simulator.Seed) (*simulator.Simulator, func(args ...string) imported) {
	t.Helper()
	access, err := simulator.Grant(seed, jose.ES256, false, "okta.accounts.read")
	if err != nil {
		t.Fatal(err)
	}
	sim, config := serveSeed(t, seed, access)
	return sim, func(args ...string) imported {
		var out, errs bytes.Buffer
		code := run(t.Context(), append(args, "--config", config), stdio{strings.NewReader(""), &out, &errs}, nil)
		return imported{code, out.String(), errs.String()}
	}
}

// odd is an account with everything odd that the API can tell.
func odd() *simulator.Seed {
	seed := simulator.DefaultSeed(40)
	words := []string{
		`"quoted" 'names' \ and %s`, "# no comment", "a: b", "- item", "null", "yes", "017", "a\nb\n  - domain: evil.okta.com", "tab\tand\x1b[31mcolour",
		"Ünïcode 製品 🙂", "\u202eright to left", "\u2028line", strings.Repeat("long ", 60),
	}
	for i := range seed.Orgs {
		seed.Orgs[i].Name = words[i%len(words)]
	}
	seed.Account.Name = "Äcme # \"Holdings\": null"
	for i, name := range []string{"SSO", "IT Products - SSO", "sso!", "Null", "IT - 1e3", "製品", "P000777", "baseline", "x # y\nz"} {
		seed.Products[i].Name = name
	}
	seed.Orgs[7].ReadForbidden = true
	seed.Orgs[8].Products = nil
	return seed
}

// What is imported over HTTP differs in nothing from the account, and is the
// same bytes each time.
func TestImportThenDiff(t *testing.T) {
	renamed := simulator.DefaultSeed(5)
	renamed.Account.Name = "two\nlines"
	for name, seed := range map[string]*simulator.Seed{
		"small": simulator.DefaultSeed(2), "odd": odd(), "large": simulator.DefaultSeed(350), "name that can't be declared": renamed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, do := readOnly(t, seed)
			dir := t.TempDir()
			file := filepath.Join(dir, "all.yaml")
			ends := exitOK
			if name == "odd" { // the products of one org can't be read
				ends = exitPartly
			}
			first, second := do("import"), do("import")
			if first.code != ends || first.out != second.out {
				t.Fatalf("%+v\nand again %+v", first, second)
			}
			if err := os.WriteFile(file, []byte(first.out), 0o644); err != nil {
				t.Fatal(err)
			}
			places := []string{file}
			for _, split := range []string{"cell", "status"} {
				place := filepath.Join(dir, split)
				if r := do("import", "--out", place, "--split", split); r.code != ends || !strings.Contains(r.out, filepath.Join(place, "products.yaml")+"\n") {
					t.Fatalf("%+v", r)
				}
				places = append(places, place)
			}
			for _, place := range places {
				r := do("diff", "--detailed-exitcode", "--manifests", place)
				if r.code != exitOK || !strings.Contains(r.out, "No differences") || r.err != "" {
					t.Errorf("diff with %s: %+v", place, r)
				}
			}
			if n := len(sim.Writes()); n > 0 {
				t.Errorf("%d writes", n)
			}
		})
	}
}

// What can't be declared is warned about, and not at any length.
func TestImportWarnings(t *testing.T) {
	seed := simulator.DefaultSeed(40)
	for i := range seed.Orgs {
		seed.Orgs[i].ReadForbidden = true
	}
	seed.Orgs[0].ReadForbidden = false
	_, do := readOnly(t, seed)
	r := do("import")
	if r.code != exitPartly {
		t.Fatalf("%+v", r)
	}
	if n := strings.Count(r.err, "warning: acme"); n != maxWarnings || !strings.Contains(r.err, "warning: and 19 more, which stand in the manifests as comments\n") {
		t.Errorf("%d warnings on stderr:\n%s", n, r.err)
	}
	if n := strings.Count(r.out, "# products not managed, because they could not be read: 403 E0000006"); n != 39 || strings.Contains(r.out, "oae") {
		t.Errorf("%d orgs said not to be managed:\n%s", n, r.out)
	}
}

// Manifests that manage products are not overwritten by others that don't, because
// the products could not be read.
func TestImportOverwritesNothingByLess(t *testing.T) {
	sim, do := readOnly(t, simulator.DefaultSeed(4))
	dir := t.TempDir()
	if r := do("import", "--out", dir); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	before, err := os.ReadFile(filepath.Join(dir, "orgs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	orgs := sim.Dump().Orgs
	for unread := 1; unread <= len(orgs); unread++ {
		if err := sim.SetReadForbidden(orgs[unread-1].Domain, true); err != nil {
			t.Fatal(err)
		}
		r := do("import", "--out", dir, "--force")
		after, err := os.ReadFile(filepath.Join(dir, "orgs.yaml"))
		if r.code != exitError || !bytes.Equal(before, after) || err != nil {
			t.Fatalf("%d unread: %+v, %v\n%s", unread, r, err, after)
		}
	}
	if r := do("import"); r.code != exitError || r.out != "" || !strings.Contains(r.err, "the products of no org (") {
		t.Errorf("to stdout: %+v", r)
	}
}

// A file is replaced whole or not at all.
func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "orgs.yaml")
	for _, text := range []string{"first", "second"} {
		if err := replaceFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(filepath.Join(dir, "folder"), nil); err == nil {
		t.Error("a folder was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
}

// serveSeed serves a simulator with the seed until the test ends, and returns it and the
// path of a config for it.
func serveSeed(t *testing.T, seed *simulator.Seed, access *simulator.Access) (sim *simulator.Simulator, config string) {
	t.Helper()
	sim, err := simulator.New(seed, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	access.URL = srv.URL
	config, err = simulator.WriteConfig(t.TempDir(), seed, *access)
	if err != nil {
		t.Fatal(err)
	}
	return sim, config
}
