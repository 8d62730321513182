package config

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOrgsPerDomain(t *testing.T) {
	cfg, _, err := load("conf/reconciler.yaml", []byte(`
orgs: {url: "http://127.0.0.1:8089/org/{domain}/", auth: {privateKeyFile: "keys/{domain}.pem"}}
guards: {allowLockout: [ACME.okta.com], ownAddresses: [192.0.2.7, 198.51.100.9/24, "::ffff:192.0.2.1"]}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Orgs.URLOf("Acme.okta.com").String(); got != "http://127.0.0.1:8089/org/acme.okta.com" {
		t.Errorf("URL %s", got)
	}
	for domain, want := range map[string]string{
		"Acme.okta.com": filepath.Join("conf", "keys", "acme.okta.com.pem"),
		"../../etc":     filepath.Join("conf", "keys", "{domain}.pem"),
	} {
		if got := cfg.Orgs.Auth.PrivateKey(domain).file(); got != want {
			t.Errorf("the key of %s is in %s", domain, got)
		}
	}
	if !cfg.Orgs.HasAuth() || cfg.Orgs.Auth.Folder() != filepath.Join("conf", "keys") {
		t.Errorf("no key, or none for each org in its folder: %q", cfg.Orgs.Auth.Folder())
	}
	want := Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20, MaxDestructiveOrgsPerDay: 20, MaxNewOrgs: 10, RevertWithin: 24 * time.Hour,
		AllowLockout: []string{"acme.okta.com"},
		OwnAddresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("192.0.2.1/32")},
	}
	if diff := cmp.Diff(want, cfg.Guards, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}
