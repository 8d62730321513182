package diff

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/text"
)

// The kinds and types of objects that decide who can sign in.
const (
	kindZones    = "networkZones"
	kindGroups   = "groups"
	kindPolicies = "policies"
	kindRules    = "policyRules"

	typeSignOn   = "OKTA_SIGN_ON"
	typePassword = "PASSWORD"
	typeEnroll   = "MFA_ENROLL"

	deny     = "DENY"
	inactive = "INACTIVE"
)

// situation is the configuration of an org as people who sign in meet it.
type situation struct {
	zones    []*objects.LiveObject
	policies map[string][]*objects.LiveObject // by type, in their order
	rules    map[objects.Ref][]*objects.LiveObject
	byRef    map[objects.Ref]*objects.LiveObject
	// partial is set if only the declared objects are known, and not those beside them.
	partial bool
}

func newSituation(live *objects.Live) *situation {
	s := &situation{
		policies: map[string][]*objects.LiveObject{},
		rules:    map[objects.Ref][]*objects.LiveObject{},
		byRef:    make(map[objects.Ref]*objects.LiveObject, len(live.Objects)),
	}
	for _, o := range live.Objects {
		s.byRef[o.Ref] = o
		switch o.Ref.Kind.Name {
		case kindZones:
			s.zones = append(s.zones, o)
		case kindPolicies:
			s.policies[o.Ref.Type] = append(s.policies[o.Ref.Type], o)
		case kindRules:
			policy := policyOf(o.Ref)
			s.rules[policy] = append(s.rules[policy], o)
		}
	}
	return s
}

// policyOf returns the policy of a rule.
func policyOf(rule objects.Ref) objects.Ref {
	return objects.Ref{Kind: rule.Kind.Parent, Type: rule.Type, Name: rule.Parent}
}

// lockout is a reason for which an org must not be changed. Two with the same key are
// the same, whatever they say.
type lockout struct{ key, text string }

// lockouts returns what keeps people, or us, out of an org after any of the changes, in
// their order, and didn't before them: if the next one fails, it stays like that.
func lockouts(before *situation, live *objects.Live, all []objects.Difference, own []netip.Prefix) []string {
	after := newSituation(objects.After(live, all))
	had, end := before.keys(own), after.keys(own)
	zones := mayBlock(before, after, had, own)
	var reasons []string
	for _, d := range stepsOf(all, before, zones) {
		live = objects.After(live, []objects.Difference{d})
		for _, l := range newSituation(live).lockouts(own) {
			switch {
			case had[l.key]:
				continue
			case !end[l.key]:
				l.text += ", until the changes that come after it are made"
			}
			had[l.key] = true
			reasons = append(reasons, l.text)
		}
	}
	return reasons
}

// keys returns the keys of the lockouts that there are.
func (s *situation) keys(own []netip.Prefix) map[string]bool {
	keys := map[string]bool{}
	for _, l := range s.lockouts(own) {
		keys[l.key] = true
	}
	return keys
}

// added returns the reasons of the lockouts that another situation doesn't have.
func (s *situation) added(before *situation, own []netip.Prefix) []string {
	had := before.keys(own)
	var reasons []string
	for _, l := range s.lockouts(own) {
		if !had[l.key] {
			reasons = append(reasons, l.text)
		}
	}
	return reasons
}

// mayBlock reports whether the zones of before and after, all of them in force, hold
// more than had says. If not, they don't after any write either.
func mayBlock(before, after *situation, had map[string]bool, own []netip.Prefix) bool {
	worst := &situation{}
	for _, z := range slices.Concat(before.zones, after.zones) {
		if blocks(z.Body) {
			body := maps.Clone(z.Body)
			delete(body, "status")
			worst.zones = append(worst.zones, &objects.LiveObject{Ref: z.Ref, Body: body})
		}
	}
	return slices.ContainsFunc(worst.blocked(own), func(l lockout) bool { return !had[l.key] })
}

