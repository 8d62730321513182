package tokens

import (
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestAgeRecipients(t *testing.T) {
	one, err := age.GenerateX25519Identity()
	must(t, err)
	two, err := age.GenerateX25519Identity()
	must(t, err)
	dir := t.TempDir()
	file := "# the platform team\n" + one.Recipient().String() + "\n\n# the safe\n" + two.Recipient().String() + "\n"
	for name, recipients := range map[string][]string{
		"list": {one.Recipient().String(), two.Recipient().String()},
		"file": {file},
		"both": {file, one.Recipient().String()},
	} {
		s, err := Age(filepath.Join(dir, name), recipients)
		must(t, err)
		must(t, s.Probe(t.Context()))
		where := store(t, s, meta(), canary)
		for _, key := range []age.Identity{one, two} {
			if actual := decrypt(t, where, key); actual != string(canary)+"\n" {
				t.Errorf("%s: %q", name, actual)
			}
		}
		if !strings.HasPrefix(content(t, where), "-----BEGIN AGE ENCRYPTED FILE-----\n") {
			t.Errorf("%s: not armored", name)
		}
		quiet(t, s)
	}
	s, err := Age(dir, []string{file})
	must(t, err)
	if !strings.HasSuffix(s.String(), ", encrypted to 2 age recipients") {
		t.Error(s)
	}
}

func TestAgePostQuantum(t *testing.T) {
	key, err := age.GenerateHybridIdentity()
	must(t, err)
	s, err := Age(t.TempDir(), []string{key.Recipient().String()})
	must(t, err)
	if !strings.HasSuffix(s.String(), ", encrypted to 1 age recipient") {
		t.Error(s)
	}
	if actual := decrypt(t, store(t, s, meta(), canary), key); actual != string(canary)+"\n" {
		t.Errorf("%q", actual)
	}
	classic, err := age.GenerateX25519Identity()
	must(t, err)
	_, err = Age(t.TempDir(), []string{key.Recipient().String(), classic.Recipient().String()})
	wantError(t, err, "can't be encrypted to", "not both")
}

// TestAgeBadRecipients: a private key that stands there by mistake is not told.
func TestAgeBadRecipients(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	must(t, err)
	good := key.Recipient().String()
	for _, tt := range []struct {
		recipients  []string
		words, hint string
	}{
		{nil, "no recipients are given", "age-keygen"},
		{[]string{""}, "recipient 1 is no public key", "age1"},
		{[]string{"# nobody\n"}, "recipient 1 is no public key", "age1"},
		{[]string{good, key.String()}, "recipient 2 is a private key", "take it out"},
		{[]string{strings.ToLower(key.String())}, "recipient 1 is a private key", "take it out"},
		{[]string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN ada"}, "recipient 1 is an SSH key", "age-keygen"},
		{[]string{good[:len(good)-1]}, "recipient 1 is no public key", ""},
		{[]string{"age1" + string(canary)}, "recipient 1 is no public key", ""},
		{[]string{string(canary)}, "recipient 1 is no public key", ""},
	} {
		_, err := Age(t.TempDir(), tt.recipients)
		wantError(t, err, tt.words, tt.hint)
		for _, r := range tt.recipients {
			if r != "" && strings.Contains(err.Error(), r) {
				t.Errorf("the recipient is told: %v", err)
			}
		}
	}
}
