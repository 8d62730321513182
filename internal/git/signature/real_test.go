package signature

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// realCase is an object, and who signed it by the keys, or why it is rejected.
type realCase struct {
	name, keys string
	kind       string // "commit" unless it is "tag"
	raw        []byte
	at         time.Time // later by default
	principal  string
	reason     Reason
	// stricter is set if git accepts what is rejected here.
	stricter bool
}

// now is when objects are checked, by default.
var now = day("2026-06-01")

// made is when they were made, by default.
var made = day("2026-03-01")

func (c realCase) check(t *testing.T, kind string, verifies func(c realCase) (bool, string)) {
	t.Helper()
	if c.at.IsZero() {
		c.at = now
	}
	if c.kind == "" {
		c.kind = "commit"
	}
	keys := mustParse(t, c.keys)
	check := keys.Commit
	if c.kind == "tag" {
		check = keys.Tag
	}
	by, err := check(c.raw, c.at)
	if got := reason(t, err); got != c.reason {
		t.Fatalf("refused for %q, should be %q: %v\n%s", got, c.reason, err, c.raw)
	}
	if err == nil && (by.Principal != c.principal || by.Kind != kind || by.Key == "") {
		t.Errorf("signed by %#v, should be by %s", by, c.principal)
	}
	accepted, why := verifies(c)
	if accepted != (c.reason == "" || c.stricter) {
		t.Errorf("git accepts it: %v, which should not be so: %s\nhere: %v", accepted, why, err)
	}
}

