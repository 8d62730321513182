package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

// sshSeed returns a key made from a seed, so that tests are the same each time.
func sshSeed(t testing.TB, seed byte) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// plain is a commit without a signature, made at the time.
func plain(at time.Time) []byte {
	stamp := fmt.Sprintf("> %d +0000", at.Unix())
	return []byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor Ada <ada@example.com" + stamp +
		"\ncommitter Ada <ada@example.com" + stamp + "\n\nmessage\n")
}

// signed is a commit signed by the SSH key, made at the time.
func signed(t testing.TB, s ssh.Signer, at time.Time) []byte {
	t.Helper()
	raw := plain(at)
	sig, err := sshsig.Sign(bytes.NewReader(raw), s, sshsig.HashSHA512, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return withSignature(t, raw, sshsig.Armor(sig))
}

// TestLines asks OpenSSH about the same lines, where it is there.
func TestLines(t *testing.T) {
	s := sshSeed(t, 1)
	key, other := authorized(s.PublicKey()), authorized(sshSeed(t, 2).PublicKey())
	commit := signed(t, s, made)
	tests := []struct {
		name, text string
		accepted   bool
		openSSH    bool // when it differs
	}{
		{"plain", "a@x KEY", true, true},
		{"comment", "a@x KEY a comment", true, true},
		{"spaces", "  a@x\t KEY", true, true},
		{"CR", "a@x KEY\r\n", true, true},
		{"list", "b,a@x KEY", true, true},
		{"quoted", `"a b,c" KEY`, true, true},
		{"quote inside", `a"b c" KEY`, false, true},
		{"quote open", `"a@x KEY`, false, false},
		{"quote and no space", `"a@x"KEY`, false, true},
		{"pattern", "?@* KEY", true, true},
		{"long list", strings.Repeat("someone@example.com,", 50) + "a@x KEY", true, true},
		{"excluded", "a@x,!a@x KEY", false, false},
		{"nothing but excluded", "!a@x KEY", false, false},
		{"excluded by a pattern", "a@x,!*@x KEY", false, false},
		{"not excluded", "!b@x,a@x KEY", true, true},
		{"empty principal", "a@x,,b@x KEY", false, true},
		{"no principal", "KEY", false, false},
		{"no key", "a@x", false, false},
		{"other key", "a@x OTHER", false, false},
		{"blank and comments", "\n \n# a@x OTHER\n\t# x\na@x KEY", true, true},
		{"second line", "a@x OTHER\na@x KEY", true, true},
		{"bad line before", "a@x junk\na@x KEY", false, true},
		{"bad line behind", "a@x KEY\na@x junk", false, true},
		{"namespaces", `a@x namespaces="git" KEY`, true, true},
		{"namespaces, in capitals", `a@x NAMESPACES="git" KEY`, true, true},
		{"namespaces, several", `a@x namespaces="file,git" KEY`, true, true},
		{"namespaces, pattern", `a@x namespaces="*,!file" KEY`, true, true},
		{"namespaces, excluded", `a@x namespaces="*,!git" KEY`, false, false},
		{"namespaces, other", `a@x namespaces="file" KEY`, false, false},
		{"namespaces, none", `a@x namespaces="" KEY`, false, false},
		{"namespaces, spaces", `a@x namespaces="git, file" KEY`, false, true},
		{"namespaces, unquoted", `a@x namespaces=git KEY`, false, false},
		{"namespaces, open", `a@x namespaces="git KEY`, false, false},
		{"namespaces, twice", `a@x namespaces="git",namespaces="git" KEY`, false, false},
		{"namespaces, escaped quote", `a@x namespaces="a\"b,git" KEY`, true, true},
		{"namespaces without value", `a@x namespaces KEY`, false, false},
		{"authority", "a@x cert-authority KEY", false, false},
		{"authority with a value", `a@x cert-authority="x" KEY`, false, false},
		{"unknown option", "a@x no-touch-required KEY", false, false},
		{"option twice", `a@x cert-authority,cert-authority KEY`, false, false},
		{"comma behind", `a@x namespaces="git", KEY`, false, false},
		{"comma before", `a@x ,namespaces="git" KEY`, false, true},
		{"no comma between", `a@x namespaces="git"valid-after="20200101" KEY`, false, false},
		{"space between", `a@x namespaces="git" valid-after="20200101" KEY`, false, false},
		{"valid", `a@x valid-after="20260101",valid-before="20270101" KEY`, true, true},
		{"valid, to the minute", `a@x valid-after="202602282359Z",valid-before="202603010000Z" KEY`, false, true}, // over when checked
		{"valid, to the second", `a@x valid-after="20260301000000Z" KEY`, true, true},
		{"one second early", `a@x valid-after="20260301000001Z" KEY`, false, false},
		{"one second late", `a@x valid-before="20260228235959Z" KEY`, false, false},
		{"Z in small", `a@x valid-before="20270101z" KEY`, true, true},
		{"UTC", `a@x valid-before="20270101UTC" KEY`, true, true},
		{"no such length", `a@x valid-before="2027" KEY`, false, false},
		{"no digits", `a@x valid-before="Z" KEY`, false, false},
		{"spaces in time", `a@x valid-before="20270101 " KEY`, false, false},
		{"no such day", `a@x valid-before="20270231" KEY`, false, true},
		{"before 1970", `a@x valid-before="19691231Z" KEY`, false, false},
		{"1970", `a@x valid-after="19700101Z" KEY`, false, false},
		{"backwards", `a@x valid-after="20270101",valid-before="20250101" KEY`, false, false},
		{"at once", `a@x valid-after="20270101",valid-before="20270101" KEY`, false, false},
		{"type and key differ", "a@x " + strings.Replace(key, "ssh-ed25519", "ssh-rsa", 1), false, false},
		{"key cut", "a@x " + key[:len(key)-4], false, false},
		{"key longer", "a@x " + key + "AAAA", false, false},
	}
	l := maybeLab(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := strings.NewReplacer("KEY", key, "OTHER", other).Replace(test.text)
			keys, err := parseKeys("keys", []byte(text), time.UTC)
			if err == nil {
				_, err = keys.Commit(commit, now)
			}
			if (err == nil) != test.accepted {
				t.Errorf("%s: %v", text, err)
			}
			t.Run("OpenSSH", func(t *testing.T) {
				needs(t, "git", "ssh-keygen")
				if ok, why := l.verifies("commit", commit, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+l.write("allowed", text)); ok != test.openSSH {
					t.Errorf("%s: %v: %s", text, ok, why)
				}
			})
			if test.accepted && !test.openSSH {
				t.Error("no line may do more here than with OpenSSH")
			}
		})
	}
}

