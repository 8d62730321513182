package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// allCommands returns a command and all below it.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		all = append(all, allCommands(c)...)
	}
	return all
}

// execute runs the program without a terminal and returns its exit code and stderr.
func execute(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, stdio{strings.NewReader(""), &out, &errs}, nil)
	if out.Len() > 0 {
		t.Errorf("%q writes to stdout: %s", args, &out)
	}
	return code, errs.String()
}

// No flag of any command takes an empty value: it is an unset variable of a script.
func TestEmptyFlagsAreRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	seen := 0
	for _, cmd := range allCommands((&app{}).rootCommand()) {
		path := strings.Fields(cmd.CommandPath())[1:]
		if cmd.Name() == "completion" {
			path = append(path, "bash") // which it must have
		}
		if cmd.Name() == "man" {
			path = append(path, "folder")
		}
		check := func(f *pflag.Flag) {
			if slices.Contains([]string{"help", "version"}, f.Name) {
				return
			}
			seen++
			for _, value := range []string{"", " \t"} {
				code, stderr := execute(t, append(slices.Clone(path), "--"+f.Name+"="+value)...)
				if code != exitError || strings.Count(stderr, "reconciler: ") != 1 || !strings.Contains(stderr, "--"+f.Name) {
					t.Errorf("%s --%s=%q ends with %d: %s", cmd.CommandPath(), f.Name, value, code, stderr)
				}
				if text := slices.Contains([]string{"string", "stringArray"}, f.Value.Type()); text &&
					stderr != fmt.Sprintf("reconciler: --%s is empty\nhint: is a variable of your script not set?\n", f.Name) {
					t.Errorf("%s --%s=%q: %s", cmd.CommandPath(), f.Name, value, stderr)
				}
			}
		}
		cmd.LocalFlags().VisitAll(check)
		cmd.InheritedFlags().VisitAll(check)
	}
	if seen < 50 {
		t.Errorf("only %d flags were tried", seen)
	}
}

func TestEmptyValuesAreRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	for line, want := range map[string]string{
		"apply --yes --plan-digest |":       "--plan-digest is empty",
		"apply --plan-digest |":             "--plan-digest is empty", // before a terminal is asked for
		"apply --org acme.okta.com --org |": "--org is empty",
		"apply --exclude |":                 "--exclude is empty",
		"apply |":                           "argument 1 of apply is empty",
		"resume abc |":                      "argument 2 of resume is empty",
		"validate a.yaml | b.yaml":          "argument 2 of validate is empty",
		"diff --config |":                   "--config is empty",
	} {
		var args []string
		for _, word := range strings.Fields(line) {
			args = append(args, strings.ReplaceAll(word, "|", ""))
		}
		if code, stderr := execute(t, args...); code != exitError || !strings.HasPrefix(stderr, "reconciler: "+want+"\n") {
			t.Errorf("%q ends with %d: %s", line, code, stderr)
		}
	}
	// The word to be completed may be empty.
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"__complete", "suspend", ""}, stdio{strings.NewReader(""), &out, &errs}, nil); code != exitOK {
		t.Errorf("completion ends with %d: %s", code, &errs)
	}
}

// What is given to the program acts on no terminal when an error or a hint repeats it.
func TestErrorsAreVisible(t *testing.T) {
	const given = "a\x1b[31m\u202eb"
	for _, args := range [][]string{
		{"diff", given}, {"apply", given}, {"status", "--token-file", given}, {"simulate", "--seed", given}, {given},
	} {
		var out buffer
		code := run(t.Context(), args, stdio{strings.NewReader(""), &out, &out}, []string{"RECONCILER_HTTP_ADDRESS=127.0.0.1:1"})
		if got := out.String(); code != exitError || strings.ContainsAny(got, "\x1b\u202e") || !strings.Contains(got, `a\x1b[31m\u202eb`) {
			t.Errorf("%q: %d %q", args, code, got)
		}
	}
}
