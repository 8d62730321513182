package tokens

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleVar makes the test binary play a part in another test, as a process that
// can be killed.
const roleVar = "SINK_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := roles()[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// token is a Token of tests.
type token string

func (t token) Secret() string { return string(t) }

// canary is a token that must be found nowhere else.
const canary = token("00CanaryToken-aB3dE5gH7jK9mN1pQ3sT5vX7zA9_cE")

func meta() Meta {
	return Meta{Domain: "acme-new.okta.com", OrgID: "00oNew1", Parent: "acme", CreatedAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks an error and its hint for words, that both are one line, and
// that neither tells the canary.
func wantError(t testing.TB, err error, words, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, but one that says %q was wanted", words)
	}
	var got string
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		got = h.Hint()
	}
	if !strings.Contains(err.Error(), words) || !strings.Contains(got, hint) || strings.Contains(err.Error()+got, "\n") {
		t.Fatalf("error: %s\nhint:  %s\nwanted: %q and %q", err, got, words, hint)
	}
	quiet(t, err)
}

// quiet looks for the canary in what a value prints as.
func quiet(t testing.TB, values ...any) {
	t.Helper()
	for _, v := range values {
		for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if text := fmt.Sprintf(form, v); strings.Contains(text, string(canary)[:10]) {
				t.Errorf("%s tells the token: %s", form, text)
			}
		}
	}
}

// store stores and gives the place.
func store(t testing.TB, s Sink, m Meta, tok token) string {
	t.Helper()
	where, err := s.Store(m, tok)
	must(t, err)
	return where
}

// names gives all that is in a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// content reads a file.
func content(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}
