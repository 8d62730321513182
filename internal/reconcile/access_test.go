package reconcile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reconciler/internal/config"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

const accessAccount = "0200acme"

// openTestAccess returns the way into orgs of a config with a key for each org, a journal
// and a folder of tokens, and the journal for writing.
func openTestAccess(t *testing.T, environ ...string) (*Access, *journal.Writer) {
	t.Helper()
	dir := t.TempDir()
	cfg, _, err := config.Load(config.DefaultFile, append([]string{
		"RECONCILER_AERIAL_ACCOUNT_ID=" + accessAccount, "RECONCILER_STATE_DIR=" + filepath.Join(dir, "state"),
		"RECONCILER_TOKENS_DIR=" + filepath.Join(dir, "tokens"), "RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=" + filepath.Join(dir, "{domain}.pem"),
		"RECONCILER_ORGS_AUTH_KEY_ID=k1", "RECONCILER_ORGS_AUTH_DPOP=true",
	}, environ...))
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New(StateOf(cfg), journal.Options{})
	w, err := j.Lock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	a, err := OpenAccess(cfg, j, AccessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	return a, w
}

// store writes the file of a token.
func (a *Access) store(t *testing.T, name, secret string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.cfg.Tokens.Dir, name), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The manifest's app comes before the journal's, and that before the stored token; an
// app that isn't proved doesn't count, nor does the token of another org.
func TestCredentials(t *testing.T) {
	const domain, id = "acme.okta.com", "00o1"
	a, w := openTestAccess(t)
	if _, err := a.Credentials(domain, id, ""); err == nil || !strings.Contains(text.Hint(err), "reconciler access acme.okta.com") {
		t.Errorf("with nothing: %v", err)
	}
	a.store(t, "acme.okta.com_00o2.token", "00another")
	if _, err := a.Credentials(domain, id, ""); err == nil {
		t.Error("it takes the token of another org")
	}
	a.store(t, "acme.okta.com_00o1.token.age", "-----BEGIN AGE ENCRYPTED FILE-----")
	if _, err := a.Credentials(domain, id, ""); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("encrypted: %v", err)
	}
	if err := os.Remove(filepath.Join(a.cfg.Tokens.Dir, "acme.okta.com_00o1.token.age")); err != nil {
		t.Fatal(err)
	}
	a.store(t, "acme.okta.com_00o1.token", "00ours")
	token := func() {
		t.Helper()
		c, err := a.Credentials(domain, id, "")
		if err != nil || c.ClientID != "" {
			t.Fatalf("%+v, %v", c, err)
		}
		if got, err := c.Token(); err != nil || got != "00ours" {
			t.Error(got, err)
		}
	}
	token()
	for _, err := range []error{
		w.BeginAccess(journal.Access{Account: accessAccount, OrgID: id, Domain: domain, Role: "ORG_ADMIN"}),
		w.MarkAccess(accessAccount, id, journal.AccessAssigned, "0oa1", "c1"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	token()
	if err := w.MarkAccess(accessAccount, id, journal.AccessDone, "0oa1", "c1"); err != nil {
		t.Fatal(err)
	}
	for declared, want := range map[string]string{"": "c1", "c2": "c2"} {
		c, err := a.Credentials(domain, id, declared)
		if err != nil || c.ClientID != want || c.KeyID != "k1" || !c.DPoP {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := c.Key(t.Context()); err == nil || !strings.Contains(err.Error(), "acme.okta.com.pem") {
			t.Errorf("the key isn't the org's: %v", err)
		}
	}
	a, _ = openTestAccess(t, "RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=", "RECONCILER_ORGS_AUTH_KEY_ID=", "RECONCILER_ORGS_AUTH_DPOP=")
	if _, err := a.Credentials(domain, id, "c2"); err == nil || text.Hint(err) != "set orgs.auth.privateKeyFile" {
		t.Errorf("without a key: %v", err)
	}
}

// Which org has a domain is said by the manifest, the journal, Okta, or the file of its
// token, and guessed by none.
func TestOrgID(t *testing.T) {
	a, w := openTestAccess(t)
	id := func(domain string, declared *state.DesiredOrg) string {
		id, err := a.orgID(domain, declared)
		if err != nil {
			return err.Error()
		}
		return id
	}
	if got := id("acme.okta.com", nil); !strings.Contains(got, "is not known") {
		t.Error(got)
	}
	a.store(t, "acme.okta.com_00o1.token", "x")
	if got := id("acme.okta.com", &state.DesiredOrg{}); got != "00o1" {
		t.Error(got)
	}
	a.store(t, "acme.okta.com_00o2.token", "y")
	if got := id("acme.okta.com", nil); !strings.Contains(got, "2 orgs have had the domain") {
		t.Error(got)
	}
	if err := w.KnowOrgs(accessAccount, journal.Org{ID: "00o2", Domain: "acme.okta.com"}); err != nil {
		t.Fatal(err)
	}
	if got := id("acme.okta.com", nil); got != "00o2" {
		t.Error(got)
	}
	if got := id("acme.okta.com", &state.DesiredOrg{ID: "00o3"}); got != "00o3" {
		t.Error(got)
	}
}

// An app may manage what is declared, and read what that names besides.
func TestScopesOf(t *testing.T) {
	rules := objects.ByName("groupRules")
	declared := &state.DesiredOrg{Config: &objects.Declared{Objects: []*objects.Object{
		{Ref: objects.Ref{Kind: objects.ByName("behaviors"), Name: "b"}, Body: map[string]any{"name": "b"}},
		{Ref: objects.Ref{Kind: rules, Name: "r"}, Body: map[string]any{"name": "r"}},
	}}}
	scopes, proof := scopesOf(declared)
	if want := []string{"okta.behaviors.manage", "okta.behaviors.read", "okta.groups.manage", "okta.groups.read"}; !slices.Equal(scopes, want) {
		t.Errorf("scopes: %q", scopes)
	}
	if proof == nil || proof.Parent != nil {
		t.Errorf("proof: %+v", proof)
	}
	all, proof := scopesOf(nil)
	for _, k := range objects.Kinds() {
		if !slices.Contains(all, k.API.Scope+".read") || !slices.Contains(all, k.API.Scope+".manage") {
			t.Errorf("%s is missing", k.API.Scope)
		}
	}
	if proof == nil || proof.API.Engine != "" {
		t.Errorf("proof: %+v", proof)
	}
}

// The files that a config names are all looked at, one for each org as far as that goes.
func TestCheckOrgsKey(t *testing.T) {
	a, _ := openTestAccess(t)
	if err := checkOrgsKey(t.Context(), &a.cfg.Orgs.Auth); err != nil {
		t.Error(err)
	}
	a, _ = openTestAccess(t, "RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=/nowhere/{domain}.pem")
	if err := checkOrgsKey(t.Context(), &a.cfg.Orgs.Auth); err == nil || !strings.HasPrefix(err.Error(), "orgs.auth.privateKeyFile: ") {
		t.Error(err)
	}
	a, _ = openTestAccess(t, "RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=/nowhere/orgs.pem")
	if err := checkOrgsKey(t.Context(), &a.cfg.Orgs.Auth); err == nil || !strings.HasPrefix(err.Error(), "orgs.auth.privateKeyFile: ") {
		t.Error(err)
	}
}