// TestLocalTime reads times without a zone in that of the process, as git and
// OpenSSH together do, summer and winter.
func TestLocalTime(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	s := sshSeed(t, 1)
	for _, test := range []struct {
		until, before, after string
	}{
		{"202607011200", "2026-07-01T10:00:00Z", "2026-07-01T10:00:01Z"},
		{"202601011200", "2026-01-01T11:00:00Z", "2026-01-01T11:00:01Z"},
		{"20260101", "2025-12-31T23:00:00Z", "2025-12-31T23:00:01Z"},
		{"20260101Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"},
	} {
		text := `a@x valid-before="` + test.until + `" ` + authorized(s.PublicKey())
		keys, err := parseKeys("keys", []byte(text), zone)
		if err != nil {
			t.Fatal(err)
		}
		for stamp, expected := range map[string]Reason{test.before: "", test.after: Expired} {
			at, err := time.Parse(time.RFC3339, stamp)
			if err != nil {
				t.Fatal(err)
			}
			commit := signed(t, s, at)
			_, err = keys.Commit(commit, at)
			if got := reason(t, err); got != expected {
				t.Errorf("until %s, at %s: %v", test.until, stamp, err)
			}
			t.Run(test.until, func(t *testing.T) {
				needs(t, "ssh-keygen")
				l := newLab(t).with("TZ=Europe/Berlin")
				file := l.write("allowed", text)
				if ok, why := l.verifies("commit", commit, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+file); ok != (expected == "") {
					t.Errorf("git, at %s: %v: %s", stamp, ok, why)
				}
			})
		}
	}
}

