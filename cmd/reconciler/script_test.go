package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts, and golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"reconciler": func() { os.Exit(mainCode()) },
	})
}

// TestScripts runs the program as users do: arguments, files, exit codes,
// stdout and stderr.
func TestScripts(t *testing.T) {
	forge, comments, mute := forgeCommands()
	testscript.Run(t, testscript.Params{
		Files:               scripts(t),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"waitfor":  waitFor,
			"replace":  replace,
			"utf16":    utf16,
			"forge":    forge,
			"okta":     oktaCommand(),
			"traces":   tracesCommand(),
			"comments": comments,
			"mute":     mute,
		},
	})
}

// scripts are those that TestScripts runs: in short mode, which the race detector is
// used in, those with a server in the background, as the program sends it several
// requests at a time.
func scripts(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(all) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	if !testing.Short() {
		return all
	}
	var some []string
	for _, file := range all {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if background.Match(data) {
			some = append(some, file)
		}
	}
	if len(some) == 0 {
		t.Fatal("no script starts a server")
	}
	return some
}

// background is a command of a script that is not waited for.
var background = regexp.MustCompile(`(?m)^exec .* &([a-z]+&)?$`)

// raceSetting spares a program that was built with -race the second that it waits
// for at its end.
const raceSetting = "atexit_sleep_ms=0"

// setUp lets scripts commit, with the same hashes every time.
func setUp(env *testscript.Env) error {
	env.Setenv("GORACE", raceSetting)
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		env.Setenv("GIT_"+who+"_NAME", "Ada")
		env.Setenv("GIT_"+who+"_EMAIL", "ada@acme.example")
		env.Setenv("GIT_"+who+"_DATE", "2026-01-02T03:04:05Z")
	}
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	return nil
}

// exits CODE COMMAND... runs a command that must end with this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s ended with %d instead of %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// waitfor FILE waits until a background command has written a file.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor FILE")
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(ts.MkAbs(args[0])); err == nil && info.Size() > 0 {
			return
		}
	}
	ts.Fatalf("%s was not written", args[0])
}

// utf16 FILE NEW copies a file of ASCII characters as PowerShell's > writes it.
func utf16(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: utf16 FILE NEW")
	}
	out := []byte("\xff\xfe")
	for _, c := range []byte(ts.ReadFile(args[0])) {
		out = append(out, c, 0)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), out, 0o644))
}

// replace FILE OLD NEW replaces all OLD in a file, and fails if there is none.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o644))
}
