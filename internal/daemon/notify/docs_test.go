package notify

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// blocks returns the code blocks of the documentation in a language.
func blocks(t *testing.T, language string) (all []string) {
	t.Helper()
	data, err := os.ReadFile("../../../docs/notifications.md")
	must(t, err)
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		all = append(all, m[1])
	}
	if len(all) == 0 {
		t.Fatal("there are no blocks of " + language)
	}
	return all
}

// Configs in the documentation load, and templates make JSON.
func TestDocsExamples(t *testing.T) {
	dir := folder(t)
	for _, b := range blocks(t, "yaml") {
		receiversOf(t, dir, strings.TrimPrefix(b, "notify:"))
	}
	for _, b := range blocks(t, "") {
		if !strings.HasPrefix(b, "{") {
			continue
		}
		write(t, dir, "template", b)
		if _, err := readTemplate(filepath.Join(dir, "template")); err != nil {
			t.Error(err)
		}
	}
}

// All events are in the documentation, and no others.
func TestDocsEvents(t *testing.T) {
	data, err := os.ReadFile("../../../docs/notifications.md")
	must(t, err)
	var documented []string
	_, table, _ := strings.Cut(string(data), "\n| Event | What has happened |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|.*\\| (yes)? ?\\|$").FindAllStringSubmatch(table, -1) {
		documented = append(documented, m[1]+m[2])
	}
	var want []string
	for _, typ := range Types() {
		w := string(typ)
		if typ.Urgent() {
			w += "yes"
		}
		want = append(want, w)
	}
	if fmt.Sprint(documented) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", documented, want)
	}
}

// The sample that verifies signatures takes ours, and none that is altered or old.
func TestDocsVerify(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no Python")
	}
	now := fmt.Sprint(time.Now().Unix())
	old := fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	script := blocks(t, "python")[0]
	for _, c := range []struct{ secret, stamp, signed, body string }{
		{"s", now, now, "{}"}, {"x", now, now, "{}"}, {"s", now, now + "1", "{}"}, {"s", now, now, "[]"}, {"s", old, old, "{}"},
	} {
		script += fmt.Sprintf("print(verify(b%q, {'X-Reconciler-Timestamp': %q, 'X-Reconciler-Signature': 'sha256=%s'}, b%q))\n",
			c.secret, c.stamp, signature([]byte("s"), c.signed, []byte("{}")), c.body)
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", script).CombinedOutput()
	if err != nil || strings.Join(strings.Fields(string(out)), " ") != "True False False False False" {
		t.Errorf("%v: %s", err, out)
	}
}
