package reconcile

import (
	"fmt"

	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// Problem is an error as the status shows it.
type Problem struct {
	// Error is one line. Of many mistakes in manifests it has the first, and the
	// number of the others.
	Error string `json:"error"`
	// Hint is what to do about it; empty when there is nothing to add.
	Hint string `json:"hint,omitempty"`
	// Manifests are all the mistakes in the manifests, as FILE:LINE:COL:
	// message.
	Manifests []string `json:"manifests,omitempty"`
}

// maxListed bounds how many mistakes in manifests are kept: one wrong
// default can make thousands.
const maxListed = 100

// ProblemOf returns err as the status shows it; nil for nil.
func ProblemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	p := &Problem{Error: text.JoinLines(err.Error()), Hint: text.Hint(err)}
	mistakes, ok := strictyaml.AsErrors(err)
	if !ok {
		return p
	}
	for _, m := range mistakes[:min(len(mistakes), maxListed)] {
		p.Manifests = append(p.Manifests, text.JoinLines(m.Error()))
	}
	if n := len(mistakes); n > 1 {
		p.Error = fmt.Sprintf("%s (and %d more)", p.Manifests[0], n-1)
	}
	return p
}