// TestParseErrors checks the messages for mistakes.
func TestParseErrors(t *testing.T) {
	key := authorized(sshSeed(t, 1).PublicKey())
	rsa := "ssh-rsa " + base64.StdEncoding.EncodeToString(ssh.Marshal(struct {
		Name string
		E    []byte
		N    []byte
	}{"ssh-rsa", []byte{1, 0, 1}, append([]byte{0, 0x80}, make([]byte, 127)...)}))
	// A good key, the curve's generator, whose base64 ends in two spare bits.
	const curve = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="
	mustParse(t, "a@x "+curve)
	mustParse(t, "\ufeffa@x "+curve)
	for _, test := range []struct{ name, text, message string }{
		{"empty", "", "keys: there is no key in it"},
		{"comments", "# a\n\n", "keys: there is no key in it"},
		{"no principals", "# a\n " + key, "keys:2:2: the line begins with a key, and not with the principals that it belongs to"},
		{"typing error", "a@x namespace=\"git\" " + key, `keys:1:5: unknown option "namespace": did you mean "namespaces"?`},
		{"type with a typing error", "a@x ssh-ed2551 AAAA", `keys:1:5: unknown option "ssh-ed2551": did you mean "ssh-ed25519"?`},
		{"wide letters", "ü@x oops " + key, `keys:1:5: unknown option "oops"`},
		{"second option", `a@x cert-authority,oops ` + key, `keys:1:20: unknown option "oops"`},
		{"no time", `a@x valid-after="soon" ` + key, `keys:1:5: the value of option "valid-after" is not a time after 1970`},
		{"backwards", `a@x cert-authority,valid-after="20270101",valid-before="20260101" ` + key, "keys:1:43: valid-before is not after valid-after"},
		{"nothing is repeated", "a@x Zm9vYmFyc2VjcmV0Zm9vYmFyc2VjcmV0 x", "keys:1:5: neither an option nor the type of a key"},
		{"no key", "a@x cert-authority", "keys:1: the line has no key"},
		{"no key either", "a@x", "keys:1: the line has no key"},
		{"bad base64", "a@x ssh-ed25519 !!", "keys:1:5: the key is not base64"},
		{"not a key", "a@x ssh-ed25519 AAAA", "keys:1:5: the key can't be read"},
		{"spare bits", "a@x " + strings.TrimSuffix(curve, "U=") + "V=", "keys:1:5: the key can't be read"},
		{"type in place of the key", "a@x ssh-ed25519 " + key, "keys:1:5: the key is not base64"},
		{"short key", "a@x " + rsa, "keys:1:5: an RSA key of less than 2048 bits is too weak"},
		{"excluded", "!a@x " + key, "keys:1:1: the line excludes each principal that it lists"},
		{"certificate", "a@x ssh-ed25519-cert-v01@openssh.com AAAA", "keys:1:5: a certificate stands where a key is needed"},
		{"certificate behind options", "a@x cert-authority ssh-ed25519-cert-v01@openssh.com AAAA",
			"keys:1:20: a certificate stands where a key is needed"},
		{"control characters", "a\x1b@x " + key, "keys:1:1: a principal is too long, or holds what can't be printed"},
		{"private key", "a@x " + key + "\n-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n", "keys:2:1: a secret key, which has no place here"},
		{"private RSA key", "-----BEGIN RSA PRIVATE KEY-----\nsecret\n", "keys:1:1: a secret key, which has no place here"},
		{"certificate block", "-----BEGIN CERTIFICATE-----\n", "keys:1:1: a block that is not a PGP PUBLIC KEY BLOCK"},
		{"no end", "\n" + begin(armorKeys) + "\n\nAAAA\n", "keys:2:1: the block has no END line"},
		{"no blank line", begin(armorKeys) + "\nAAAA\n" + end(armorKeys), "keys:1: the block can't be read: it has no blank line before its content"},
		{"empty block", begin(armorKeys) + "\n\n" + end(armorKeys), "keys:1: there is no OpenPGP key in it"},
		{"no key in the block", string(enarmor(armorKeys, []byte("\xb4\x01a"))), "keys:1: there is no OpenPGP key at its beginning"},
		{"cut key", string(enarmor(armorKeys, []byte("\x98\x33\x04"))), "keys:1: the OpenPGP keys can't be read: they are cut off or damaged"},
		{"UTF-16", "\xff\xfea\x00", "keys: the file is written in UTF-16"},
		{"UTF-16 without a mark", "a\x00@\x00", "keys: the file is written in UTF-16"},
		{"two byte order marks", "\ufeff\ufeffa@x " + key, "keys:1:1: a principal is too long, or holds what can't be printed"},
		{"binary", "\x98\xff", "keys: the OpenPGP keys can't be read: they are cut off or damaged"},
		{"rubbish", "a\xff", "keys: the file is neither text nor a keyring"},
		{"keybox", "\x00\x00\x00\x20\x01\x01\x00\x02KBXf\xff", "keys: the file is a keybox of GnuPG, which only GnuPG reads"},
	} {
		_, err := Parse("keys", []byte(test.text))
		if err == nil || err.Error() != test.message {
			t.Errorf("%s: %v\nshould be: %s", test.name, err, test.message)
			continue
		}
		if h, ok := err.(interface{ Hint() string }); !ok || h.Hint() == "" {
			t.Errorf("%s: no hint", test.name)
		}
	}
	if _, err := Parse("keys", bytes.Repeat([]byte("#\n"), maxKeys)); err == nil {
		t.Error("too large a file")
	}
}

