package diff

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/text"
)

// Guards are the limits within which a plan may be applied. They check the plan
// as a whole: each change may be right while all of them together are an accident.
type Guards struct {
	// MaxDestructiveOrgs is how many orgs may lose a product or an object, be
	// deactivated or deleted in one run. 0 means none at all.
	MaxDestructiveOrgs int
	// MaxDestructivePercent is the same as a share of the orgs that have something
	// to lose (Summary.Writable), from 0 to 100. One org is always within it, so
	// that a small fleet can be changed at all.
	MaxDestructivePercent int
	// Day is the limit of a day; nil where the history is not known, as in a
	// review of the manifests alone.
	Day *Day
	// Made, where not nil, returns the changes that runs made lately, the newest first.
	// A plan all of whose losses take these back exactly is within the limits above.
	Made func() []Made
	// MaxNewOrgs is how many orgs may be created or linked in one run. 0 means
	// none at all.
	MaxNewOrgs int
	// Begun are the domains of orgs whose creation an earlier run began. They don't
	// count as new: to leave them half done would be worse.
	Begun map[string]bool
	// AerialDomain is the domain of the Aerial org, which is also recognized by
	// what the API returns; ParentDomains are those of the configured parents.
	// They are never deactivated, and no setting changes that: the account's own
	// API clients live in the first, and children can't be created or managed
	// without their parent.
	AerialDomain  string
	ParentDomains []string
	// Known is what Okta has said of orgs before. It identifies the Aerial org and
	// the parents when an answer lacks a domain, or when they have another by now.
	Known []KnownOrg
	// Unreadable are the ids of orgs of which it can't be read what Okta has said
	// before. They may be the Aerial org or a parent, and are not deactivated.
	Unreadable map[string]bool
	// UnknownParents are the names of configured parents whose org can't be
	// determined, because their address is not a domain of Okta's. While there
	// is one, nothing is deactivated.
	UnknownParents []string
	// UnknownAerial says the same of the Aerial org: then only the API identifies
	// it, and while it doesn't, nothing is deactivated.
	UnknownAerial bool
	// AllowLockout are the domains of orgs whose changes may lock people out.
	AllowLockout []string
	// OwnAddresses are the networks that no blocklist may hold.
	OwnAddresses []netip.Prefix
}

// Day limits how many orgs may lose something within 24 hours.
type Day struct {
	// Max is that number. 0 means none at all.
	Max int
	// Lost are the orgs that lost something in the last 24 hours, or may have.
	Lost []LostOrg
	// Until is when the first of them no longer counts, for messages; empty if
	// there is none.
	Until string
}

// LostOrg is an org that lost something, or may have.
type LostOrg struct{ ID, Domain string }

// KnownOrg is an org of which Okta once said that it had this domain, or that it is
// the Aerial org.
type KnownOrg struct {
	ID string
	// Domain may be empty.
	Domain string
	Aerial bool
}

// Names of the guards in Refusal.Guard.
const (
	GuardOrgs    = "maxDestructiveOrgs"
	GuardPercent = "maxDestructivePercent"
	GuardDay     = "maxDestructiveOrgsPerDay"
	GuardNew     = "maxNewOrgs"
	GuardAerial  = "aerialOrg"
	GuardParent  = "parentOrg"
	GuardLockout = "lockout"
	// The last two are for saved plans only: in a new plan, what is held becomes
	// a blocked change.
	GuardHeld    = "held"
	GuardCooloff = "deactivationCooloff"
)

// The roles of orgs that are never deactivated.
const (
	roleAerial  = "the Aerial org"
	roleParent  = "a parent org"
	roleInDoubt = "perhaps the Aerial org or a parent, as the journal's row of it can't be read"
)