// stepsOf returns the writes of the changes that decide who gets in, in their order;
// those of zones only if zones is set.
func stepsOf(all []objects.Difference, before *situation, zones bool) []objects.Difference {
	var steps []objects.Difference
	for i := range all {
		if d := &all[i]; before.decides(d) && (zones || d.Ref.Kind.Name != kindZones) {
			steps = append(steps, writesOf(d)...)
		}
	}
	return steps
}

// decides reports whether a change is about who gets in.
func (s *situation) decides(d *objects.Difference) bool {
	switch d.Ref.Kind.Name {
	case kindPolicies, kindRules:
		return d.Ref.Type == typeSignOn || d.Ref.Type == typeEnroll
	case kindZones:
		usage := func(f objects.FieldChange) bool { return f.Path == "usage" }
		return blocks(s.body(d.Ref)) || slices.ContainsFunc(d.Fields, usage)
	}
	return false
}

// writesOf returns the writes of a change, in their order: a new object is ACTIVE at
// first where Okta takes no other status, an object is deactivated before the rest of it
// is written, and activated after.
func writesOf(d *objects.Difference) []objects.Difference {
	at := slices.IndexFunc(d.Fields, func(f objects.FieldChange) bool { return f.Path == "status" })
	if at < 0 || len(d.Fields) == 1 || d.Op == objects.Create && d.Ref.Kind.API.CreateInactive != "" {
		return []objects.Difference{*d}
	}
	status, rest := *d, *d
	status.Op, status.Fields = objects.Update, d.Fields[at:at+1]
	rest.Fields = slices.Delete(slices.Clone(d.Fields), at, at+1)
	if d.Op == objects.Update && status.Fields[0].After == inactive {
		return []objects.Difference{status, rest}
	}
	return []objects.Difference{rest, status}
}

func (s *situation) lockouts(own []netip.Prefix) []lockout {
	return slices.Concat(s.denials(), s.blocked(own), s.unenrollable())
}

// denials finds a sign-on rule that denies everyone from everywhere and stands before
// every rule that allows. Okta asks the policies in their order, and of each that is
// for the person its rules; the first rule that matches decides.
//
// A rule denies everyone only in a policy that is for everyone. It is in order as the
// last one, so it is a lockout if the same policy allows something behind it, which
// nobody can reach, or if nothing before it lets anyone in. In a policy for some people
// it is none, but what that policy allows behind it lets nobody in. A policy whose rules
// were not read may let people in before the last rule of all, that of the default policy.
func (s *situation) denials() []lockout {
	letsIn, may := s.partial, false // what isn't declared may let people in
	for _, policy := range s.policies[typeSignOn] {
		if !active(policy) {
			continue
		}
		rules := s.rules[policy.Ref]
		if len(rules) == 0 {
			may = true
			continue
		}
		wall, allows := wallOf(rules)
		if wall != nil && forEveryone(policy) {
			if allows || !letsIn && !(may && policy.System) {
				return []lockout{{"sign-on", fmt.Sprintf(
					"the sign-on rule %q denies everyone from everywhere and stands before every rule that allows", wall.Ref.Object())}}
			}
			return nil
		}
		letsIn = letsIn || allows && wall == nil
	}
	return nil
}

// wallOf returns the rule that denies everyone from everywhere, if no rule before it
// allows anything, and whether some rule allows something.
func wallOf(rules []*objects.LiveObject) (wall *objects.LiveObject, allows bool) {
	for _, r := range rules {
		switch {
		case !active(r):
		case !denies(r.Body):
			allows = true
		case wall == nil && !allows && fitsAll(r.Body["conditions"]):
			wall = r
		}
	}
	return wall, allows
}

func active(o *objects.LiveObject) bool { return o.Body["status"] != inactive }

func denies(rule map[string]any) bool { return at(rule, "actions.signon.access") == deny }

