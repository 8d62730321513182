package report

import (
	"fmt"

	"reconciler/internal/text"
)

// maxShown is how many lines text and HTML show of the changes of one severity, in a plan
// or in a part of a review. Nobody reads more of them, and the numbers of all changes stand
// beside them.
const maxShown = 5000

// remainder is what a list of changes leaves out.
type remainder struct {
	Changes, Orgs, Destructive int
	// nowhere is set where no JSON is beside it that has them.
	nowhere bool
}

// String returns how much is left out; empty if nothing is.
func (r remainder) String() string {
	if r.Changes == 0 {
		return ""
	}
	s := fmt.Sprintf("and %s in %s", text.Plural(r.Changes, "more change"), text.Plural(r.Orgs, "org"))
	if r.Destructive > 0 {
		s += fmt.Sprintf(", %d of them destructive", r.Destructive)
	}
	if r.nowhere {
		return s
	}
	return s + allInJSON
}

const allInJSON = "; the JSON output lists them all"

// FewUnfixable returns the first of Unfixable, and MoreUnfixable says how many follow;
// empty if none do.
func (v *view) FewUnfixable() []unfixable { return v.Unfixable[:min(len(v.Unfixable), v.most)] }

func (v *view) MoreUnfixable() string {
	n := len(v.Unfixable) - v.most
	switch {
	case n <= 0:
		return ""
	case v.part:
		return fmt.Sprintf("and %d more", n)
	}
	return fmt.Sprintf("and %d more", n) + allInJSON
}

// limit returns the entries with changes of at most so many lines of each severity, and
// what that leaves out. Severities don't take room from each other: however many changes
// there are, destructive ones are shown.
func limit(all []entry, most int) (shown []entry, left remainder) {
	used := map[severity]int{}
	orgs := map[string]bool{}
	for _, e := range all {
		kept := make([]change, 0, len(e.Changes))
		for _, c := range e.Changes {
			if used[c.Severity] < most {
				used[c.Severity] += c.height()
				kept = append(kept, c)
				continue
			}
			e.Left++
			left.Changes += len(e.Names)
			if c.destructive() {
				left.Destructive += len(e.Names)
			}
		}
		if e.Left > 0 {
			for _, name := range e.Names {
				orgs[name] = true
			}
		}
		if e.Changes = kept; len(kept) > 0 {
			shown = append(shown, e)
		}
	}
	left.Orgs = len(orgs)
	return shown, left
}

// height returns how many lines a change has.
func (c *change) height() int {
	n := len(c.Lines)
	for i := range c.Lines {
		n += len(c.Lines[i].More)
	}
	return n
}

// destructive reports whether an effect of the change is.
func (c *change) destructive() bool {
	for i := range c.Lines {
		if c.Lines[i].Destructive {
			return true
		}
	}
	return false
}
