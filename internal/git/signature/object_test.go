package signature

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	tree   = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	someID = "0123456789012345678901234567890123456789"
	ident  = "Ada <ada@example.com> 1772323200 +0000"
)

// TestObjects takes objects apart that are not as git makes them.
func TestObjects(t *testing.T) {
	commit := "tree " + tree + "\nparent " + someID + "\nauthor " + ident + "\ncommitter " + ident + "\n"
	tag := "object " + someID + "\ntype commit\ntag v1\ntagger " + ident + "\n"
	swap := func(old, new string) string { return strings.Replace(commit, old, new, 1) + "\nm\n" }
	for _, test := range []struct {
		name, raw string
		tag       bool
		expected  Reason
	}{
		{"as it should be", commit + "\nm\n", false, Unsigned},
		{"without message", commit + "\n", false, Unsigned},
		{"without parents", swap("parent "+someID+"\n", ""), false, Unsigned},
		{"two parents", swap("parent", "parent "+someID+"\nparent"), false, Unsigned},
		{"other headers", commit + "encoding latin1\nHG:extra x\nmergetag object x\n type y\n \n gpgsig x\n\nm\n", false, Unsigned},
		{"name of no letters", swap("author Ada ", "author "), false, Unsigned},
		{"zero byte in the message", commit + "\n\x00", false, Unsigned},
		{"empty", "", false, Malformed},
		{"no blank line", commit, false, Malformed},
		{"cut", commit[:len(commit)-1], false, Malformed},
		{"a tag", tag + "\nm\n", false, Malformed},
		{"begins with a space", " " + commit + "\n", false, Malformed},
		{"begins with a blank line", "\n" + commit + "\n", false, Malformed},
		{"no value", commit + "encoding\n\n", false, Malformed},
		{"zero byte", commit + "x \x00\n\n", false, Malformed},
		{"tree continued", swap(tree, tree+"\n x"), false, Malformed},
		{"parent continued", swap(someID, someID+"\n x"), false, Malformed},
		{"author continued", swap("\ncommitter", "\n x\ncommitter"), false, Malformed},
		{"committer continued", commit + " x\n\n", false, Malformed},
		{"tree twice", swap("tree", "tree "+tree+"\ntree"), false, Malformed},
		{"late tree", commit + "tree " + tree + "\n\n", false, Malformed},
		{"late parent", commit + "parent " + someID + "\n\n", false, Malformed},
		{"two committers", commit + "committer " + ident + "\n\n", false, Malformed},
		{"two authors", swap("author", "author "+ident+"\nauthor"), false, Malformed},
		{"no author", swap("author "+ident+"\n", ""), false, Malformed},
		{"no committer", swap("committer "+ident+"\n", ""), false, Malformed},
		{"short name", swap(tree, tree[1:]), false, Malformed},
		{"capitals", swap(tree, strings.ToUpper(tree)), false, Malformed},
		{"SHA-256", swap(tree, strings.Repeat("0", 64)), false, Unsupported},
		{"SHA-256 parent", swap(someID, strings.Repeat("0", 64)), false, Unsupported},
		{"committer without time", strings.TrimSuffix(commit, " 1772323200 +0000\n") + "\n\n", false, Malformed},
		{"author without time", swap("> 1772323200 +0000", ">"), false, Malformed},
		{"two times", swap("> 1772323200 +0000", "> 1 +0000> 1772323200 +0000"), false, Malformed},
		{"leading zero", swap("> 1772323200", "> 01772323200"), false, Malformed},
		{"negative", swap("> 1772323200", "> -1772323200"), false, Malformed},
		{"year 10000", swap("> 1772323200", "> 253402300800"), false, Malformed},
		{"far too late", swap("> 1772323200", "> 99999999999999999999"), false, Malformed},
		{"no zone", swap("1772323200 +0000", "1772323200"), false, Malformed},
		{"empty signature", commit + "gpgsig \n\n", false, Malformed},
		{"no signature in it", commit + "gpgsig x\n\n", false, Malformed},
		{"signature without a space", commit + "gpgsig\n x\n\n", false, Malformed},
		{"two signatures", commit + "gpgsig x\ngpgsig x\n\n", false, Malformed},
		{"another kind of signature", commit + "gpgsig-sha512 x\n\n", false, Malformed},
		{"signature for SHA-256", commit + "gpgsig-sha256 x\n y\n\n", false, Malformed},

		{"tag as it should be", tag + "\nm\n", true, Unsigned},
		{"tag without message", tag + "\n", true, Unsigned},
		{"tag of a tag", strings.Replace(tag, "commit", "tag", 1) + "\n", true, Unsigned},
		{"a commit", commit + "\n", true, Malformed},
		{"empty tag", "", true, Malformed},
		{"tag without tagger", strings.Replace(tag, "tagger "+ident+"\n", "", 1) + "\n", true, Malformed},
		{"tag with two objects", "object " + someID + "\n" + tag + "\n", true, Malformed},
		{"tag with a late object", tag + "object " + someID + "\n\n", true, Malformed},
		{"tag of something", strings.Replace(tag, someID, "HEAD", 1) + "\n", true, Malformed},
		{"tag with a commit's signature", tag + "gpgsig x\n\nm\n", true, Malformed},
		{"tag with a signature for SHA-256", tag + "gpgsig-sha256 x\n\nm\n", true, Malformed},
		{"tag with a signature in the middle of a line", tag + "\nm " + begin(armorSSH) + "\n", true, Unsigned},
		{"tag with half a signature", tag + "\nm\n" + begin(armorSSH) + "\n", true, Malformed},
		{"tag with nothing but", tag + "\n" + begin(armorX509) + "\n", true, Unsupported},
	} {
		check := (&Keys{}).Commit
		if test.tag {
			check = (&Keys{}).Tag
		}
		_, err := check([]byte(test.raw), now)
		if got := reason(t, err); got != test.expected {
			t.Errorf("%s: %v\n%s", test.name, err, test.raw)
		}
	}
}