// TestSSH checks objects that git signed with SSH keys, and asks git about the
// same objects with the same keys.
func TestSSH(t *testing.T) {
	needs(t, "ssh-keygen")
	l := newLab(t).at(made)
	ada, adaKey := l.sshKey("ada", "-t", "ed25519")
	bob, bobKey := l.sshKey("bob", "-t", "ecdsa", "-b", "384")
	carl, carlKey := l.sshKey("carl", "-t", "rsa", "-b", "2048")
	eve, _ := l.sshKey("eve", "-t", "ed25519")
	_, caKey := l.sshKey("ca", "-t", "ed25519")
	certificate := func(name string, args ...string) []string {
		l.sshKey(name, "-t", "ed25519")
		l.run("", "ssh-keygen", append(append([]string{"-q", "-s", "ca", "-I", name}, args...), name+".pub")...)
		return signWith(filepath.Join(l.dir, name+"-cert.pub"))
	}
	agent := l.agent()
	certified := func(name string, args ...string) []byte {
		settings := certificate(name, args...)
		agent.run("", "ssh-add", "-q", name)
		return agent.commit(name, settings...)
	}

	unsigned := l.commit("unsigned")
	good := l.commit("good", ada...)
	long := l.commit("good\n\nwith more\nlines and no end", ada...)
	byCarl := l.commit("rsa", carl...)
	byEve := l.commit("eve", eve...)
	tag := l.tag("v1", "good", ada...)
	plainTag := l.tag("v0", "not signed")
	l.git("checkout", "-q", "-b", "side", string(unsignedName(l)))
	l.commit("unsigned too")
	l.git(append(append([]string{}, bob...), "merge", "-q", "-S", "--no-ff", "-m", "merge", "main")...)
	merge := []byte(l.git("cat-file", "commit", "HEAD"))
	l.git("checkout", "-q", "main")
	year := []string{"-V", "20260101:20270101"}
	cert := certified("dora", append(year, "-n", "dora@example.com,dd")...)
	noPrincipal := certified("noone", year...)
	host := certified("host", append(year, "-h", "-n", "dora@example.com")...)
	forced := certified("forced", append(year, "-n", "dora@example.com", "-O", "force-command=true")...)
	early := certified("early", "-V", "20260401:20270101", "-n", "dora@example.com")
	late := certified("late", "-V", "20250101:20260401", "-n", "dora@example.com")
	file := otherNamespace(l, good)

	line := "ada@example.com " + adaKey + "\n"
	ca := func(principals string) string { return principals + ` cert-authority ` + caKey + "\n" }
	limited := func(options string) string { return "ada@example.com " + options + " " + adaKey + "\n" }
	tests := []realCase{
		{name: "good", keys: line, raw: good, principal: "ada@example.com"},
		{name: "good, of many", keys: "# ours\n\nbob@example.com " + bobKey + "\n" + line, raw: long, principal: "ada@example.com"},
		{name: "rsa", keys: `"carl@example.com,c" ` + carlKey + " a comment\r\n", raw: byCarl, principal: "carl@example.com"},
		{name: "wildcard", keys: "*@example.com " + adaKey, raw: good, principal: "*@example.com"},
		{name: "excluded principal", keys: "ada,!ada,*@x " + adaKey, raw: good, principal: "*@x"},
		{name: "namespaces", keys: limited(`namespaces="file,g?t"`), raw: good, principal: "ada@example.com"},
		{name: "first line over, second not", keys: limited(`valid-before="20260201Z"`) + "ada@home " + adaKey, raw: good, principal: "ada@home"},
		{name: "signed merge of the unsigned", keys: "bob@example.com " + bobKey, raw: merge, principal: "bob@example.com"},
		{name: "tag", kind: "tag", keys: line, raw: tag, principal: "ada@example.com"},

		{name: "unsigned", keys: line, raw: unsigned, reason: Unsigned},
		{name: "unsigned tag", kind: "tag", keys: line, raw: plainTag, reason: Unsigned},
		{name: "unknown key", keys: line, raw: byEve, reason: UnknownKey},
		{name: "expired", keys: limited(`valid-before="20260228Z"`), raw: good, reason: Expired},
		{name: "expired since", keys: limited(`valid-before="20260501Z"`), raw: good, reason: Expired, stricter: true},
		{name: "expired since it was accepted", keys: limited(`valid-before="20260501Z"`), raw: good, at: day("2026-04-01"), principal: "ada@example.com"},
		{name: "not yet valid", keys: limited(`valid-after="20260302Z"`), raw: good, reason: NotYetValid},
		{name: "key for files", keys: limited(`namespaces="file"`), raw: good, reason: WrongNamespace},
		{name: "signature for files", keys: line, raw: file, reason: WrongNamespace},
		{name: "message edited", keys: line, raw: edit(t, good, "\n\ngood", "\n\ngoof"), reason: BadSignature},
		{name: "tree edited", keys: line, raw: edit(t, good, "tree 4", "tree 5"), reason: BadSignature},
		{name: "parent edited", keys: line, raw: edit(t, good, "parent ", "parent "+strings.Repeat("0", 40)+"\nparent "), reason: BadSignature},
		{name: "author edited", keys: line, raw: edit(t, good, "author Ada", "author Eve"), reason: BadSignature},
		{name: "backdated", keys: line, raw: edit(t, good, "> 1772323200 +0000\ngpgsig", "> 1772323100 +0000\ngpgsig"), reason: BadSignature},
		{name: "header added", keys: line, raw: edit(t, good, "gpgsig ", "encoding x\ngpgsig "), reason: BadSignature},
		{name: "signature of another commit", keys: line, raw: transplant(t, good, unsigned), reason: BadSignature},
		{name: "signature in the message", keys: line, raw: append(append([]byte{}, unsigned...), signatureOf(t, good)...), reason: Unsigned},
		{name: "signature in another header", keys: line, raw: edit(t, good, "\ngpgsig ", "\nmergetag "), reason: Unsigned},
		{name: "tag edited", kind: "tag", keys: line, raw: edit(t, tag, "tag v1", "tag v2"), reason: BadSignature},
		{name: "tag with more after its end", kind: "tag", keys: line, raw: append(append([]byte{}, tag...), "and more\n"...), reason: Malformed, stricter: true},

		{name: "two signatures", keys: line, raw: edit(t, good, "gpgsig ", "gpgsig x\ngpgsig "), reason: Malformed},
		{name: "authority's key signs no commit itself", keys: "ada cert-authority " + adaKey, raw: good, reason: UnknownKey},
		{name: "certificate", keys: ca("*@example.com"), raw: cert, principal: "dora@example.com"},
		{name: "certificate for others", keys: ca("*@example.org"), raw: cert, reason: NotAllowed},
		{name: "certificate of an unknown authority", keys: "*@example.com cert-authority " + adaKey, raw: cert, reason: UnknownKey},
		{name: "certificate without principal", keys: ca("*"), raw: noPrincipal, reason: NotAllowed},
		{name: "certificate of a host", keys: ca("*"), raw: host, reason: NotAllowed},
		{name: "certificate with a condition", keys: ca("*"), raw: forced, reason: NotAllowed, stricter: true},
		{name: "certificate not yet valid", keys: ca("*"), raw: early, reason: NotYetValid},
		{name: "certificate expired since", keys: ca("*"), raw: late, reason: Expired, stricter: true},
		{name: "certificate long expired", keys: ca("*"), raw: late, at: day("2030-01-01"), reason: Expired, stricter: true},
		{name: "authority expired", keys: `* cert-authority,valid-before="20260201Z" ` + caKey, raw: cert, reason: Expired},
		{name: "certified key by itself", keys: "dora@example.com " + strings.TrimSpace(l.read("dora.pub")), raw: cert, reason: UnknownKey},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			c.check(t, "ssh", func(c realCase) (bool, string) {
				file := l.write("allowed", c.keys)
				return l.verifies(c.kind, c.raw, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+file)
			})
		})
	}
}