// forEveryone reports whether a sign-on policy is for everyone in the org: the default
// policy, one for the group Everyone, and one that names no group.
func forEveryone(policy *objects.LiveObject) bool {
	if policy.System {
		return true
	}
	return allPeople(at(policy.Body, "conditions.people"))
}

// allPeople reports whether the people of a policy or rule are all in the org: it names
// no group or the group Everyone, and excludes nobody.
func allPeople(people any) bool {
	groups, _ := at(people, "groups.include").([]any)
	return (len(groups) == 0 || slices.Contains(groups, any("Everyone"))) && neutral(at(people, "groups.exclude")) && neutral(at(people, "users"))
}

// fitsAll reports whether the conditions of a rule fit everyone from everywhere. Beside
// ANYWHERE, zones mean nothing.
func fitsAll(conditions any) bool {
	all, _ := conditions.(map[string]any)
	for name, v := range all {
		switch {
		case name == "people" && allPeople(v), name == "network" && at(v, "connection") == "ANYWHERE", neutral(v):
		default:
			return false
		}
	}
	return true
}

// neutral reports whether a condition excludes nobody: it is empty, or says ANY or
// ANYWHERE.
func neutral(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == "" || v == "ANY" || v == "ANYWHERE"
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, x := range v {
			if !neutral(x) {
				return false
			}
		}
		return true
	}
	return false
}

// at returns the value at a path of names joined by dots, or nil.
func at(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// span is the addresses from one to another, both of the same family.
type span struct{ from, to netip.Addr }

func (s span) overlaps(t span) bool { return s.from.Compare(t.to) <= 0 && t.from.Compare(s.to) <= 0 }

// parseSpan returns the addresses of a network, a range such as "192.0.2.1-192.0.2.9",
// or one address.
func parseSpan(s string) (span, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return spanOf(p), true
	}
	from, to, ranged := strings.Cut(s, "-")
	if !ranged {
		to = from
	}
	a, err := netip.ParseAddr(strings.TrimSpace(from))
	b, err2 := netip.ParseAddr(strings.TrimSpace(to))
	a, b = a.Unmap(), b.Unmap()
	return span{a, b}, err == nil && err2 == nil && a.BitLen() == b.BitLen() && a.Compare(b) <= 0
}

// spanOf returns the addresses of a network.
func spanOf(p netip.Prefix) span {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	to, _ := netip.AddrFromSlice(last)
	if p.Addr().Is4In6() && to.Is4In6() {
		return span{p.Addr().Unmap(), to.Unmap()}
	}
	return span{p.Addr(), to}
}

// blocklist is a zone from which nobody is let in.
type blocklist struct {
	name  string
	spans []span
}

// blocklists returns the active zones of addresses from which nobody is let in.
func (s *situation) blocklists() []blocklist {
	var all []blocklist
	for _, z := range s.zones {
		if !blocks(z.Body) || !active(z) || z.Body["type"] != "IP" {
			continue
		}
		b := blocklist{name: z.Ref.Name}
		for _, list := range []string{"gateways", "proxies"} {
			entries, _ := z.Body[list].([]any)
			for _, e := range entries {
				value, _ := at(e, "value").(string)
				if one, ok := parseSpan(value); ok {
					b.spans = append(b.spans, one)
				}
			}
		}
		all = append(all, b)
	}
	return all
}

func blocks(zone map[string]any) bool { return zone["usage"] == "BLOCKLIST" }