// neverDeactivated returns the role that keeps the change's org from being
// deactivated, and the guard that enforces it; both empty when there is none.
func (g *Guards) neverDeactivated(c *Change, live *index) (role, guard string) {
	domains := []string{bare(c.Org)}
	org := live.byID[c.OrgID]
	if org != nil {
		domains = append(domains, bare(org.Domain))
	}
	aerial := org != nil && org.AerialOrg
	for _, k := range g.Known {
		if k.ID == c.OrgID && k.ID != "" {
			aerial = aerial || k.Aerial
			domains = append(domains, bare(k.Domain))
		}
	}
	isParent := func(domain string) bool { return domain != "" && slices.Contains(g.ParentDomains, domain) }
	switch {
	case aerial || g.AerialDomain != "" && slices.Contains(domains, g.AerialDomain):
		return roleAerial, GuardAerial
	case slices.ContainsFunc(domains, isParent):
		return roleParent, GuardParent
	case g.Unreadable[c.OrgID]:
		return roleInDoubt, GuardAerial
	}
	return "", ""
}

// bare returns a domain in the form in which the config has it.
func bare(domain string) string { return strings.ToLower(strings.TrimSuffix(domain, ".")) }

// NeverDeactivated returns the ids and domains of the orgs that are never
// deactivated, as far as they are known, and whether Known has all of their ids.
func (g *Guards) NeverDeactivated() (ids, domains []string, all bool) {
	domains = slices.Clone(g.ParentDomains)
	if g.AerialDomain != "" {
		domains = append(domains, g.AerialDomain)
	}
	seen, aerial := map[string]bool{}, false
	for _, k := range g.Known {
		domain := bare(k.Domain)
		if k.Aerial || domain != "" && slices.Contains(domains, domain) {
			ids = append(ids, k.ID)
		}
		seen[domain] = true
		aerial = aerial || k.Aerial
	}
	all = len(g.UnknownParents) == 0 && (aerial || g.AerialDomain != "")
	for _, domain := range domains {
		all = all && (seen[domain] || aerial && domain == g.AerialDomain)
	}
	ids = slices.AppendSeq(ids, maps.Keys(g.Unreadable))
	slices.Sort(ids)
	return slices.Compact(ids), domains, all
}

// Unidentified returns those of ParentDomains of which it isn't known which org has
// them, because neither the actual state nor Known has an org with that domain.
func (g *Guards) Unidentified(actual *state.Actual) []string {
	return slices.DeleteFunc(slices.Clone(g.ParentDomains), func(domain string) bool {
		return slices.ContainsFunc(actual.Orgs, func(o state.Org) bool { return bare(o.Domain) == domain }) ||
			slices.ContainsFunc(g.Known, func(k KnownOrg) bool { return bare(k.Domain) == domain })
	})
}

// KnownOrgs returns what the actual state says of orgs that an answer may lack
// later.
func KnownOrgs(actual *state.Actual) []KnownOrg {
	var known []KnownOrg
	for i := range actual.Orgs {
		if o := &actual.Orgs[i]; o.Domain != "" || o.AerialOrg {
			known = append(known, KnownOrg{ID: o.ID, Domain: o.Domain, Aerial: o.AerialOrg})
		}
	}
	return known
}

// guarded is what the guards judge.
type guarded struct {
	changes []Change
	unknown []Unknown
	live    *index
	// locked are the orgs whose changes would lock people out.
	locked []orgLockout
	// writable is how many orgs have something to lose.
	writable int
	// new are the actions that add an org to the account.
	new []Action
}

// refusals returns the guards' refusals, in a fixed order.
func (g *Guards) refusals(x *guarded) []Refusal {
	all := append(g.deactivations(x), g.lockouts(x.locked)...)
	if l := losses(x.changes, x.unknown); len(l.certain) > 0 && !g.takeBack(x.changes, &l) {
		all = append(all, g.tooMany(l, x.writable)...)
	}
	var added []string
	for i := range x.changes {
		if c := &x.changes[i]; c.Blocked == "" && slices.Contains(x.new, c.Action) && !g.Begun[c.Org] {
			added = append(added, c.Org)
		}
	}
	added = slices.Compact(added) // the changes of one org stand together
	if n := len(added); n > g.MaxNewOrgs {
		all = append(all, Refusal{GuardNew, fmt.Sprintf(
			"%s would be created or linked (%s), which can't be undone, but only %d may in one run: if that is intended, apply it to fewer orgs at a time, or raise maxNewOrgs",
			text.Plural(n, "org"), enumerate(added), g.MaxNewOrgs)})
	}
	return all
}

