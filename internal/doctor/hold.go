package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// writes reports what may not be written now, by windows and suspensions, and
// which of those are about no declared org.
func (e *examination) writes(context.Context) Check {
	rules := reconcile.Holds(e.cfg, e.journal)
	err := rules.Unreadable
	rules.Unreadable = nil // which would hide what else is held
	found := e.holds(rules)
	if err != nil {
		found.Status = Failure
		found.Message = text.JoinLines(err.Error()) + "; beside that, " + found.Message
		found.Hint = cmp.Or(text.Hint(err), "nothing is written until what is suspended can be read: fix that")
	}
	return found
}

// holds is writes for rules that could be read.
func (e *examination) holds(rules *freeze.Rules) Check {
	now := e.opts.Now()
	if len(rules.Windows)+len(rules.Suspensions) == 0 {
		return fine("nothing is held: there are neither windows nor suspensions")
	}
	suspended := freeze.Active(rules.Suspensions, now)
	declared := fmt.Sprintf("%s, %s", count(len(rules.Windows), "window"), count(len(suspended), "suspension"))
	held := e.held(rules, now)
	found := fine("nothing is held (%s)", declared)
	if len(held) > 0 {
		found = fine("%s (%s)", strings.Join(held[:min(len(held), 3)], "; "), declared)
		found.Details = held
	}
	if len(held) > 3 {
		found.Message += fmt.Sprintf(" and %d more", len(held)-3)
	}
	if len(suspended) > 0 {
		found.Status, found.Hint = Warning, e.journal.Commands().ListSuspensions+" shows more; reconciler resume, or the config, ends it"
	}
	if idle := e.idle(rules.Windows, suspended); len(idle) > 0 {
		found = warnings(found, idle)
		found.Hint = "correct the patterns in orgs"
	}
	return found
}

// held returns what is held and why, grouped by reason: the largest group first.
func (e *examination) held(rules *freeze.Rules, now time.Time) []string {
	why := rules.At(now)
	account := why("")
	domains := e.domains()
	groups := map[string]int{}
	for _, domain := range domains {
		if reason := why(domain); reason != "" {
			groups[reason]++
		}
	}
	if account != "" && (len(domains) == 0 || groups[account] == len(domains)) {
		return []string{"everything is held: " + account}
	}
	var reasons []string
	for reason := range groups {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b string) int {
		if groups[a] != groups[b] {
			return groups[b] - groups[a]
		}
		return strings.Compare(a, b)
	})
	var all []string
	for _, reason := range reasons {
		all = append(all, fmt.Sprintf("%d of %s held: %s", groups[reason], count(len(domains), "org"), reason))
	}
	if account != "" {
		all = append(all, "the account is held: "+account)
	}
	return all
}

// idle returns windows and suspensions that are about none of the declared orgs,
// as after a typing error; none if the manifests are not known to be good.
func (e *examination) idle(windows []freeze.Window, suspended []freeze.Suspension) []string {
	domains := e.domains()
	if len(domains) == 0 {
		return nil
	}
	var all []string
	for i := range windows {
		if orgs := windows[i].Orgs; !concerns(orgs, domains) {
			all = append(all, fmt.Sprintf("window %d is about no declared org (%s)", i+1, strings.Join(orgs, ", ")))
		}
	}
	for i := range suspended {
		if s := &suspended[i]; !concerns(s.Orgs, domains) {
			all = append(all, fmt.Sprintf("the suspension by %q is about no declared org (%s)", s.Owner, strings.Join(s.Orgs, ", ")))
		}
	}
	return all
}

// concerns reports whether patterns are about any of the domains: whether a
// suspension with them would hold one.
func concerns(orgs, domains []string) bool {
	rules := &freeze.Rules{Suspensions: []freeze.Suspension{{Orgs: orgs}}}
	return slices.ContainsFunc(domains, func(domain string) bool { return rules.Held(domain, time.Time{}) != "" })
}

// domains returns those of the declared orgs; none if the manifests are not known
// to be good.
func (e *examination) domains() []string {
	desired := e.desired.Load()
	if desired == nil {
		return nil
	}
	var all []string
	for i := range desired.Orgs {
		all = append(all, desired.Orgs[i].Domain)
	}
	return all
}

// deactivations reports which of them, and which deletions, are announced and wait.
func (e *examination) deactivations(context.Context) Check {
	period := e.cfg.Guards.DeactivationCooloff
	if period == 0 {
		return fine("made by the first run that wants them (" + config.KeyDeactivationCooloff + " is off)")
	}
	announced, err := e.journal.Announcements(e.cfg.Aerial.AccountID)
	if err != nil && !errors.As(err, new(*journal.RowsError)) { // which that check reports
		return Check{Status: Skipped, Message: "needs state"}
	}
	if len(announced) == 0 {
		return fine("wait %v, or for another commit that changes what is declared for the org; none is announced", period)
	}
	var all []string
	for _, a := range announced {
		all = append(all, fmt.Sprintf("%s (%s, announced at %s, made from %s on)", a.Domain, a.Action, stamp(a.At), stamp(a.At.Add(period))))
	}
	found := fine("wait %v, or for another commit that changes what is declared for the org; announced: %s", period, strings.Join(all[:min(len(all), 3)], ", "))
	if len(all) > 3 {
		found.Message += fmt.Sprintf(" and %d more", len(all)-3)
	}
	found.Details = all
	return found
}