// agent returns the lab with an ssh-agent, through which git signs with
// certificates.
func (l *lab) agent() *lab {
	l.t.Helper()
	needs(l.t, "ssh-agent", "ssh-add")
	var env []string
	for _, word := range strings.FieldsFunc(l.run("", "ssh-agent", "-s"), func(r rune) bool { return r == ';' || r == '\n' || r == ' ' }) {
		if strings.HasPrefix(word, "SSH_") {
			env = append(env, word)
		}
	}
	c := l.with(env...)
	l.t.Cleanup(func() { _, _ = c.try("", "ssh-agent", "-k") })
	return c
}

func unsignedName(l *lab) string {
	return strings.TrimSpace(l.git("rev-list", "--max-parents=0", "HEAD"))
}

// signatureOf returns the armored signature of a commit.
func signatureOf(t testing.TB, raw []byte) []byte {
	t.Helper()
	o, err := parseCommit(raw)
	if err != nil || o.signature == nil {
		t.Fatalf("no signature: %v", err)
	}
	return o.signature
}

// withSignature returns the unsigned commit with the signature put into it.
func withSignature(t testing.TB, unsigned, sig []byte) []byte {
	t.Helper()
	text := strings.ReplaceAll(strings.TrimSuffix(string(sig), "\n"), "\n", "\n ")
	return edit(t, unsigned, "\n\n", "\ngpgsig "+text+"\n\n")
}

// transplant puts the signature of one commit into another.
func transplant(t testing.TB, from, to []byte) []byte {
	t.Helper()
	return withSignature(t, to, signatureOf(t, from))
}

// otherNamespace signs a commit with ada's key for files.
func otherNamespace(l *lab, good []byte) []byte {
	l.t.Helper()
	o, err := parseCommit(good)
	if err != nil {
		l.t.Fatal(err)
	}
	sig := l.run(string(o.payload), "ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", "ada")
	return withSignature(l.t, o.payload, []byte(sig))
}

