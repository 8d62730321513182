package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/freeze/schedule"
)

const (
	minWindow = time.Minute
	maxWindow = 366 * 24 * time.Hour
)

// windows returns when not to write, and when only.
func (r *resolver) windows(all []at[windowFile]) []freeze.Window {
	var windows []freeze.Window
	for i := range all {
		f := &all[i].V
		key := func(k string) string { return fmt.Sprintf("windows.%d.%s", i, k) }
		w := freeze.Window{
			Deny: f.Deny.Set,
			For:  f.Duration.V,
			Zone: r.zone(key("timezone"), &f.Timezone),
			Orgs: r.patterns(key("orgs"), &f.Orgs),
		}
		switch {
		case f.Deny.Set && f.Allow.Set:
			r.errs.Add(f.Allow.Pos, "%q and %q (%s) exclude one another: keep one, or make it two windows", key("allow"), key("deny"), f.Deny.Pos)
		case f.Deny.Set:
			w.Opens = r.fields(key("deny"), &f.Deny, w.Zone)
		case f.Allow.Set:
			w.Opens = r.fields(key("allow"), &f.Allow, w.Zone)
		default:
			r.errs.Add(all[i].Pos, `this window has neither "deny" nor "allow"`)
		}
		switch {
		case !f.Duration.Set:
			r.errs.Add(all[i].Pos, `this window has no "duration"`)
		case f.Duration.OK() && (w.For < minWindow || w.For > maxWindow):
			r.errs.Add(f.Duration.Pos, "%q must be from 1m to 8784h (366 days), not %s", key("duration"), w.For)
		}
		windows = append(windows, w)
	}
	return windows
}

var zonePrefix = regexp.MustCompile(`^\s*(CRON_)?TZ=`)

// fields returns a schedule of five cron fields.
func (r *resolver) fields(key string, v *at[string], zone *time.Location) schedule.Schedule {
	if !v.OK() {
		return schedule.Schedule{}
	}
	if zonePrefix.MatchString(v.V) {
		r.errs.Add(v.Pos, `%q must be the five fields alone: the time zone goes into "timezone"`, key)
		return schedule.Schedule{}
	}
	s, err := schedule.ParseFields(v.V, zone)
	if err != nil {
		r.errs.Add(v.Pos, "%q: %v", key, err)
	}
	return s
}

// zone returns a time zone; UTC where there is a mistake.
func (r *resolver) zone(key string, v *at[string]) *time.Location {
	name := r.word(key, v)
	if name == "" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil || zone == time.Local { // which would be another one on each machine
		r.errs.Add(v.Pos, "%q must be a time zone of the IANA database, as in Europe/Berlin, not %q", key, v.V)
		return time.UTC
	}
	return zone
}

// suspensions returns what is suspended, expired or not.
func (r *resolver) suspensions(all []at[suspensionFile]) []freeze.Suspension {
	var suspensions []freeze.Suspension
	for i := range all {
		f := &all[i].V
		key := func(k string) string { return fmt.Sprintf("suspend.%d.%s", i, k) }
		s := freeze.Suspension{
			Reason: r.phrase(key("reason"), &f.Reason, freeze.MaxReason),
			Owner:  r.phrase(key("owner"), &f.Owner, freeze.MaxOwner),
			Orgs:   r.patterns(key("orgs"), &f.Orgs),
		}
		if !f.Reason.Set {
			r.errs.Add(all[i].Pos, `this suspension has no "reason"`)
		}
		if !f.Owner.Set {
			r.errs.Add(all[i].Pos, `this suspension has no "owner"`)
		}
		if f.Until.OK() {
			var err error
			if s.Until, err = time.Parse(time.RFC3339, string(f.Until.V)); err != nil || s.Until.IsZero() {
				r.errs.Add(f.Until.Pos, "%q must be a time with its zone, as in 2026-12-01T00:00:00Z, not %q", key("until"), string(f.Until.V))
			} else if !s.Until.After(r.now) {
				r.warn(f.Until.Pos, "this suspension expired at %s and holds nothing back any more: remove it, or give it another end", f.Until.V)
			}
		}
		suspensions = append(suspensions, s)
	}
	return suspensions
}

// patterns returns patterns of domains in lower case; nil for all orgs.
func (r *resolver) patterns(key string, v *at[[]at[string]]) []string {
	if !v.OK() {
		return nil
	}
	if len(v.V) == 0 {
		r.errs.Add(v.Pos, "%q names no org: name some, or remove the key for all of them", key)
	}
	var all []string
	for i := range v.V {
		item := &v.V[i]
		if !item.OK() {
			continue
		}
		if err := freeze.CheckGlob(item.V); err != nil {
			r.errs.Add(item.Pos, "%q %v", key, err)
			continue
		}
		all = append(all, strings.ToLower(item.V))
	}
	return all
}
