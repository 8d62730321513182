package tokens

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct{ domain, orgID, desired string }{
		{"acme.okta.com", "00o16fjDHCgFqob8n0g4", "acme.okta.com_00o16fjDHCgFqob8n0g4"},
		{"Acme.Okta.Com", "", "acme.okta.com"},
		{"acme.okta.com", "a_b-c", "acme.okta.com_a_b-c"},
		{"a_b.okta.com", "x", "a%5Fb.okta.com_x"},
		{"../../etc/passwd", "../x", "%2E.%2F..%2Fetc%2Fpasswd_%2E.%2Fx"},
		{".hidden", ".x", "%2Ehidden_%2Ex"},
		{"-rf", "-rf", "%2Drf_%2Drf"},
		{"a\x00b\nc", "~2", "a%00b%0Ac_%7E2"},
		{"", "", "%"},
		{"", "x", "%_x"},
		{"100%.com", "", "100%25.com"},
	} {
		if actual := baseName(tt.domain, tt.orgID); actual != tt.desired {
			t.Errorf("%q, %q: %q, not %q", tt.domain, tt.orgID, actual, tt.desired)
		}
	}
}

// TestAnyNames: whatever Okta calls an org, its token has a file in the folder,
// and is found by its domain and no other.
func TestAnyNames(t *testing.T) {
	dir := t.TempDir()
	word := rapid.OneOf(
		rapid.StringMatching(`[a-z0-9-]{1,20}\.okta\.com`),
		rapid.StringMatching(`[A-Za-z0-9_.~%/-]{0,12}`),
		rapid.StringN(0, 300, 300),
	)
	rapid.Check(t, func(t *rapid.T) {
		domain, orgID, other := word.Draw(t, "domain"), word.Draw(t, "orgID"), word.Draw(t, "other")
		base := baseName(domain, orgID)
		for _, ext := range []string{plainExt, ageExt} {
			for _, n := range []int{1, 2, 999} {
				name := numbered(base, n) + ext
				if filepath.Base(name) != name || name[0] == '.' || name[0] == '-' || len(name) > 255 || strings.ContainsAny(name, "/\\\x00\n") {
					t.Fatalf("%q is no safe name", name)
				}
				id, ok := parseName(name, domain)
				cut := len(escape(orgID, "-_", maxIDName)) == maxIDName
				if !ok || id != orgID && !cut {
					t.Fatalf("%q: %v, id %q, not %q", name, ok, id, orgID)
				}
				if _, ok := parseName(name, other); ok && baseName(domain, "") != baseName(other, "") {
					t.Fatalf("%q is found as a file of %q too", name, other)
				}
			}
			temp := tempName(base, ext)
			if b, e, ok := parseTemp(temp); b != base || e != ext || !ok || len(temp) > 255 {
				t.Fatalf("%q: %q, %q, %v", temp, b, e, ok)
			}
			if _, ok := parseName(temp, domain); ok {
				t.Fatalf("%q passes for a token", temp)
			}
		}
		// The file system agrees.
		path := filepath.Join(dir, base+plainExt)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNamesOfOthers(t *testing.T) {
	for _, name := range []string{
		"", ".", "acme.okta.com", "acme.okta.com.token.bak", "acme.okta.com.au.token", "acme.okta.comx.token", "xacme.okta.com.token",
		"acme.okta.com-x.token", ".acme.okta.com.token", "ballast", ".token", "acme.okta.com.token.gpg",
	} {
		if id, ok := parseName(name, "acme.okta.com"); ok {
			t.Errorf("%q passes for a token of %q", name, id)
		}
	}
	for _, name := range []string{"", ".", ".tmp", "..tmp", ".x.tmp", ".x.y.tmp", "x.token.R.tmp", ".x.token.R"} {
		if base, _, ok := parseTemp(name); ok {
			t.Errorf("%q passes for a file on its way to %q", name, base)
		}
	}
}
