package findings

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxShown is how many annotations of one level GitHub shows of one step; the
// others are in the log only.
// https://docs.github.com/en/actions/reference/limits
const maxShown = 10

// writeGitHub writes a workflow command for each finding, and a summary.
// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
func writeGitHub(w io.Writer, r Report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(command(r, f) + "\n")
	}
	if max(r.count(Error), r.count(Warning)) > maxShown {
		fmt.Fprintf(&b, "::notice title=reconciler validate::%s; GitHub shows the first %d of each, this step's log has them all\n", r.counted(), maxShown)
	}
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// command returns one annotation. The line always parses as the command that it
// begins with, so that the runner doesn't look for the older ##[…] commands in
// it.
func command(r Report, f Finding) string {
	var props []string
	add := func(key, value string) { props = append(props, key+"="+propertyEscapes.Replace(value)) }
	// The top folder itself can't be annotated.
	if path, _ := r.path(f.File); path != "" && path != "." {
		add("file", path)
		if f.Line > 0 {
			add("line", strconv.Itoa(f.Line))
			add("col", strconv.Itoa(f.Column))
		}
	}
	add("title", string(f.Rule))
	return "::" + string(f.Level) + " " + strings.Join(props, ",") + "::" + dataEscapes.Replace(f.text())
}

// The runner reverses these, the percent sign last.
// https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
