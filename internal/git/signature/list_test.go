package signature

import (
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/google/go-cmp/cmp"
)

// TestList lists keys of all kinds at a time, and compares what it lists with
// what becomes of their signatures.
func TestList(t *testing.T) {
	at := day("2026-06-01")
	m := newMaker(t)
	good := m.key("Grace", "grace@example.com")
	m.config.KeyLifetimeSecs = uint32(365 * 24 * time.Hour / time.Second)
	old := m.key("Old", "old@example.com")
	m.at(day("2026-01-01"))
	soon := m.key("Soon", "soon@example.com")

	var ssh []string
	for i, options := range []string{
		"", `valid-before="20260701Z"`, `valid-before="20260501Z"`, `valid-after="20260701Z"`, `namespaces="file"`, "cert-authority",
	} {
		ssh = append(ssh, strings.Join(strings.Fields("s"+string(rune('0'+i))+"@x "+options+" "+authorized(sshSeed(t, byte(i)).PublicKey())), " "))
	}
	keys := mustParse(t, strings.Join(ssh, "\n")+"\n"+m.armored(good)+"\n"+m.armored(old)+"\n"+m.armored(soon)+"\n")

	type line struct {
		name, kind string
		authority  bool
		until      string
		reason     Reason
	}
	var got []line
	for _, k := range keys.List(at) {
		l := line{k.Principal, k.Kind, k.Authority, "", k.Reason}
		if !k.Until.IsZero() {
			l.until = k.Until.UTC().Format(time.DateOnly)
		}
		got = append(got, l)
	}
	expected := []line{
		{"s0@x", "ssh", false, "", ""},
		{"s1@x", "ssh", false, "2026-07-01", ""},
		{"s2@x", "ssh", false, "2026-05-01", Expired},
		{"s3@x", "ssh", false, "", NotYetValid},
		{"s4@x", "ssh", false, "", WrongNamespace},
		{"s5@x", "ssh", true, "", ""},
		{"grace@example.com", "pgp", false, "", ""},
		{"old@example.com", "pgp", false, "2026-01-01", Expired},
		{"soon@example.com", "pgp", false, "2027-01-01", ""},
	}
	if diff := cmp.Diff(expected, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("(-expected +got)\n%s", diff)
	}

	for i, k := range keys.List(at) {
		if k.Kind != "ssh" || k.Authority {
			continue
		}
		_, err := keys.Commit(signed(t, sshSeed(t, byte(i)), at), at)
		if r := reason(t, err); r != k.Reason {
			t.Errorf("%s: a signature is refused for %q, and the list says %q", k.Principal, r, k.Reason)
		}
	}
	m.at(at)
	for _, e := range []struct {
		key    *openpgp.Entity
		reason Reason
	}{{good, ""}, {old, Expired}, {soon, ""}} {
		_, err := keys.Commit(m.sign(e.key.PrivateKey, nil), at)
		if r := reason(t, err); r != e.reason {
			t.Errorf("%s: a signature is refused for %q", e.key.PrimaryIdentity().Name, r)
		}
	}
	if all := (*Keys)(nil).List(at); all != nil {
		t.Errorf("no keys: %v", all)
	}
}

// TestListGnuPG lists keys that gpg made: of one that signs by a subkey, the
// subkey's end counts.
func TestListGnuPG(t *testing.T) {
	l := newLab(t).gnupg().at(day("2025-01-01"))
	_, fp := l.pgpKey("Ada <ada@example.com>", "cert", "never")
	l.gpg("", "--quick-add-key", fp, "ed25519", "sign", "2026-01-01")
	l.gpg("", "--quick-add-key", fp, "ed25519", "sign", "2026-07-01")
	_, only := l.pgpKey("Bea <bea@example.com>", "cert", "never")
	keys := mustParse(t, l.gpg("", "--armor", "--export", fp, only))
	for _, tt := range []struct {
		at     string
		until  string
		reason Reason
	}{
		{"2025-06-01", "2026-07-01", ""},
		{"2026-06-01", "2026-07-01", ""},
		{"2026-08-01", "2026-07-01", Expired},
	} {
		all := keys.List(day(tt.at))
		if len(all) != 2 || all[0].Until.UTC().Format(time.DateOnly) != tt.until || all[0].Reason != tt.reason || all[0].Key != fp {
			t.Errorf("at %s: %+v", tt.at, all)
		}
		if all[1].Reason != NotAllowed || !all[1].Until.IsZero() {
			t.Errorf("a key that only certifies: %+v", all[1])
		}
	}
}
