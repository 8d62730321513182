package signature

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/text"
)

// stored reads a file of testdata: a key that gpg made, and a commit that git
// signed with it. The secret key is gone.
func stored(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// line writes a signer as a line of allowed_signers.
func (s signer) line() string {
	var options []string
	if s.ca {
		options = append(options, optCA)
	}
	if s.namespaces != nil {
		options = append(options, fmt.Sprintf(`%s="%s"`, optNamespaces, strings.ReplaceAll(strings.Join(s.namespaces, ","), `"`, `\"`)))
	}
	if !s.after.IsZero() {
		options = append(options, fmt.Sprintf(`%s="%s"`, optAfter, s.after.UTC().Format("20060102150405Z")))
	}
	if !s.before.IsZero() {
		options = append(options, fmt.Sprintf(`%s="%s"`, optBefore, s.before.UTC().Format("20060102150405Z")))
	}
	return `"` + strings.Join(s.principals, ",") + `" ` + strings.TrimLeft(strings.Join(options, ",")+" ", " ") + authorized(s.key)
}

func FuzzParse(f *testing.F) {
	key := authorized(sshSeed(f, 1).PublicKey())
	for _, text := range []string{
		"", "# a\n\n", "a@x " + key, "a@x,!b@x,*@y " + key + " comment\r\n", `"a b" ` + key,
		`a@x cert-authority,namespaces="git,f\"x",valid-after="20260101",valid-before="202701010000Z" ` + key,
		`a@x valid-after="20260329023000" ` + key, "a@x namespace=x " + key, "a@x ssh-rsa AAAA",
		"a@x " + key + "\n" + string(stored(f, "pgp.asc")) + "b@x " + key,
		strings.ReplaceAll(string(stored(f, "pgp.asc")), "PUBLIC", "PRIVATE"), "\xff\xfea\x00",
	} {
		f.Add([]byte(text))
	}
	armored := strings.TrimLeft(string(stored(f, "pgp.asc")), "\n")
	raw, err := dearmor(armored, armorKeys)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeys("keys", data, zone)
		if err != nil {
			checkWords(t, err, data)
			return
		}
		if len(keys.ssh)+len(keys.pgp) == 0 {
			t.Fatal("no key and no error")
		}
		for _, k := range keys.pgp {
			if n := len(k.fingerprint()); n != 40 && n != 64 {
				t.Errorf("fingerprint %s", k.fingerprint())
			}
			_ = k.principal(now)
			for _, p := range k.parts(now) {
				_ = p.validAt("then", now)
			}
		}
		for _, s := range keys.ssh {
			again, err := parseKeys("keys", []byte(s.line()), zone)
			if err != nil {
				t.Fatalf("%s: %v", s.line(), err)
			}
			if diff := cmp.Diff(s.line(), again.ssh[0].line()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// checkWords checks that an error is one printable line that names the file,
// has a hint, and repeats no long piece of the file.
func checkWords(t *testing.T, err error, data []byte) {
	t.Helper()
	words := err.Error()
	if words != text.OneLine(words, maxText) && len(words) < 200 || !strings.HasPrefix(words, "keys:") || strings.Contains(words, "panicked") {
		t.Errorf("error %q", words)
	}
	if h, ok := err.(interface{ Hint() string }); !ok || h.Hint() == "" {
		t.Errorf("no hint: %q", words)
	}
	for field := range bytes.FieldsSeq(data) {
		if len(field) > 40 && strings.Contains(words, string(field)) {
			t.Errorf("%q repeats %q", words, field)
		}
	}
}

func FuzzCommit(f *testing.F) {
	seed := sshSeed(f, 1)
	byGit := stored(f, "pgp.commit")
	good := signed(f, seed, made)
	keys := mustParse(f, "a@x "+authorized(seed.PublicKey())+"\n"+string(stored(f, "pgp.asc")))
	// What these keys signed in their whole life.
	payloads := map[string]bool{}
	for _, raw := range [][]byte{good, byGit} {
		o, err := parseCommit(raw)
		if err != nil {
			f.Fatal(err)
		}
		payloads[string(o.payload)] = true
		if _, err := keys.Commit(raw, now); err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(o.payload)
	}
	f.Add([]byte("object " + someID + "\ntype commit\ntag v1\ntagger " + ident + "\n\nm\n" + string(signatureOf(f, good))))
	f.Add([]byte("tree " + tree + "\nauthor " + ident + "\ncommitter " + ident + "\nmergetag a\n b\ngpgsig-sha256 x\n y\ngpgsig " + begin(armorX509) + "\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := parseCommit(raw)
		if err == nil {
			if !bytes.Equal(reassembled(o, raw), raw) {
				t.Errorf("payload %q and signature %q don't make %q", o.payload, o.signature, raw)
			}
		}
		by, err := keys.Commit(raw, now)
		switch reason(t, err) {
		case "":
			if !payloads[string(o.payload)] {
				t.Errorf("accepted, and never signed: %q", o.payload)
			}
			if by.Principal == "" || by.Key == "" || by.Kind == "" {
				t.Errorf("accepted, and signed by %#v", by)
			}
		case Unsigned:
			if o.signature != nil {
				t.Errorf("a signature taken for none: %q", o.signature)
			}
		}
		if err != nil && strings.Contains(err.Error(), "panicked") {
			t.Error(err)
		}
		if o, err := parseTag(raw); err == nil && !bytes.Equal(slices.Concat(o.payload, o.signature), raw) {
			t.Errorf("payload %q and signature %q don't make %q", o.payload, o.signature, raw)
		}
		if by, err := keys.Tag(raw, now); reason(t, err) == "" {
			t.Errorf("a tag by %s, who never signed one", by)
		}
	})
}

// reassembled puts the signature back to where it is in raw.
func reassembled(o object, raw []byte) []byte {
	at := bytes.Index(raw, []byte("\n"+sigHeader+" ")) + 1
	if o.signature == nil || at == 0 {
		return o.payload
	}
	folded := strings.ReplaceAll(strings.TrimSuffix(string(o.signature), "\n"), "\n", "\n ")
	return []byte(string(o.payload[:at]) + sigHeader + " " + folded + "\n" + string(o.payload[at:]))
}

// TestMutations changes each byte of good commits. None is accepted, but for
// changes to the signature that leave what was signed as it was, such as in the
// comments of its armor.
func TestMutations(t *testing.T) {
	seed := sshSeed(t, 1)
	for name, test := range map[string]struct {
		keys string
		raw  []byte
	}{
		"ssh": {"a@x " + authorized(seed.PublicKey()), signed(t, seed, made)},
		"pgp": {string(stored(t, "pgp.asc")), stored(t, "pgp.commit")},
	} {
		keys := mustParse(t, test.keys)
		good, err := parseCommit(test.raw)
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for i, b := range test.raw {
			for _, with := range [][]byte{{}, {b ^ 1}, {b ^ 0x20}, {b, b}, {b, '\n'}, {b, ' '}, {0}} {
				raw := append(append(append([]byte{}, test.raw[:i]...), with...), test.raw[i+1:]...)
				o, _ := parseCommit(raw)
				if _, err := keys.Commit(raw, now); err != nil {
					refused++
				} else if !bytes.Equal(o.payload, good.payload) {
					t.Errorf("%s: accepted with byte %d changed to %q", name, i, with)
				}
			}
		}
		if all := 7 * len(test.raw); refused < all*9/10 {
			t.Errorf("%s: of %d changes only %d were refused", name, all, refused)
		}
	}
}

// TestAtOnce uses the same keys from several goroutines, for the race detector.
func TestAtOnce(t *testing.T) {
	seed := sshSeed(t, 1)
	keys := mustParse(t, "a@x "+authorized(seed.PublicKey())+"\n"+string(stored(t, "pgp.asc")))
	commits := [][]byte{signed(t, seed, made), stored(t, "pgp.commit")}
	var wg sync.WaitGroup
	for range 4 {
		for _, raw := range commits {
			wg.Go(func() {
				if _, err := keys.Commit(raw, now); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}
