package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"
)

func TestStateMigrate(t *testing.T) {
	url, dir := string(postgrestest.NewFile(t)), t.TempDir()
	marked, empty := filepath.Join(dir, "marked"), filepath.Join(dir, "empty") // as some editors write files
	data, err := os.ReadFile(url)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{marked: "\ufeff" + string(data) + "\r\n", empty: "\ufeff\n"} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inFolder, inDatabase := filepath.Join(dir, "folder.yaml"), filepath.Join(dir, "database.yaml")
	write := func(file, state string) {
		if err := os.WriteFile(file, []byte("state: {"+state+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(inFolder, "dir: "+filepath.Join(dir, "state"))
	write(inDatabase, "postgres: {urlFile: "+url+"}")
	h := history.New(location.Folder(filepath.Join(dir, "state")), history.Options{})
	if _, err := h.Add(history.Entry{Type: history.TypeOperator, Action: "start"}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "backup.tar")
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"state migrate --config " + inFolder, exitError, `--to must be postgres or dir, not ""`},
		{"state migrate --to dir --config " + inDatabase, exitError, "give --dir, as the config has no state.dir"},
		{"state migrate --to postgres --config " + inFolder, exitError, "give --url-file, as the config has no state.postgres"},
		{"state migrate --to postgres --url-file /none --config " + inFolder, exitError, `the URL of the database: reading "/none": no such file`},
		{"state migrate --to postgres --url-file " + empty + " --config " + inFolder, exitError, "the URL of the database (\"" + empty + "\") is empty"},
		{"state migrate --to postgres --url-file " + marked + " --config " + inFolder, exitOK, "all compared\nentries in the history: 1, head "},
		{"state migrate --to postgres --dir " + dir + "/state --config " + inDatabase, exitError, "there is a state already"},
		{"state check --config " + inDatabase, exitOK, "history: there, entries: 2, pruned: 0, head "},
		{"state backup " + backup + " --config " + inDatabase, exitOK, "entries in the history: 2, head "},
		{"history --config " + inDatabase, exitOK, "migrate"},
		{"state migrate --to dir --dir " + dir + "/back --config " + inDatabase, exitOK, "Set state.dir in the config to the new place."},
	} {
		var out buffer
		code := run(t.Context(), strings.Fields(tt.args), stdio{strings.NewReader(""), &out, &out}, nil)
		if code != tt.code || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%s: %d, want %q in:\n%s", tt.args, code, tt.says, out.String())
		}
	}
}

// The lines of the help are as long as those of a terminal.
func TestStateHelpIsNarrow(t *testing.T) {
	for _, name := range []string{"", " backup", " restore", " check", " migrate"} {
		var out buffer
		if code := run(t.Context(), strings.Fields("state"+name+" --help"), stdio{strings.NewReader(""), &out, &out}, nil); code != exitOK {
			t.Errorf("%q: %d", name, code)
		}
		about, _, _ := strings.Cut(out.String(), "\nUsage:")
		for line := range strings.Lines(about) {
			if len(line) > 88 {
				t.Errorf("state%s: %d columns: %s", name, len(line), line)
			}
		}
	}
}