// onKey signs like a security key (PROTOCOL.u2f of OpenSSH), with these flags.
type onKey struct {
	private ed25519.PrivateKey
	flags   byte
}

func (k onKey) PublicKey() ssh.PublicKey {
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, k.private.Public().(ed25519.PublicKey), "ssh:"}))
	if err != nil {
		panic(err)
	}
	return key
}

func (k onKey) Sign(data []byte) *ssh.Signature {
	app, sum := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	more := append([]byte{k.flags}, binary.BigEndian.AppendUint32(nil, 7)...)
	blob := append(append(append([]byte{}, app[:]...), more...), sum[:]...)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.private, blob), Rest: more}
}

// TestSecurityKey checks that each signature needs a touch.
func TestSecurityKey(t *testing.T) {
	for flags, expected := range map[byte]Reason{0x01: "", 0x05: "", 0x00: BadSignature, 0x04: BadSignature} {
		k := onKey{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize)), flags}
		raw := plain(made)
		sum := sha256.Sum256(raw)
		data := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{namespace, "", "sha256", string(sum[:])})...)
		sig := sshsig.Signature{Version: 1, PublicKey: k.PublicKey(), Namespace: namespace, HashAlgorithm: sshsig.HashSHA256, Signature: k.Sign(data)}
		commit := withSignature(t, raw, sshsig.Armor(&sig))
		line := "a@x " + authorized(k.PublicKey())
		_, err := mustParse(t, line).Commit(commit, now)
		if got := reason(t, err); got != expected {
			t.Errorf("flags %x: %v", flags, err)
		}
		t.Run("OpenSSH", func(t *testing.T) {
			needs(t, "ssh-keygen")
			l := newLab(t)
			file := l.write("allowed", line)
			if ok, why := l.verifies("commit", commit, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+file); !ok {
				t.Errorf("flags %x: %s", flags, why)
			}
		})
	}
}