// TestSplit separates what was signed from the signature.
func TestSplit(t *testing.T) {
	head := "tree " + tree + "\nauthor " + ident + "\ncommitter " + ident + "\n"
	raw := head + "mergetag a\n gpgsig no\ngpgsig one\n two\n \n three\nx y\nz z\n\nm\ngpgsig no\n"
	o, err := parseCommit([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(head+"mergetag a\n gpgsig no\nx y\nz z\n\nm\ngpgsig no\n", string(o.payload)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("one\ntwo\n\nthree\n", string(o.signature)); diff != "" {
		t.Error(diff)
	}
	if !o.time.Equal(made) {
		t.Errorf("made at %s", o.time)
	}

	tag := "object " + someID + "\ntype commit\ntag v1\ntagger " + ident + "\n"
	first, last := string(enarmor(armorPGP, []byte("first"))), string(enarmor(armorSSH, []byte("last")))
	o, err = parseTag([]byte(tag + "\nm\n" + first + last))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tag+"\nm\n"+first, string(o.payload)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(last, string(o.signature)); diff != "" {
		t.Error(diff)
	}
}

// TestSplitLikeGit has git check signatures over what it takes to be signed.
func TestSplitLikeGit(t *testing.T) {
	needs(t, "git", "ssh-keygen")
	l := newLab(t).at(made)
	ada, key := l.sshKey("ada", "-t", "ed25519")
	allowed := l.write("allowed", "ada@example.com "+key)
	l.commit("first")
	good := l.commit("good", ada...)
	v1 := l.tag("v1", "a tag", ada...)
	l.git("checkout", "-q", "-b", "side", "HEAD~")
	l.commit("side")
	l.git(append(append([]string{}, ada...), "merge", "-q", "-S", "--no-ff", "-m", "merge", "v1")...)
	merge := []byte(l.git("cat-file", "commit", "HEAD"))
	if !bytes.Contains(merge, []byte("\nmergetag ")) {
		t.Fatalf("no mergetag in\n%s", merge)
	}
	keys := mustParse(t, "ada@example.com "+key)
	for _, test := range []struct {
		name, kind string
		raw        []byte
	}{
		{"commit", "commit", good},
		{"merge of a signed tag", "commit", merge},
		{"tag", "tag", v1},
	} {
		check := keys.Commit
		if test.kind == "tag" {
			check = keys.Tag
		}
		if by, err := check(test.raw, now); err != nil || by.Principal != "ada@example.com" {
			t.Errorf("%s: signed by %s: %v", test.name, by, err)
		}
		if ok, why := l.verifies(test.kind, test.raw, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+allowed); !ok {
			t.Errorf("%s: git: %s", test.name, why)
		}
	}
	// A header that git leaves out of what was signed: anybody can put it in, and
	// has a commit of another name with a good signature.
	for _, test := range []struct {
		name, kind string
		raw        []byte
	}{
		{"before the signature", "commit", edit(t, good, "gpgsig ", "gpgsig-sha256 x\n y\ngpgsig ")},
		{"behind it", "commit", edit(t, good, "\n\ngood", "\ngpgsig-sha256 x\n y\n\ngood")},
		{"tag", "tag", edit(t, v1, "\n\na tag", "\ngpgsig-sha256 x\n y\n\na tag")},
	} {
		check := keys.Commit
		if test.kind == "tag" {
			check = keys.Tag
		}
		if by, err := check(test.raw, now); reason(t, err) != Malformed || !strings.Contains(err.Error(), `"gpgsig-sha256", which no signature covers`) {
			t.Errorf("%s: signed by %s: %v", test.name, by, err)
		}
		if ok, why := l.verifies(test.kind, test.raw, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+allowed); !ok {
			t.Errorf("%s: git refuses it as well: %s", test.name, why)
		}
	}
}

// TestSigner is about the one line that people read.
func TestSigner(t *testing.T) {
	for by, expected := range map[Signer]string{
		{}:                                       "nobody",
		{"ada@example.com", "SHA256:abc", "ssh"}: "ada@example.com (ssh SHA256:abc)",
		{"a\x1b[31m\nb\u202e", "K", "pgp"}:       "a [31m b (pgp K)",
	} {
		if got := by.String(); got != expected {
			t.Errorf("%q, should be %q", got, expected)
		}
	}
}

// TestReasons checks that each reason has a hint.
func TestReasons(t *testing.T) {
	if len(Reasons()) != len(hints) {
		t.Errorf("%d reasons and %d hints", len(Reasons()), len(hints))
	}
	for _, r := range Reasons() {
		if hints[r] == "" || strings.ContainsAny(string(r), " -") {
			t.Errorf("%q: %q", r, hints[r])
		}
	}
}

// TestUnsignedHints checks that the hint fits the kind of object.
func TestUnsignedHints(t *testing.T) {
	_, commit := (&Keys{}).Commit([]byte("tree "+tree+"\nauthor "+ident+"\ncommitter "+ident+"\n\nm\n"), now)
	_, tag := (&Keys{}).Tag([]byte("object "+someID+"\ntype commit\ntag v1\ntagger "+ident+"\n\nm\n"), now)
	for expected, err := range map[string]error{"sign it: git commit -S, or": commit, "sign it: git tag -s, or": tag} {
		var no *Error
		if !errors.As(err, &no) || no.Error() != "it is not signed" || !strings.HasPrefix(no.Hint(), expected) {
			t.Errorf("%v, and not %q", err, expected)
		}
	}
}

// TestLongHeader takes no longer than its length allows.
func TestLongHeader(t *testing.T) {
	head := "tree " + tree + "\nauthor " + ident + "\ncommitter " + ident + "\n"
	raw := []byte(head + "gpgsig x\n" + strings.Repeat(" \n", 4<<20) + "\n")
	start := time.Now()
	if _, err := (&Keys{}).Commit(raw, now); reason(t, err) != Malformed {
		t.Error(err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}
