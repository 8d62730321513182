package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	notesFile  = "RELEASE_NOTES.md"
	changelog  = "CHANGELOG.md"
	unreleased = "Unreleased"
)

// writeNotes writes the notes of the release.
func (r *release) writeNotes(context.Context) error {
	text, err := os.ReadFile(filepath.Join(r.source, changelog))
	if err != nil {
		return err
	}
	section := r.version
	if r.trial {
		section = unreleased
	}
	notes, err := notesOf(string(text), section)
	if err != nil {
		return err
	}
	return r.write(notesFile, []byte(notes))
}

// notesOf returns what a changelog says of a version.
func notesOf(changelog, version string) (string, error) {
	var lines []string
	found := false
	for line := range strings.Lines(changelog) {
		if strings.HasPrefix(line, "## ") {
			found = line == "## ["+version+"]\n" || strings.HasPrefix(line, "## ["+version+"] - ")
			continue
		}
		if found {
			lines = append(lines, line)
		}
	}
	notes := strings.TrimSpace(strings.Join(lines, ""))
	if notes == "" {
		return "", fmt.Errorf("CHANGELOG.md says nothing of %s: give it a section \"## [%s] - DATE\"", version, version)
	}
	return notes + "\n", nil
}
