package apply

import (
	"slices"

	"reconciler/internal/diff"
)

// Status is how one change ended.
type Status string

const (
	// Applied: the change was made, and reading it back showed so.
	Applied Status = "applied"
	// Failed: the change was attempted, or was about to be, and is not known to be
	// in force.
	Failed Status = "failed"
	// Skipped: the change was not attempted, because an earlier change of the same
	// org failed, because the run was stopped, or because writes to the org are
	// held since.
	Skipped Status = "skipped"
	// Blocked: according to the plan the change is not to be made.
	Blocked Status = "blocked"
)

// Outcome is the outcome of one change of a plan. Its JSON form is a public
// interface.
type Outcome struct {
	// Org is the org's domain; empty for a change of the account.
	Org string `json:"org"`
	// OrgID is the org's id as it is known after the change, which may have linked
	// the org. Empty for a change of the account.
	OrgID  string      `json:"orgID"`
	Action diff.Action `json:"action"`
	// Kind and Object are those of the change; empty for changes of the org itself.
	Kind   string `json:"kind,omitempty"`
	Object string `json:"object,omitempty"`
	Result Status `json:"result"`
	// Error says on one line why a change failed or was skipped; empty
	// otherwise. A blocked change's reason stands in the plan.
	Error string `json:"error,omitempty"`
	// Hint says what to do about Error, or what else there is to know of a
	// change that was applied; empty when there is nothing to add.
	Hint string `json:"hint,omitempty"`
}

// Result is the outcome of a plan.
type Result struct {
	// Outcomes runs parallel to the plan's Changes: one for each, in order.
	Outcomes []Outcome `json:"outcomes"`
	// Interrupted is set if the run was stopped before its end. The calls in
	// flight were finished and no new ones were started.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Counts is how many changes ended in which way.
type Counts struct {
	Applied int
	Failed  int
	Skipped int
	Blocked int
}

// Counts adds up the outcomes. A nil Result has none.
func (r *Result) Counts() Counts {
	var c Counts
	if r == nil {
		return c
	}
	for i := range r.Outcomes {
		switch r.Outcomes[i].Result {
		case Applied:
			c.Applied++
		case Failed:
			c.Failed++
		case Skipped:
			c.Skipped++
		case Blocked:
			c.Blocked++
		}
	}
	return c
}

// Failures returns how many orgs of the plan could not be read or written, or have
// something declared that can't be done; an org whose changes are only blocked is
// none of them. A nil Result has no outcomes.
func (r *Result) Failures(plan *diff.Plan) int {
	return len(r.failed(plan))
}

func (r *Result) failed(plan *diff.Plan) map[string]bool {
	orgs := map[string]bool{}
	for _, u := range plan.Unknown {
		orgs[u.Org] = true
	}
	for _, org := range plan.Impossible() {
		orgs[org] = true
	}
	if r != nil {
		for i := range r.Outcomes {
			if o := &r.Outcomes[i]; o.Result.unfinished() {
				orgs[o.Org] = true
			}
		}
	}
	return orgs
}

// unfinished reports whether a change of the org failed or was skipped.
func (r *Result) unfinished(org string) bool {
	return r != nil && slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Org == org && o.Result.unfinished() })
}

func (s Status) unfinished() bool { return s == Failed || s == Skipped }

// Agreeing returns how many orgs of the plan are as declared in the end, as far as they
// could be read: an org of which only the configuration is unknown may be one of them.
func (r *Result) Agreeing(plan *diff.Plan) int {
	orgs := r.failed(plan)
	for _, u := range plan.Unknown {
		if u.Part == diff.PartConfiguration && !r.unfinished(u.Org) {
			delete(orgs, u.Org)
		}
	}
	for _, u := range plan.Unfixable {
		orgs[u.Org] = true
	}
	for i := range plan.Changes {
		if r == nil || r.Outcomes[i].Result != Applied {
			orgs[plan.Changes[i].Org] = true
		}
	}
	delete(orgs, "") // the account
	return plan.Summary.Orgs - len(orgs)
}