// TestSSHSignatures rejects what no ssh-keygen makes.
func TestSSHSignatures(t *testing.T) {
	s := sshSeed(t, 1)
	raw := plain(made)
	keys := mustParse(t, "a@x "+authorized(s.PublicKey()))
	good, err := sshsig.Sign(bytes.NewReader(raw), s, sshsig.HashSHA256, namespace)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change   func(sig *sshsig.Signature)
		expected Reason
	}{
		"as made":        {func(*sshsig.Signature) {}, ""},
		"other hash":     {func(s *sshsig.Signature) { s.HashAlgorithm = sshsig.HashSHA512 }, BadSignature},
		"unknown hash":   {func(s *sshsig.Signature) { s.HashAlgorithm = "md5" }, Malformed},
		"version":        {func(s *sshsig.Signature) { s.Version = 2 }, Malformed},
		"namespace":      {func(s *sshsig.Signature) { s.Namespace = "" }, WrongNamespace},
		"capitals":       {func(s *sshsig.Signature) { s.Namespace = "GIT" }, WrongNamespace},
		"after the end":  {func(s *sshsig.Signature) { s.Signature.Rest = []byte{1} }, Malformed},
		"other format":   {func(s *sshsig.Signature) { s.Signature.Format = ssh.KeyAlgoRSASHA256 }, BadSignature},
		"weak format":    {func(s *sshsig.Signature) { s.Signature.Format = ssh.KeyAlgoRSA }, Weak},
		"empty":          {func(s *sshsig.Signature) { s.Signature.Blob = nil }, BadSignature},
		"key of another": {func(s *sshsig.Signature) { s.PublicKey = sshSeed(t, 2).PublicKey() }, UnknownKey},
	} {
		sig, blob := *good, *good.Signature
		sig.Signature = &blob
		test.change(&sig)
		_, err := keys.Commit(withSignature(t, raw, sshsig.Armor(&sig)), now)
		if got := reason(t, err); got != test.expected {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"empty":     begin(armorSSH) + "\n" + end(armorSSH),
		"too large": begin(armorSSH) + "\n" + strings.Repeat("AAAA\n", maxSignature/4) + end(armorSSH),
		"unknown":   "-----BEGIN X-----",
		"words":     "words",
	} {
		_, err := keys.Commit(withSignature(t, raw, []byte(text)), now)
		if got := reason(t, err); got != Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	var none *Keys
	if _, err := none.Commit(signed(t, s, made), now); reason(t, err) != UnknownKey {
		t.Errorf("no keys: %v", err)
	}
}

// TestMatch compares with a matcher that is too simple to be wrong.
func TestMatch(t *testing.T) {
	var simple func(s, p string) bool
	simple = func(s, p string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return simple(s, p[1:]) || s != "" && simple(s[1:], p)
		default:
			return s != "" && (p[0] == '?' || p[0] == s[0]) && simple(s[1:], p[1:])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[ab]{0,8}`).Draw(t, "s")
		p := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "p")
		if got := match(s, p); got != simple(s, p) {
			t.Errorf("match(%q, %q) is %v", s, p, got)
		}
	})
	if match(strings.Repeat("a", 200), strings.Repeat("*a", 100)+"b") {
		t.Error("a pattern that must not take long, nor match")
	}
}

// TestCertificates makes certificates that ssh-keygen wouldn't.
func TestCertificates(t *testing.T) {
	ca, user := sshSeed(t, 1), sshSeed(t, 2)
	keys := mustParse(t, "*@x cert-authority "+authorized(ca.PublicKey()))
	for name, test := range map[string]struct {
		// before and after are done before and after the authority signs.
		before, after func(c *ssh.Certificate)
		expected      Reason
	}{
		"as it should be":       {nil, nil, ""},
		"principal added":       {nil, func(c *ssh.Certificate) { c.ValidPrincipals = append(c.ValidPrincipals, "eve@x") }, BadSignature},
		"extended":              {nil, func(c *ssh.Certificate) { c.ValidBefore++ }, BadSignature},
		"for another key":       {nil, func(c *ssh.Certificate) { c.Key = sshSeed(t, 3).PublicKey() }, BadSignature},
		"without end":           {func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }, nil, ""},
		"ends at the check":     {func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) }, nil, Expired},
		"ends after the check":  {func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) + 1 }, nil, ""},
		"begins at its making":  {func(c *ssh.Certificate) { c.ValidAfter = uint64(made.Unix()) }, nil, ""},
		"begins after it":       {func(c *ssh.Certificate) { c.ValidAfter = uint64(made.Unix()) + 1 }, nil, NotYetValid},
		"principal in disguise": {func(c *ssh.Certificate) { c.ValidPrincipals = []string{"a\n@x"} }, nil, NotAllowed},
		"second principal":      {func(c *ssh.Certificate) { c.ValidPrincipals = []string{"a@y", "b@x"} }, nil, ""},
		"extensions":            {func(c *ssh.Certificate) { c.Extensions = map[string]string{"permit-pty": ""} }, nil, ""},
		"unknown condition":     {func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x@x": "y"} }, nil, NotAllowed},
	} {
		c := &ssh.Certificate{
			Key: user.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"a@x"},
			ValidAfter: uint64(day("2026-01-01").Unix()), ValidBefore: uint64(day("2027-01-01").Unix()),
		}
		if test.before != nil {
			test.before(c)
		}
		if err := c.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		if test.after != nil {
			test.after(c)
		}
		raw := plain(made)
		sig, err := sshsig.Sign(bytes.NewReader(raw), user, sshsig.HashSHA512, namespace)
		if err != nil {
			t.Fatal(err)
		}
		sig.PublicKey = c
		by, err := keys.Commit(withSignature(t, raw, sshsig.Armor(sig)), now)
		if got := reason(t, err); got != test.expected {
			t.Errorf("%s: signed by %s: %v", name, by, err)
		}
		if err == nil && by.Key != ssh.FingerprintSHA256(user.PublicKey()) {
			t.Errorf("%s: signed by %s", name, by)
		}
	}
}
