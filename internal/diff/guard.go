package diff

import (
	"fmt"
	"slices"

	"reconciler/internal/text"
)

// Guards are the limits within which a plan may be applied. They check the plan
// as a whole: each change may be right while all of them together are an accident.
type Guards struct {
	// MaxDestructiveOrgs is how many orgs may lose a product, be deactivated
	// or deleted in one run. 0 means none at all.
	MaxDestructiveOrgs int
	// MaxDestructivePercent is the same as a share of the declared orgs, from
	// 0 to 100. One org is always within it, so that a small fleet can be
	// changed at all.
	MaxDestructivePercent int
	// AerialDomain is the domain of the Aerial org, which is also recognized by
	// what the API returns; ParentDomains are those of the configured parents.
	// They are never deactivated, and no setting changes that: the account's own
	// API clients live in the first, and children can't be created or managed
	// without their parent.
	AerialDomain  string
	ParentDomains []string
	// UnknownParents are the names of configured parents whose org can't be
	// determined, because their address is not a domain of Okta's. While there
	// is one, nothing is deactivated.
	UnknownParents []string
	// UnknownAerial says the same of the Aerial org: then only the API identifies
	// it, and while it doesn't, nothing is deactivated.
	UnknownAerial bool
}

// Names of the guards in Refusal.Guard.
const (
	GuardOrgs    = "maxDestructiveOrgs"
	GuardPercent = "maxDestructivePercent"
	GuardAerial  = "aerialOrg"
	GuardParent  = "parentOrg"
	// The last two are for saved plans only: in a new plan, what is held becomes
	// a blocked change.
	GuardHeld    = "held"
	GuardCooloff = "deactivationCooloff"
)

// The roles of orgs that are never deactivated.
const (
	roleAerial = "the Aerial org"
	roleParent = "a parent org"
)

// neverDeactivated returns the role that keeps the change's org from being
// deactivated, and the guard that enforces it; both empty when there is none.
func (g *Guards) neverDeactivated(c *Change, live *index) (role, guard string) {
	org := live.byID[c.OrgID]
	switch {
	case c.Org == g.AerialDomain || org != nil && org.AerialOrg:
		return roleAerial, GuardAerial
	case slices.Contains(g.ParentDomains, c.Org):
		return roleParent, GuardParent
	}
	return "", ""
}

// refusals returns the guards' refusals of the changes, in a fixed order.
func (g *Guards) refusals(changes []Change, live *index, declared int) []Refusal {
	var all []Refusal
	var orgs []string
	for i := range changes {
		c := &changes[i]
		if c.Deactivates() && c.Blocked != blockedReport && c.Blocked != blockedProtected {
			if role, guard := g.neverDeactivated(c, live); role != "" {
				all = append(all, Refusal{guard, fmt.Sprintf(
					"%s is %s, which is never deactivated or deleted: set its status to ACTIVE in the manifest, or take it out", c.Org, role)})
			}
			if g.UnknownAerial && !live.aerial {
				all = append(all, Refusal{GuardAerial, fmt.Sprintf(
					"%s would be deactivated or deleted, and it is not known whether it is the Aerial org: name the Aerial org in the config by its own Okta domain", c.Org)})
			}
			for _, name := range g.UnknownParents {
				all = append(all, Refusal{GuardParent, fmt.Sprintf(
					"%s would be deactivated or deleted, and it is not known whether it is the parent %q: give that parent its `domain` in the config", c.Org, name)})
			}
		}
		if c.Destructive && c.Blocked == "" && (len(orgs) == 0 || orgs[len(orgs)-1] != c.Org) {
			orgs = append(orgs, c.Org) // the changes of one org stand together
		}
	}
	all = slices.Compact(all) // a deactivation and a deletion of one org say the same

	if n := len(orgs); n > g.MaxDestructiveOrgs {
		all = append(all, Refusal{GuardOrgs, fmt.Sprintf(
			"%s would lose a product, be deactivated or deleted (%s), but only %d may in one run: if that is intended, apply it to fewer orgs at a time, or raise maxDestructiveOrgs",
			text.Plural(n, "org"), enumerate(orgs), g.MaxDestructiveOrgs)})
	}
	if n, limit := len(orgs), g.percentLimit(declared); n > limit {
		all = append(all, Refusal{GuardPercent, fmt.Sprintf(
			"%s of %d would lose a product, be deactivated or deleted (%s), but only %d %% may in one run, which is %s: if that is intended, apply it to fewer orgs at a time, or raise maxDestructivePercent",
			text.Plural(n, "org"), declared, enumerate(orgs), g.MaxDestructivePercent, text.Plural(limit, "org"))})
	}
	return all
}

// percentLimit is how many of the declared orgs the percentage stands for,
// rounded down, and at least one.
func (g *Guards) percentLimit(declared int) int {
	return max(1, declared*g.MaxDestructivePercent/100)
}
