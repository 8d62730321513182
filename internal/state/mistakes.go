package state

import (
	"fmt"

	"reconciler/internal/text"
)

// maxMistakes is how many different mistakes of the configurations of orgs are listed.
const maxMistakes = 1000

// orgError adds an error of the configuration of one org, unless other orgs have the
// same one: then they are counted.
func (m *merger) orgError(d *DesiredOrg, pos Pos, format string, args ...any) {
	key := orgMistake{pos, fmt.Sprintf(format, args...)}
	if m.mistakes[key] == nil {
		if len(m.mistakes) == maxMistakes {
			key.msg = fmt.Sprintf("more than %d mistakes in the configurations of the orgs: the others are not listed", maxMistakes)
			key.pos = d.Pos
		}
		if len(m.mistakes) > maxMistakes {
			return
		}
		m.mistakes[key] = &mistaken{first: d.Domain}
	}
	if at := m.mistakes[key]; at.last != d.Domain {
		at.last = d.Domain
		at.orgs++
	}
}

type (
	// orgMistake is a mistake in the configuration of orgs, and mistaken are these.
	orgMistake struct {
		pos Pos
		msg string
	}
	mistaken struct {
		first, last string
		orgs        int
	}
)

// addMistakes adds the errors of the configurations of orgs.
func (m *merger) addMistakes() {
	known := make(map[orgMistake]bool, len(m.errs))
	for _, e := range m.errs {
		known[orgMistake{e.Pos, e.Msg}] = true
	}
	for mistake, in := range m.mistakes {
		if known[mistake] {
			continue
		}
		where := in.first
		if in.orgs > 1 {
			where += " and " + text.Plural(in.orgs-1, "other org")
		}
		m.errs.Add(mistake.pos, "%s (in %s)", mistake.msg, where)
	}
}