// blocked finds blocklists that together hold everybody, or that hold our own
// addresses. That an exempt zone might let those through is not counted on.
func (s *situation) blocked(own []netip.Prefix) []lockout {
	lists := s.blocklists()
	var all []lockout
	for _, family := range []struct {
		name string
		span span
	}{{"IPv4", spanOf(netip.MustParsePrefix("0.0.0.0/0"))}, {"IPv6", spanOf(netip.MustParsePrefix("::/0"))}} {
		var spans []span
		var names []string
		for _, b := range lists {
			n := len(spans)
			for _, one := range b.spans {
				if one.overlaps(family.span) {
					spans = append(spans, one)
				}
			}
			if len(spans) > n {
				names = append(names, fmt.Sprintf("%q", b.name))
			}
		}
		if cover(spans, family.span) {
			zones := "the active blocklist zone " + enumerate(names) + " holds"
			if len(names) > 1 {
				zones = "the active blocklist zones " + enumerate(names) + " together hold"
			}
			all = append(all, lockout{family.name, zones + " all of " + family.name})
		}
	}
	for _, network := range own {
		mine, name := spanOf(network), network.String()
		if network.IsSingleIP() {
			name = network.Addr().String()
		}
		for _, b := range lists {
			if slices.ContainsFunc(b.spans, mine.overlaps) {
				all = append(all, lockout{"own " + name, fmt.Sprintf("the active blocklist zone %q holds %s, which is among ownAddresses", b.name, name)})
				break
			}
		}
	}
	return all
}

// cover reports whether spans together hold all of whole. It sorts spans.
func cover(spans []span, whole span) bool {
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	next := whole.from
	for _, s := range spans {
		switch {
		case s.from.Compare(next) > 0:
			return false
		case s.to.Compare(whole.to) >= 0:
			return true
		case s.to.Compare(next) >= 0:
			next = s.to.Next()
		}
	}
	return false
}

// unenrollable finds active policies under which no authenticator can be enrolled.
func (s *situation) unenrollable() []lockout {
	var all []lockout
	for _, policy := range s.policies[typeEnroll] {
		enrolled, known := enrollment(policy.Body)
		open := slices.ContainsFunc(enrolled, func(a authenticator) bool { return a.self != notAllowed })
		if active(policy) && known && !open {
			all = append(all, lockout{"enroll " + policy.Ref.Name, fmt.Sprintf(
				"the authenticator enrollment policy %q leaves no authenticator", policy.Ref.Name)})
		}
	}
	return all
}

const notAllowed = "NOT_ALLOWED"

// authenticator is whether people may, must or must not enroll an authenticator.
type authenticator struct{ key, self string }

// enrollment returns what an enrollment policy says of authenticators, or of the
// factors of the Classic Engine, sorted by key; false if it says nothing.
func enrollment(policy map[string]any) (all []authenticator, known bool) {
	list, known := at(policy, "settings.authenticators").([]any)
	for _, x := range list {
		key, _ := at(x, "key").(string)
		self, _ := at(x, "enroll.self").(string)
		all = append(all, authenticator{key, self})
	}
	if factors, ok := at(policy, "settings.factors").(map[string]any); ok && len(all) == 0 {
		known = true
		for key, x := range factors {
			self, _ := at(x, "enroll.self").(string)
			all = append(all, authenticator{key, self})
		}
	}
	slices.SortFunc(all, func(a, b authenticator) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.self, b.self))
	})
	return all, known
}

// orgLockout is an org whose changes must not be made, and why.
type orgLockout struct {
	org     string
	reasons []string
}

// lockouts returns the refusals of changes that would lock people out, one for each
// reason.
func (g *Guards) lockouts(all []orgLockout) []Refusal {
	orgs := map[string][]string{}
	var reasons []string
	for _, l := range all {
		if slices.ContainsFunc(g.AllowLockout, func(domain string) bool { return bare(domain) == bare(l.org) }) {
			continue
		}
		for _, why := range l.reasons {
			if orgs[why] == nil {
				reasons = append(reasons, why)
			}
			orgs[why] = append(orgs[why], l.org)
		}
	}
	var refusals []Refusal
	for _, why := range reasons {
		refusals = append(refusals, Refusal{GuardLockout, fmt.Sprintf(
			"%s would lock people out (%s): %s: correct that, or, if it is intended, add the domains to allowLockout",
			text.Plural(len(orgs[why]), "org"), enumerate(orgs[why]), why)})
	}
	return refusals
}