// deactivations returns the refusals of deactivations and deletions of orgs that
// are, or may be, the Aerial org or a parent.
func (g *Guards) deactivations(x *guarded) []Refusal {
	var all []Refusal
	for i := range x.changes {
		c := &x.changes[i]
		if !c.Deactivates() || c.Blocked == blockedReport || c.Blocked == blockedProtected || c.Blocked == blockedInDoubt {
			continue
		}
		role, guard := g.neverDeactivated(c, x.live)
		if role != "" {
			all = append(all, Refusal{guard, fmt.Sprintf(
				"%s is %s, which is never deactivated or deleted: set its status to ACTIVE in the manifest, or take it out", c.Org, role)})
		}
		if g.UnknownAerial && !x.live.aerial && !slices.ContainsFunc(g.Known, func(k KnownOrg) bool { return k.Aerial }) {
			all = append(all, Refusal{GuardAerial, fmt.Sprintf(
				"%s would be deactivated or deleted, and it is not known whether it is the Aerial org: name the Aerial org in the config by its own Okta domain", c.Org)})
		}
		for _, name := range g.UnknownParents {
			all = append(all, Refusal{GuardParent, fmt.Sprintf(
				"%s would be deactivated or deleted, and it is not known whether it is the parent %q: give that parent its `domain` in the config", c.Org, name)})
		}
		if role == "" {
			all = append(all, g.nameless(c, x.live)...)
		}
	}
	// A deactivation and a deletion of one org say the same.
	seen := map[Refusal]bool{}
	return slices.DeleteFunc(all, func(r Refusal) bool {
		again := seen[r]
		seen[r] = true
		return again
	})
}

// nameless refuses to deactivate an org that Okta lists without a domain while the
// Aerial org or a parent is not known by its id: it may be this one.
func (g *Guards) nameless(c *Change, live *index) []Refusal {
	org := live.byID[c.OrgID]
	if org == nil || org.Domain != "" {
		return nil
	}
	known := func(domain string) bool {
		return len(live.byDomain[domain]) > 0 || slices.ContainsFunc(g.Known, func(k KnownOrg) bool { return bare(k.Domain) == domain })
	}
	aerial := live.aerial || slices.ContainsFunc(g.Known, func(k KnownOrg) bool { return k.Aerial })
	var all []Refusal
	refuse := func(guard, what string) {
		all = append(all, Refusal{guard, fmt.Sprintf(
			"%s would be deactivated or deleted, but Okta lists the org %s without a domain, and it is not known whether it is %s: run again when Okta's list has its domain", c.Org, c.OrgID, what)})
	}
	if !aerial && (g.AerialDomain == "" || !known(g.AerialDomain)) {
		refuse(GuardAerial, roleAerial)
	}
	for _, domain := range g.ParentDomains {
		if !known(domain) {
			refuse(GuardParent, "the parent "+domain)
		}
	}
	return all
}

// loss is which orgs a plan takes something from: certain ones, and others that
// could not be read and from which it would be taken if they could.
type loss struct {
	certain []lossy
	unread  []string
}

// lossy is an org that loses something.
type lossy struct{ id, domain string }

func losses(changes []Change, unknown []Unknown) loss {
	var l loss
	for i := range changes {
		c := &changes[i]
		if !c.Destructive || c.Blocked != "" {
			continue
		}
		if n := len(l.certain); n == 0 || l.certain[n-1].domain != c.Org { // the changes of one org stand together
			l.certain = append(l.certain, lossy{c.OrgID, c.Org})
		}
	}
	for _, u := range unknown {
		if u.MayLose {
			l.unread = append(l.unread, u.Org)
		}
	}
	return l
}

func (l *loss) count() int { return len(l.certain) + len(l.unread) }

