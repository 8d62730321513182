package internal_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// filesOf returns the files of the repository with an ending, but for test data.
func filesOf(t *testing.T, ending string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(name string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ending):
			files = append(files, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	codeBlock  = regexp.MustCompile("(?s)```.*?```")
	mdLink     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noAnchor   = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	quotedPath = regexp.MustCompile("`((?:internal|cmd|docs|examples|integrations|tools|scripts|packaging|deploy|\\.ci)/[a-z][\\w./-]*)`")
)

// prose is a document without its code blocks, which may hold anything.
func prose(t *testing.T, name string) string { return codeBlock.ReplaceAllString(read(t, name), "") }

// anchors returns those that GitHub and GitLab give to the headings of a document.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all[strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// Links between documents lead to a file and a heading that exist, and paths of
// the repository that they name exist as well.
func TestDocLinks(t *testing.T) {
	for _, doc := range filesOf(t, ".md") {
		text := prose(t, doc)
		for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			if file = path.Join(path.Dir(doc), file); strings.HasPrefix(m[1], "#") {
				file = doc
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s leads nowhere", doc, m[1])
			} else if anchor != "" && !anchors(prose(t, file))[anchor] {
				t.Errorf("%s: %s has no such heading", doc, m[1])
			}
		}
		for _, m := range quotedPath.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(path.Join("..", m[1])); err != nil {
				t.Errorf("%s: there is no %s", doc, m[1])
			}
		}
	}
}

// Code within a sentence stays on one line, so that it can be searched for and copied.
func TestDocCode(t *testing.T) {
	for _, doc := range filesOf(t, ".md") {
		for line := range strings.SplitSeq(prose(t, doc), "\n") {
			if strings.Count(line, "`")%2 != 0 {
				t.Errorf("%s: code begins or ends in the middle of %q", doc, line)
			}
		}
	}
}

var (
	concatenation = regexp.MustCompile(`"\s*\+\s*"`)
	tableCell     = regexp.MustCompile(`(?m)^\| ([^|]+) \|`)
	message       = regexp.MustCompile("[*`]([^*`]+)[*`]")
	// fixedWords matches what is left of a message between what differs each time.
	fixedWords = regexp.MustCompile(`\b[a-z][a-z',; -]{9,}[a-z]`)
)

// Messages and log lines that the runbooks list are those that the program has.
func TestDocMessages(t *testing.T) {
	var source strings.Builder
	for _, file := range filesOf(t, ".go") {
		if !strings.HasSuffix(file, "_test.go") {
			source.WriteString(concatenation.ReplaceAllString(read(t, file), ""))
		}
	}
	checked := 0
	for doc, section := range map[string]string{"recovery.md": "", "onboarding.md": "\n## Messages\n", "operations.md": "\n## Logs\n"} {
		text := prose(t, "../docs/"+doc)
		if section != "" {
			_, text, _ = strings.Cut(text, section)
			text, _, _ = strings.Cut(text, "\n## ")
		}
		for _, cell := range tableCell.FindAllStringSubmatch(text, -1) {
			for _, m := range message.FindAllStringSubmatch(cell[1], -1) {
				for _, words := range fixedWords.FindAllString(m[1], -1) {
					checked++
					if !strings.Contains(source.String(), words) {
						t.Errorf("docs/%s lists %q, which no part of the program says", doc, words)
					}
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("found only %d messages", checked)
	}
}
