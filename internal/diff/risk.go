package diff

import (
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
)

// changed is an object that changes, with its body before and after; nil where there
// is none.
type changed struct {
	*objects.Difference
	before, after map[string]any
}

// riskOf returns in words how a change of an object of each kind may lock people out.
// A setting is found by its name.
var riskOf = map[string]func(c *changed) []string{
	kindZones:             zoneRisks,
	kindPolicies:          policyRisks,
	kindRules:             ruleRisks,
	"groups":              groupRisks,
	"trustedOrigins":      originRisks,
	"threatInsight":       threatRisks,
	"adminConsoleSession": sessionRisks,
	"userLockout":         userLockoutRisks,
}

// mayLockOut reports whether a difference is of a kind that decides who gets in.
func mayLockOut(d objects.Difference) bool { return riskOf[d.Ref.Kind.Name] != nil }

// risks returns the risks of differences by their index.
func risks(before, after *situation, all []objects.Difference) map[int][]string {
	found := map[int][]string{}
	for i := range all {
		d := &all[i]
		if !mayLockOut(*d) {
			continue
		}
		c := &changed{Difference: d, before: before.body(d.Ref), after: after.body(d.Ref)}
		if d.Op == objects.Delete {
			c.after = nil
		}
		if texts := riskOf[d.Ref.Kind.Name](c); len(texts) > 0 {
			found[i] = texts
		}
	}
	return found
}

func (s *situation) body(r objects.Ref) map[string]any {
	if o := s.byRef[r]; o != nil {
		return o.Body
	}
	return nil
}

// on reports whether there is an object and it is not INACTIVE.
func on(body map[string]any) bool { return body != nil && body["status"] != inactive }

// touches reports whether the field at a path changes, or a part of it.
func (c *changed) touches(paths ...string) bool {
	for _, f := range c.Fields {
		for _, path := range paths {
			if f.Path == path || strings.HasPrefix(f.Path, path+".") {
				return true
			}
		}
	}
	return false
}

// ends reports whether an object that was in force no longer is.
func (c *changed) ends() bool { return on(c.before) && !on(c.after) }

// begins reports whether an object comes into force.
func (c *changed) begins() bool { return !on(c.before) && on(c.after) }

func zoneRisks(c *changed) []string {
	var all []string
	switch {
	case on(c.after) && blocks(c.after) && (c.begins() || !blocks(c.before) || c.touches("gateways", "proxies", "asns", "locations", "ipServiceCategories", "proxyType")):
		all = append(all, "nobody can reach the org from this active blocklist zone")
		if c.after["type"] != "IP" {
			all = append(all, "Okta decides which addresses are in a dynamic zone, so it can't be checked whether yours are")
		}
	case on(c.before) && !blocks(c.before) && (c.ends() || blocks(c.after)):
		all = append(all, "rules that let people in from this zone no longer do")
	case on(c.before) && !blocks(c.before) && c.Loses():
		all = append(all, "rules that let people in from this zone no longer do from what is taken out")
	}
	return all
}

func policyRisks(c *changed) []string {
	if c.Op == objects.Reorder {
		return []string{"people for whom more than one of these policies is may come under another one"}
	}
	var all []string
	switch {
	case c.Op == objects.Create && neutral(at(c.after, "conditions.people.groups.include")):
		all = append(all, "it names no group, so that Okta refuses it, or it is for Everyone")
	case c.ends():
		all = append(all, "the people for whom this policy was come under the next one")
	case on(c.after) && !c.begins() && c.touches("conditions"):
		all = append(all, "the policy is for other people than before")
	}
	switch c.Ref.Type {
	case typePassword:
		all = append(all, passwordRisks(c)...)
	case typeEnroll:
		all = append(all, enrollRisks(c)...)
	}
	return all
}

