package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man", "man1")
	if code := run(t.Context(), []string{"man", dir}, stdio{nil, &bytes.Buffer{}, os.Stderr}, nil); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	var pages int
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		pages++
		page, err := os.ReadFile(filepath.Join(dir, manName(cmd)+".1"))
		if err != nil {
			t.Fatal(err)
		}
		checkManPage(t, cmd, string(page))
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				check(c)
			}
		}
	}
	check((&app{}).rootCommand())
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != pages {
		t.Errorf("%d files for %d commands, %v", len(files), pages, err)
	}
}

// checkManPage checks that a page says all that the help says.
func checkManPage(t *testing.T, cmd *cobra.Command, page string) {
	t.Helper()
	plain := plainManPage(page)
	for line := range strings.Lines(cmd.Long) {
		if line = strings.TrimSpace(line); !strings.Contains(plain, line) {
			t.Errorf("%s: lacks %q", manName(cmd), line)
		}
	}
	for _, flags := range []*pflag.FlagSet{cmd.NonInheritedFlags(), cmd.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if _, usage := pflag.UnquoteUsage(f); !f.Hidden && (!strings.Contains(plain, "--"+f.Name) || !strings.Contains(plain, usage)) {
				t.Errorf("%s: lacks --%s", manName(cmd), f.Name)
			}
			// The same defaults as in the help, which has quotation marks around some.
			if help := flags.FlagUsages(); !f.Hidden && (strings.Contains(help, "(default "+f.DefValue+")") || strings.Contains(help, fmt.Sprintf("(default %q)", f.DefValue))) {
				if !strings.Contains(plain, "(default "+f.DefValue+")") {
					t.Errorf("%s: lacks the default of --%s", manName(cmd), f.Name)
				}
			}
		})
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !manMacro.MatchString(line) {
			t.Errorf("%s: a line that is no macro of man(7): %q", manName(cmd), line)
		}
	}
}

var manMacro = regexp.MustCompile(`^\.(TH|SH|PP|TP|nf|fi|BR)\b`)

// plainManPage returns the characters that a page stands for.
func plainManPage(page string) string {
	return strings.NewReplacer(`\e`, `\`, `\-`, "-", `\(aq`, "'", `\(ga`, "`", `\(ha`, "^", `\(ti`, "~", `\(dq`, `"`, `\&`, "", `\fB`, "", `\fI`, "", `\fR`, "").Replace(page)
}

func TestManText(t *testing.T) {
	for text, desired := range map[string]string{
		`a\b`:                `a\eb`,
		".TH is not a macro": `\&.TH is not a macro`,
		"'quoted'\n.here":    `\(aqquoted\(aq` + "\n" + `\&.here`,
		"--wait":             `\-\-wait`,
	} {
		if got := manText(text); got != desired {
			t.Errorf("%q: %q, not %q", text, got, desired)
		}
	}
	if got := manQuote(`say "so"`); got != `"say \(dqso\(dq"` {
		t.Errorf("quoted: %s", got)
	}
}

// The pages are what groff and man take, where there is one.
func TestManPagesRender(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed")
	}
	dir := t.TempDir()
	if err := writeManPages((&app{}).rootCommand(), dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	var warnings bytes.Buffer
	cmd := exec.CommandContext(t.Context(), groff, append([]string{"-man", "-Tutf8", "-ww", "-z"}, slices.Sorted(slices.Values(pages))...)...)
	cmd.Stderr = &warnings
	if err := cmd.Run(); err != nil || warnings.Len() > 0 {
		t.Errorf("%v\n%s", err, &warnings)
	}
}
