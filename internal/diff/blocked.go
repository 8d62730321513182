package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// Reasons why a change is blocked.
const (
	blockedReport    = "mode: report"
	blockedProtected = "protected"
	blockedNoCell    = "linking needs a cell: give the org a `cell`"
	blockedNameless  = "the account has an org that Okta lists without a domain, and it may be this one: give the org its `id`"
	blockedAerial    = roleAerial + " is never deactivated"
	blockedParent    = roleParent + " is never deactivated"
	blockedInDoubt   = roleInDoubt
	// What follows is the beginning of a reason.
	blockedUnentitled = "not subscribed"
	blockedNoDeletion = "no deletion is requested"
	blockedUnmet      = "not possible"
)

// NextStep returns what somebody can do about a difference that is blocked for a reason;
// empty where the reason says it, and where waiting ends it.
func NextStep(blocked string) string {
	switch blocked {
	case blockedReport:
		return "set mode: apply for the org in the manifests to have it repaired"
	case blockedProtected:
		return "take it away in Okta by hand, or declare it: nothing is taken from a protected org"
	case blockedAerial, blockedParent, blockedInDoubt:
		return "declare the org ACTIVE, or deactivate it in Okta by hand"
	}
	switch {
	case strings.HasPrefix(blocked, blockedUnentitled+":"):
		return "buy the product, or take it out of the manifests"
	case strings.HasPrefix(blocked, "suspended by "):
		return "wait for the end of the suspension, or resume writes"
	}
	return ""
}

// block sets on each change why it will not be made. The manifest comes first: a
// change that is only reported needs no guard. Temporary reasons come last, since
// waiting would not lift the others.
func (d *orgDiff) block(live *index, opts Options) {
	if d.org.Mode == state.Report {
		d.blockAll(blockedReport)
		return
	}
	held := reason(opts.Held, d.org.Domain)
	if held == "" && opts.Stale != "" && slices.ContainsFunc(d.changes, func(c Change) bool { return c.Action == LinkOrg }) {
		held = opts.Stale // what isn't linked can't be changed either
	}
	cooling := ""
	blocked := map[string]bool{} // fields
	for i := range d.changes {
		c := &d.changes[i]
		c.Blocked = cmp.Or(c.Blocked, d.forbidden(c, live, &opts.Guards), impossible(c, opts), opts.contested(c), held)
		if c.Blocked == "" && (c.Destructive || c.Irreversible) {
			c.Blocked = opts.Stale
		}
		if c.Blocked == "" && c.Deactivates() {
			// An org is deleted only after its deactivation, so the deletion
			// waits for that too.
			cooling = cmp.Or(reason(opts.CoolingOff, c), cooling)
			c.Blocked = cooling
		}
		if i > 0 && c.Blocked == "" && c.recreates(&d.changes[i-1]) {
			c.Blocked = d.changes[i-1].Blocked
		}
		for _, before := range d.needs[c.Field()] { // which comes first
			if c.Blocked == "" && blocked[fieldOfRef(before)] {
				c.Blocked = fmt.Sprintf("waits for the %s, which is blocked", before)
			}
		}
		blocked[c.Field()] = c.Blocked != ""
	}
}

// contested returns why a change is not made again that was made before and undone, or
// "".
func (o *Options) contested(c *Change) string {
	if k := objects.ByName(c.Kind); k == nil || !k.Pushed {
		return ""
	}
	return reason(o.Contested, c)
}

// forbidden returns why the change must never be made, or "".
func (d *orgDiff) forbidden(c *Change, live *index, guards *Guards) string {
	switch {
	case !c.Destructive:
	case d.org.Protected:
		return blockedProtected
	case c.Deactivates():
		switch role, _ := guards.neverDeactivated(c, live); role {
		case roleAerial:
			return blockedAerial
		case roleParent:
			return blockedParent
		case roleInDoubt:
			return blockedInDoubt
		}
	}
	return ""
}

// impossible returns why a deletion can't be requested at all, or "".
func impossible(c *Change, opts Options) string {
	if c.Action != RequestDeletion || opts.NoDeletions == "" {
		return ""
	}
	return blockedNoDeletion + ": " + opts.NoDeletions
}

func (d *orgDiff) blockAll(why string) {
	for i := range d.changes {
		d.changes[i].Blocked = why
	}
}

// Deactivates reports whether the change locks people out of the org.
func (c *Change) Deactivates() bool {
	return c.Action == SetStatus && c.After.Text() == string(state.Inactive) || c.Action == RequestDeletion
}

// Barred reports whether the change is blocked until the manifests or the config
// change, not just for a time.
func (c *Change) Barred() bool {
	switch c.Blocked {
	case blockedReport, blockedProtected, blockedNoCell, blockedNameless, blockedAerial, blockedParent, blockedInDoubt:
		return true
	}
	return c.Impossible()
}

// Impossible reports whether the change is declared, and blocked because it can't
// be made as things are: that is a failure, and no decision.
func (c *Change) Impossible() bool {
	return slices.ContainsFunc([]string{blockedUnentitled, blockedNoDeletion, blockedUnmet}, func(why string) bool {
		return strings.HasPrefix(c.Blocked, why+":")
	})
}