func passwordRisks(c *changed) []string {
	if !on(c.after) {
		return nil
	}
	var all []string
	const attempts, unlock, age = "settings.password.lockout.maxAttempts", "settings.password.lockout.autoUnlockMinutes", "settings.password.age.maxAgeDays"
	if before, after := number(c.before, attempts), number(c.after, attempts); after > 0 && (before == 0 || after < before) {
		all = append(all, fmt.Sprintf("accounts are locked after %v failed sign-ins%s", after, insteadOf(before)))
	}
	if before, after := number(c.before, unlock), number(c.after, unlock); c.touches(unlock) && after == 0 && before > 0 {
		all = append(all, "locked accounts stay locked until somebody unlocks them")
	} else if before > 0 && after > before {
		all = append(all, fmt.Sprintf("locked accounts stay locked for %v minutes%s", after, insteadOf(before)))
	}
	if before, after := number(c.before, age), number(c.after, age); after > 0 && (before == 0 || after < before) {
		all = append(all, fmt.Sprintf("passwords that are older than %v days must be changed at the next sign-in", after))
	}
	return all
}

// number returns the number at a path, 0 if there is none.
func number(body map[string]any, path string) float64 {
	n, _ := at(body, path).(float64)
	return n
}

func insteadOf(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", not %v", n)
}

func enrollRisks(c *changed) []string {
	if !on(c.after) {
		return nil
	}
	before := map[string]string{}
	was, _ := enrollment(c.before)
	for _, a := range was {
		before[a.key] = a.self
	}
	var all []string
	now, known := enrollment(c.after)
	for _, a := range now {
		switch {
		case a.self == before[a.key]:
		case a.self == "REQUIRED":
			all = append(all, a.key+" becomes required: who has not enrolled it must do so to get in")
		case a.self == notAllowed && before[a.key] != "":
			all = append(all, a.key+" can no longer be enrolled")
		}
	}
	for _, a := range was {
		listed := slices.ContainsFunc(now, func(b authenticator) bool { return b.key == a.key })
		if known && !listed && a.self != notAllowed {
			all = append(all, a.key+" can no longer be enrolled: it is not in the list any more")
		}
	}
	return all
}

func ruleRisks(c *changed) []string {
	if c.Ref.Type != typeSignOn {
		return nil
	}
	if c.Op == objects.Reorder {
		return []string{"another of these rules may decide who can sign in"}
	}
	var all []string
	switch {
	case on(c.after) && denies(c.after) && (c.begins() || !denies(c.before) || c.touches("conditions")):
		whom := "those whom its conditions match"
		if fitsAll(c.after["conditions"]) {
			whom = "everyone under this policy, from everywhere"
		}
		all = append(all, "the rule denies sign-in to "+whom)
	case on(c.before) && !denies(c.before) && !on(c.after):
		all = append(all, "people whom this rule let in depend on the rules behind it")
	case on(c.before) && !denies(c.before) && c.touches("conditions"):
		all = append(all, "the rule lets in other people, or from other places, than before")
	}
	if on(c.after) && at(c.after, "actions.signon.requireFactor") == true && at(c.before, "actions.signon.requireFactor") != true {
		all = append(all, "a second factor becomes required: who has none must enroll one to get in")
	}
	return all
}

func groupRisks(c *changed) []string {
	if c.Op != objects.Delete {
		return nil
	}
	return []string{"its members lose what they have through it, and policies and rules no longer find it"}
}

func originRisks(c *changed) []string {
	if on(c.before) && (c.ends() || c.Loses()) {
		return []string{"pages of this origin can no longer sign people in as before"}
	}
	return nil
}

func threatRisks(c *changed) []string {
	if c.after["action"] != "block" || c.before["action"] == "block" && !c.Loses() {
		return nil
	}
	return []string{"sign-ins from addresses that Okta holds for malicious are blocked, but for excludeZones"}
}

func sessionRisks(c *changed) []string {
	var all []string
	for _, x := range []struct{ field, text string }{
		{"sessionIdleTimeoutMinutes", "admins are signed out of the console after %v idle minutes%s"},
		{"sessionMaxLifetimeMinutes", "admins are signed out of the console after %v minutes%s"},
	} {
		if before, after := number(c.before, x.field), number(c.after, x.field); after > 0 && (before == 0 || after < before) && c.touches(x.field) {
			all = append(all, fmt.Sprintf(x.text, after, insteadOf(before)))
		}
	}
	return all
}

func userLockoutRisks(c *changed) []string {
	const field = "preventBruteForceLockoutFromUnknownDevices"
	if c.touches(field) && c.after[field] == false && c.before[field] != false {
		return []string{"failed sign-ins from unknown devices lock accounts: who knows a login can lock it"}
	}
	return nil
}