// describe says which orgs lose something; of is put behind their number.
func (l *loss) describe(of string) string {
	var names []string
	for _, o := range l.certain {
		names = append(names, o.domain)
	}
	s := fmt.Sprintf("%s%s would lose a product or an object, be deactivated or deleted (%s)", text.Plural(len(names), "org"), of, enumerate(names))
	if n := len(l.unread); n > 0 {
		s += fmt.Sprintf(", and %d that could not be read may (%s)", n, enumerate(l.unread))
	}
	return s
}

// tooMany returns the refusals of a plan that takes something from too many orgs.
func (g *Guards) tooMany(l loss, writable int) []Refusal {
	var all []Refusal
	n := l.count()
	if n > g.MaxDestructiveOrgs {
		all = append(all, Refusal{GuardOrgs, fmt.Sprintf(
			"%s, but only %d may in one run: if that is intended, apply it to fewer orgs at a time, or raise maxDestructiveOrgs",
			l.describe(""), g.MaxDestructiveOrgs)})
	}
	if limit := g.percentLimit(writable); n > limit && len(l.certain) > 1 {
		all = append(all, Refusal{GuardPercent, fmt.Sprintf(
			"%s, but only %d %% may in one run, which is %s: if that is intended, apply it to fewer orgs at a time, or raise maxDestructivePercent",
			l.describe(fmt.Sprintf(" of %d that are live and may be written", writable)), g.MaxDestructivePercent, text.Plural(limit, "org"))})
	}
	if g.Day == nil {
		return all
	}
	if earlier, total := g.Day.with(l); total > g.Day.Max {
		before, remedy := "", ""
		if earlier > 0 {
			before = fmt.Sprintf("; with the %s of the last 24 hours that makes %d", text.Plural(earlier, "org"), total)
			remedy = fmt.Sprintf("wait (the first of them counts until %s), ", g.Day.Until)
		}
		all = append(all, Refusal{GuardDay, fmt.Sprintf(
			"%s%s, but only %d may in 24 hours: if that is intended, %sapply it to fewer orgs, or raise maxDestructiveOrgsPerDay",
			l.describe(""), before, g.Day.Max, remedy)})
	}
	return all
}

// with returns how many orgs lost something earlier, and how many it will be with
// those of l. An org counts once.
func (d *Day) with(l loss) (earlier, total int) {
	lost := map[string]bool{} // ids and domains; an id has no dot
	for _, o := range d.Lost {
		lost[o.ID] = true
		lost[bare(o.Domain)] = true
	}
	total = len(d.Lost)
	for _, o := range l.certain {
		if !lost[o.id] && !(o.id == "" && lost[o.domain]) {
			total++
		}
	}
	for _, domain := range l.unread {
		if !lost[domain] {
			total++
		}
	}
	return len(d.Lost), total
}

// percentLimit is how many of the orgs the percentage stands for, rounded down,
// and at least one. One org is allowed even beside others that could not be read.
func (g *Guards) percentLimit(writable int) int {
	return max(1, writable*g.MaxDestructivePercent/100)
}

// hasToLose reports whether a declared org has something to lose: it is live, it
// may be written, and it isn't INACTIVE already. Of such orgs maxDestructivePercent
// is a share. Entries that can't lose anything must not make room for others.
func hasToLose(org *state.DesiredOrg, live *index, opts Options) bool {
	if org.Mode == state.Report || org.Protected || reason(opts.Held, org.Domain) != "" {
		return false
	}
	found := live.candidates(org)
	if len(found) == 0 || (&orgDiff{org: org}).mismatched(found) {
		return false
	}
	return org.Status == state.Active || found[0].Status != state.Inactive
}

// judge sets the refusals, given the orgs that have something to lose, by domain,
// and returns how many that are. An org that does lose something is one of them.
func (p *Plan) judge(g *Guards, live *index, locked []orgLockout, toLose map[string]bool, added ...Action) (writable int) {
	l := losses(p.Changes, p.Unknown)
	for _, o := range l.certain {
		toLose[o.domain] = true
	}
	p.Refusals = append(p.Refusals, g.refusals(&guarded{p.Changes, p.Unknown, live, locked, len(toLose), added})...)
	return len(toLose)
}