// TestPGP checks objects that git signed with OpenPGP keys, and asks git about
// the same objects with the same keys.
func TestPGP(t *testing.T) {
	l := newLab(t).gnupg()
	born := l.at(day("2025-01-01"))
	ada, adaID := born.pgpKey("Ada Lovelace <ada@example.com>", "sign", "0")
	eve, _ := born.pgpKey("Eve <eve@example.com>", "sign", "0")
	brief, briefID := born.pgpKey("Brief <brief@example.com>", "sign", "2026-04-01")
	sub, subID := born.pgpKey("Only a name", "cert", "0")
	born.gpg("", "--quick-add-key", subID, "ed25519", "sign", "2026-04-01")
	lost, lostID := born.pgpKey("Lost <lost@example.com>", "sign", "0")
	_, laterID := l.at(day("2026-05-01")).pgpKey("Later <later@example.com>", "sign", "0")
	export := func(id string) string { return l.at(now).gpg("", "--armor", "--export", id) }
	adaKey, briefKey, subKey, lostKey := export(adaID), export(briefID), export(subID), export(lostID)
	at := l.at(made)

	unsigned := at.commit("unsigned")
	good := at.commit("good\n\nin two parts", ada...)
	byEve := at.commit("eve", eve...)
	byBrief := at.commit("brief", brief...)
	bySub := at.commit("sub", sub...)
	byLost := at.commit("lost", lost...)
	tag := at.tag("v1", "good", ada...)
	plainTag := at.tag("v0", "not signed")
	at.git("checkout", "-q", "-b", "side")
	at.commit("unsigned too")
	at.git("checkout", "-q", "main")
	at.git(append(append([]string{}, ada...), "merge", "-q", "-S", "--no-ff", "-m", "merge", "side")...)
	merge := []byte(at.git("cat-file", "commit", "HEAD"))

	// The owner of the brief key extends it; the lost one is revoked.
	at.gpg("", "--quick-set-expire", briefID, "2028-01-01")
	extended := export(briefID)
	revocation := readGnuPG(t, l, "openpgp-revocs.d/"+lostID+".rev")
	at.gpg(strings.Replace(revocation, ":-----BEGIN", "-----BEGIN", 1), "--import")
	revoked := export(lostID)

	tests := []realCase{
		{name: "good", keys: adaKey, raw: good, principal: "ada@example.com"},
		{name: "good, of many", keys: "# keys\n" + lostKey + adaKey + briefKey, raw: good, principal: "ada@example.com"},
		{name: "in binary form", keys: l.at(now).gpg("", "--export", briefID, adaID), raw: good, principal: "ada@example.com"},
		{name: "user id without an address, signed by a subkey", keys: subKey, raw: bySub, at: day("2026-03-15"), principal: "Only a name"},
		{name: "signed merge of the unsigned", keys: adaKey, raw: merge, principal: "ada@example.com"},
		{name: "tag", kind: "tag", keys: adaKey, raw: tag, principal: "ada@example.com"},
		{name: "good before the key expired", keys: briefKey, raw: byBrief, at: day("2026-03-31"), principal: "brief@example.com"},
		{name: "extended", keys: extended, raw: byBrief, principal: "brief@example.com"},
		{name: "before it was known to be lost", keys: lostKey, raw: byLost, principal: "lost@example.com"},

		{name: "unsigned", keys: adaKey, raw: unsigned, reason: Unsigned},
		{name: "unsigned tag", kind: "tag", keys: adaKey, raw: plainTag, reason: Unsigned},
		{name: "unknown key", keys: adaKey, raw: byEve, reason: UnknownKey},
		{name: "expired", keys: briefKey, raw: byBrief, reason: Expired},
		{name: "expired subkey", keys: subKey, raw: bySub, reason: Expired},
		{name: "not yet valid", keys: adaKey, raw: good, at: day("2024-06-01"), reason: NotYetValid},
		{name: "revoked", keys: revoked, raw: byLost, reason: Revoked},
		{name: "message edited", keys: adaKey, raw: edit(t, good, "\n\ngood", "\n\ngoof"), reason: BadSignature},
		{name: "tree edited", keys: adaKey, raw: edit(t, good, "tree 4", "tree 5"), reason: BadSignature},
		{name: "parent edited", keys: adaKey, raw: edit(t, good, "parent ", "parent "+strings.Repeat("0", 40)+"\nparent "), reason: BadSignature},
		{name: "author edited", keys: adaKey, raw: edit(t, good, "author Ada", "author Eve"), reason: BadSignature},
		{name: "signature of another commit", keys: adaKey, raw: transplant(t, good, unsigned), reason: BadSignature},
		{name: "signature in the message", keys: adaKey, raw: append(append([]byte{}, unsigned...), signatureOf(t, good)...), reason: Unsigned},
		{name: "two signatures", keys: adaKey + lostKey, raw: twice(t, good), reason: Malformed},
		{name: "tag edited", kind: "tag", keys: adaKey, raw: edit(t, tag, "tag v1", "tag v2"), reason: BadSignature},
		{name: "x509", keys: adaKey, raw: withSignature(t, unsigned, []byte("-----BEGIN SIGNED MESSAGE-----\nMIIB\n-----END SIGNED MESSAGE-----\n")), reason: Unsupported},
		{name: "a message, no signature", keys: adaKey, raw: withSignature(t, unsigned, []byte("-----BEGIN PGP MESSAGE-----\n\naaaa\n-----END PGP MESSAGE-----\n")), reason: Unsupported},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			c.check(t, "pgp", func(c realCase) (bool, string) {
				v := l.gnupg().at(c.at)
				v.gpg(c.keys, "--import")
				return v.verifies(c.kind, c.raw, "-c", "gpg.program="+v.faked())
			})
		})
	}

	t.Run("not yet made when signed", func(t *testing.T) {
		// No program signs with a key from the future, so the key is moved there.
		k := mustParse(t, adaKey)
		k.pgp[0].PrimaryKey.CreationTime = day("2026-04-01")
		_, err := k.Commit(good, now)
		if got := reason(t, err); got == "" {
			t.Error("accepted")
		}
	})
	t.Run("signer", func(t *testing.T) {
		by, err := mustParse(t, subKey).Commit(bySub, day("2026-03-15"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Signer{"Only a name", subID, "pgp"}, by); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("key twice", func(t *testing.T) {
		_, err := Parse("keys", []byte(lostKey+adaKey+revoked))
		if err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("a key and its revoked copy: %v", err)
		}
	})
	t.Run("secret", func(t *testing.T) {
		secret := at.gpg("", "--armor", "--export-secret-keys", adaID)
		for _, text := range []string{
			secret, adaKey + secret, strings.ReplaceAll(secret, "PRIVATE KEY", "PUBLIC KEY"),
			at.gpg("", "--export-secret-keys", adaID),
		} {
			_, err := Parse("keys", []byte(text))
			if err == nil || !strings.Contains(err.Error(), "secret key") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
				t.Errorf("a secret key: %v", err)
			}
		}
	})
	t.Run("later", func(t *testing.T) {
		by, err := mustParse(t, export(laterID)).Commit(good, now)
		if reason(t, err) != UnknownKey {
			t.Errorf("signed by %s: %v", by, err)
		}
	})
}

func readGnuPG(t *testing.T, l *lab, name string) string {
	t.Helper()
	for _, e := range l.env {
		if home, ok := strings.CutPrefix(e, "GNUPGHOME="); ok {
			return l.run("", "cat", filepath.Join(home, name))
		}
	}
	t.Fatal("no GnuPG home")
	return ""
}

// twice returns the commit with its signature doubled inside of its armor.
func twice(t *testing.T, raw []byte) []byte {
	t.Helper()
	o, err := parseCommit(raw)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := dearmor(string(o.signature), armorPGP)
	if err != nil {
		t.Fatal(err)
	}
	return withSignature(t, o.payload, enarmor(armorPGP, bytes.Repeat(sig, 2)))
}
