package config

import (
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

// windows returns the times in which nothing, or only in which something, is
// written.
func (r *resolver) windows(all []at[windowFile]) []freeze.Window {
	var windows []freeze.Window
	for i := range all {
		block, f := &all[i], &all[i].V
		r.need(block, &f.Duration)
		r.within(&f.Duration, minWindow, maxWindow, "from 1m to 8784h (366 days)")
		w := freeze.Window{
			Deny: f.Deny.Set,
			For:  f.Duration.V,
			Zone: r.zone(&f.Timezone),
			Orgs: r.patterns(&f.Orgs),
		}
		switch {
		case f.Deny.Set && f.Allow.Set:
			r.fail(&f.Allow, "and %q (%s) are mutually exclusive: keep one, or make two windows of it", r.fields[&f.Deny].path, f.Deny.Pos)
		case f.Deny.Set:
			w.Opens = r.cronFields(&f.Deny, w.Zone)
		case f.Allow.Set:
			w.Opens = r.cronFields(&f.Allow, w.Zone)
		default:
			r.fail(block, `has neither "deny" nor "allow"`)
		}
		windows = append(windows, w)
	}
	return windows
}

var zonePrefix = regexp.MustCompile(`^\s*(CRON_)?TZ=`)

// cronFields returns a schedule of five cron fields.
func (r *resolver) cronFields(v *at[string], zone *time.Location) schedule.Schedule {
	if !v.OK() {
		return schedule.Schedule{}
	}
	if zonePrefix.MatchString(v.V) {
		r.fail(v, `must be the five fields alone: the time zone goes into "timezone"`)
		return schedule.Schedule{}
	}
	s, err := schedule.ParseFields(v.V, zone)
	if err != nil {
		r.errs.Add(v.Pos, "%q: %v", r.fields[v].path, err)
	}
	return s
}

// zone returns a time zone; UTC after an error.
func (r *resolver) zone(v *at[string]) *time.Location {
	name := r.word(v)
	if name == "" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil || zone == time.Local { // Local differs between machines
		r.fail(v, "must be a time zone of the IANA database, as in Europe/Berlin, not %q", v.V)
		return time.UTC
	}
	return zone
}

func (r *resolver) suspensions(all []at[suspensionFile]) []freeze.Suspension {
	var suspensions []freeze.Suspension
	for i := range all {
		block, f := &all[i], &all[i].V
		r.need(block, &f.Reason)
		r.need(block, &f.Owner)
		s := freeze.Suspension{
			Reason: r.phrase(&f.Reason, freeze.MaxReason),
			Owner:  r.phrase(&f.Owner, freeze.MaxOwner),
			Orgs:   r.patterns(&f.Orgs),
		}
		if f.Until.OK() {
			var err error
			if s.Until, err = time.Parse(time.RFC3339, string(f.Until.V)); err != nil || s.Until.IsZero() {
				r.fail(&f.Until, "must be a time with its zone, as in 2026-12-01T00:00:00Z, not %q", string(f.Until.V))
			} else if !s.Until.After(r.now) {
				r.warn(f.Until.Pos, "this suspension expired at %s: remove it, or set a later end", f.Until.V)
			}
		}
		suspensions = append(suspensions, s)
	}
	return suspensions
}

// patterns returns patterns of domains in lower case; nil for all orgs.
func (r *resolver) patterns(v *at[[]at[string]]) []string {
	if !v.OK() {
		return nil
	}
	if len(v.V) == 0 {
		r.fail(v, "names no org: name some, or remove the key for all of them")
	}
	var all []string
	for _, item := range v.V {
		if !item.OK() {
			continue
		}
		if err := freeze.CheckGlob(item.V); err != nil {
			r.errs.Add(item.Pos, "%q %v", r.fields[v].path, err)
			continue
		}
		all = append(all, strings.ToLower(item.V))
	}
	return all
}
