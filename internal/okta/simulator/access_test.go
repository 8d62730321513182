package simulator_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"reconciler/internal/config"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// The config that is written is one that the program takes, and holds what it
// takes to get a token.
func TestWriteConfig(t *testing.T) {
	s := simulatortest.Start(t, simulatortest.Config{Orgs: 5, DPoP: true, Options: simulator.Options{Settle: -1}})
	dir := filepath.Join(t.TempDir(), "sim: #1")
	path, err := simulator.WriteConfig(dir, s.Dump(), s.Access)
	if err != nil {
		t.Fatal(err)
	}
	c, warnings, err := config.Load(path, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, %v", err, warnings)
	}
	if c.Aerial.URL.String() != s.URL || c.Aerial.AccountID != s.AccountID || c.Manifests != filepath.Join(dir, "orgs") {
		t.Errorf("got %+v", c)
	}
	if err := c.NeedAerial(); err != nil {
		t.Error(err)
	}
	if len(c.Parents) != 1 || c.Parents[0].Name != "acme" || c.Parents[0].Settle != 0 {
		t.Errorf("got %+v", c.Parents)
	}
	for _, name := range []string{"aerial.pem", "parent.token", "reconciler.yaml"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(s.ParentToken)) || bytes.Contains(text, []byte("PRIVATE")) {
		t.Error("a secret is in the config")
	}

	// A second time, for another address: keys are replaced, manifests kept.
	manifest := filepath.Join(dir, "orgs", "orgs.yaml")
	if err := os.WriteFile(manifest, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "aerial.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := simulator.WriteConfig(dir, s.Dump(), s.Access); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(manifest); string(text) != "mine" {
		t.Errorf("the manifest is %q", text)
	}
	if info, err := os.Stat(filepath.Join(dir, "aerial.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestWriteConfigWithoutParent(t *testing.T) {
	seed, err := simulator.LoadSeed("seed.yaml", []byte(smallSeed))
	if err != nil {
		t.Fatal(err)
	}
	access, err := simulator.Grant(seed, jose.RS256, false, scopeRead)
	if err != nil {
		t.Fatal(err)
	}
	access.URL = "http://127.0.0.1:1"
	if access.Parent != "" || access.ParentToken != "" {
		t.Errorf("got %+v", access)
	}
	path, err := simulator.WriteConfig(t.TempDir(), seed, *access)
	if err != nil {
		t.Fatal(err)
	}
	if c, _, err := config.Load(path, nil); err != nil || len(c.Parents) != 0 {
		t.Errorf("got %v, %v", c, err)
	}
	if block, _ := pem.Decode(must(access.Credentials.PEM())); block == nil || block.Type != "PRIVATE KEY" {
		t.Errorf("got %v", block)
	}
	if _, err := simulator.Grant(&simulator.Seed{}, jose.RS256, false); err == nil {
		t.Error("access to a seed without an Aerial org")
	}
	if _, err := seed.AddClient("small.okta.com", "HS256"); err == nil {
		t.Error("a key for HS256")
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// The manifest declares exactly what is there.
func TestManifest(t *testing.T) {
	seed := simulator.DefaultSeed(60)
	seed.Account.Name = `Acme: "Holdings" #1`
	seed.Orgs[6].Products, seed.Orgs[7].Status = nil, ""
	for _, p := range []simulator.Product{{ID: "P900001", Name: "IT Products - Null"}, {ID: "P900002", Name: "日本\nx: y"}, {ID: "P900003", Name: "Other - SSO"}, {ID: "P900004", Name: "!"}} {
		seed.Products = append(seed.Products, p)
		seed.Orgs[8].Products = append(seed.Orgs[8].Products, p.ID)
	}
	desired, warnings, err := state.Load([]state.Input{{
		FS: fstest.MapFS{"orgs.yaml": {Data: simulator.Manifest(seed)}}, Root: ".",
	}}, state.LoadOptions{})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, %v\n%s", err, warnings, simulator.Manifest(seed))
	}
	if desired.Account.ID != seed.Account.ID || desired.Account.Name != seed.Account.Name {
		t.Errorf("got %+v", desired.Account)
	}
	type org struct {
		Domain, Cell, Status string
		Products             []string
		Protected            bool
	}
	var got, want []org
	for _, o := range desired.Orgs {
		got = append(got, org{o.Domain, o.Cell, string(o.Status), o.Products, o.Protected})
	}
	for _, o := range seed.Orgs {
		if !o.Managed {
			continue
		}
		status := o.Status
		if status == "" {
			status = "ACTIVE"
		}
		want = append(want, org{o.Domain, o.Cell, status, slices.Sorted(slices.Values(append([]string{}, o.Products...))), o.AerialOrg || o.Creator})
	}
	slices.SortFunc(want, func(a, b org) int { return strings.Compare(a.Domain, b.Domain) })
	for i := range want {
		if want[i].Products == nil {
			want[i].Products = []string{}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
