package strictyaml

import (
	"fmt"
	"strings"
	"testing"
)

// A file that was named by mistake, or by somebody who wants to read it in what
// is said about it: errors repeat nothing of it.
func TestForeignFiles(t *testing.T) {
	const scalar, unknown = "f:1:1: the document must be a mapping (key: value), not a single value", "f:%d:1: none of the keys here is known: allowed are "
	for _, tt := range []struct{ name, text, words string }{
		{"one word", "hunter2canary\n", scalar},
		{"number", "20261121\n", scalar},
		{"date", "2026-11-21", scalar},
		{"true", "true", scalar},
		{"several lines", "canary\ncanary\n", scalar},
		{"block", "|\n  canary\n", scalar},
		{"list", "[canary]", "f:1:1: the document must be a mapping (key: value), not a list"},
		{"tag", "!canary x", "f:1:1: the document has a tag: remove it"},
		{"tag of a mapping", "!canary {name: x}", "f:1:1: the document has a tag: remove it"},
		{"alias", "*canary", "f:1:1: this alias has no anchor before it"},
		{"alias far down", "a: b\nc: [*canary]", "this alias has no anchor before it"},
		{".netrc", "machine x login y password canary\n", scalar},
		{".npmrc", "//registry.npmjs.org/:_authToken=npm_canary\n", scalar},
		{".git-credentials", "https://user:canary@github.com\n", scalar},
		{".pgpass", "db:5432:*:user:canary\n", scalar},
		{"PEM", "-----BEGIN PRIVATE KEY-----\nMIIcanary+/==\n-----END PRIVATE KEY-----\n", scalar},
		{"old PEM", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,canary\n\nMIIcanary\n-----END RSA PRIVATE KEY-----\n", "not valid YAML"},
		{"AWS", "[default]\naws_secret_access_key = canary\n", "not valid YAML"},
		{"JSON", `{"auths":{"ghcr.io":{"auth":"canary"}}}`, fmt.Sprintf(unknown, 1)},
		{"JSON with numbers for keys", `{123: canary}`, fmt.Sprintf(unknown, 1)},
		{"variables", "A=b\nexport TOKEN=\"canary: x\"\n", "not valid YAML"},
		{"a variable", "export TOKEN=\"canary: x\"\n", fmt.Sprintf(unknown, 1)},
		{"password with a colon", "password=canary: canary\npassword=canary: canary", fmt.Sprintf(unknown, 1)},
		{"keys of all kinds", "{? [canary] : x, ? {canary: x} : y, canary: z}", fmt.Sprintf(unknown, 1)},
		{"credentials", "# comment\nusers: [{token: canary}]\npassword: canary\n", fmt.Sprintf(unknown, 2)},
		{"behind a document that is known", "name: x\n---\ncanary: x\n---\ncanary\n", fmt.Sprintf(unknown, 3)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs, err := Decode[At[paint]]("f", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.words) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, should be %q", err, tt.words)
			}
			if strings.HasPrefix(tt.words, "f:1:1: ") && len(docs) == 1 && docs[0].OK() {
				t.Error("the document is taken for one that could be read")
			}
			into := DecodeInto("f", []byte(strings.SplitN(tt.text, "\n---\n", 2)[0]), new(paint))
			if into != nil && strings.Contains(into.Error(), "canary") {
				t.Errorf("got %v", into)
			}
		})
	}
}

// One key that is known, or nearly, shows that the file was meant to be one of
// these, and then all that is wrong with it is told.
func TestNotForeign(t *testing.T) {
	for text, wanted := range map[string]string{
		"nmae: x\nother: y":     `f:1:1: unknown key "nmae": did you mean "name"?` + "\n" + `f:2:1: unknown key "other": allowed here are `,
		"other: y\nname: x":     `f:1:1: unknown key "other": allowed here are `,
		"<<: {other: x}":        `f:1:6: unknown key "other": allowed here are `,
		"sub: {other: x}":       `f:1:7: unknown key "other": allowed here are `,
		"inner: {1: x, y: !z }": `f:1:9: a key must be a string, not the number 1: quote it, "1"`,
	} {
		if _, err := Decode[paint]("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), wanted) {
			t.Errorf("%q: got %v, should be %s", text, err, wanted)
		}
	}
	if _, err := Decode[paint]("f", []byte("{}")); err != nil {
		t.Errorf("no keys at all: %v", err)
	}
}

// FuzzForeign puts a word into texts that have no known key, and doesn't find it
// in what is said about them.
func FuzzForeign(f *testing.F) {
	for _, s := range []string{
		"machine x login y password ", "a: b\n? [", "*", "&", "!", "%TAG ! ", "- \"\\", "{? x : [", "a: |\n ", "---\n...\n<<: *", "!!float ", "!!binary ", "export A=\"b: ",
	} {
		f.Add(s, "")
		f.Add(s, ": x\n")
		f.Add(s, "\n\tx: y")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const canary = "Qx7ZkWv9Jp3"
		text := before + canary + after
		type thing struct {
			Peculiarity string `yaml:"peculiarity"`
		}
		for _, key := range TopKeys([]byte(text)) {
			if key == mergeKey || Nearest(key, []string{"peculiarity"}) != "" {
				t.Skip("not foreign")
			}
		}
		_, err := Decode[thing]("f.yaml", []byte(text))
		checkErrors(t, []byte(text), err)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("repeats what stands in the file: %v", err)
		}
	})
}
