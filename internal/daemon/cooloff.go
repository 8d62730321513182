package daemon

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/journal"
	"reconciler/internal/state"
)

// cooling holds deactivations back until they were wanted twice: by two runs
// that are guards.deactivationCooloff apart, or for two commits. The first run
// announces them.
type cooling struct {
	period    time.Duration // 0 holds nothing back
	commit    string
	now       time.Time
	announced map[string]journal.Announcement // by org id
}

// cooling looks up what earlier runs announced. A journal that can't be read is
// an error: without it a first run can't be told from a second. But a damaged
// one knows nothing, or else nobody would ever get to setting it aside.
func (r *Reconciler) cooling(commit string) (*cooling, error) {
	c := &cooling{period: r.cfg.Guards.DeactivationCooloff, commit: commit, now: time.Now()}
	if c.period == 0 {
		return c, nil
	}
	all, err := r.announcements()
	c.announced = all
	return c, err
}

// announcements gives all that was announced, by org id.
func (r *Reconciler) announcements() (map[string]journal.Announcement, error) {
	view, err := journal.Look(r.cfg.State.Dir, journal.Options{Logger: r.log})
	if errors.Is(err, journal.ErrDamaged) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer view.Close()
	all, err := view.Announcements(r.cfg.Aerial.AccountID)
	if err != nil {
		return nil, err
	}
	byID := map[string]journal.Announcement{}
	for _, a := range all {
		byID[a.OrgID] = a
	}
	return byID, nil
}

// why says why an org may not be deactivated yet; empty when it may.
func (c *cooling) why(orgID, _ string) string {
	if c.period == 0 {
		return ""
	}
	a, ok := c.announced[orgID]
	if !ok {
		return fmt.Sprintf("cooling off: the first run that wants this only announces it; it is made by one %s later, or for another commit", brief(c.period))
	}
	ready := a.At.Add(c.period)
	other := c.commit != "" && a.Commit != "" && c.commit != a.Commit
	if other || !c.now.Before(ready) {
		return ""
	}
	return fmt.Sprintf("cooling off: announced at %s, made from %s on, or for another commit",
		a.At.UTC().Format(time.RFC3339), ready.UTC().Format(time.RFC3339))
}

// brief gives a duration without the zeros at its end.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Note takes down what a plan for d means for those that come after: that its
// commit came into force, which deactivations it announces, and which of those
// that were announced nobody wants any more. Call it for a plan that would be
// applied if nothing kept it from being, before it is; it may be called again.
func (r *Reconciler) Note(plan *diff.Plan, d *Desired, f Filter) error {
	return errors.Join(r.verifier.accept(d), r.announce(plan, d, f))
}

func (r *Reconciler) announce(plan *diff.Plan, d *Desired, f Filter) error {
	if r.cfg.Guards.DeactivationCooloff == 0 {
		return nil
	}
	cooling, err := r.cooling(d.Commit)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	var news []journal.Announcement
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if !deactivates(c) || c.OrgID == "" {
			continue
		}
		// What something else blocks is not announced: it would be made at once
		// when that something goes.
		_, known := cooling.announced[c.OrgID]
		if !known && !wanted[c.OrgID] && c.Blocked == cooling.why(c.OrgID, c.Org) {
			news = append(news, journal.Announcement{Account: plan.Account, OrgID: c.OrgID, Domain: c.Org, Commit: d.Commit, At: cooling.now})
		}
		wanted[c.OrgID] = true
	}
	gone := withdrawn(cooling.announced, wanted, plan, f)
	if len(news)+len(gone) == 0 {
		return nil
	}
	books, err := journal.Open(r.cfg.State.Dir, journal.Options{Logger: r.log})
	if err != nil {
		return err
	}
	defer books.Close()
	return errors.Join(books.Announce(news...), books.Withdraw(plan.Account, gone...))
}

// withdrawn gives the orgs whose announced deactivation the plan doesn't want,
// of those that it looked at.
func withdrawn(announced map[string]journal.Announcement, wanted map[string]bool, plan *diff.Plan, f Filter) []string {
	only, exclude := domains(f.Only), domains(f.Exclude)
	unknown := map[string]bool{}
	for _, u := range plan.Unknown {
		unknown[u.OrgID] = true
	}
	var gone []string
	for id, a := range announced {
		looked := (len(only) == 0 || only[a.Domain]) && !exclude[a.Domain] && !unknown[id]
		if looked && !wanted[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// deactivates says whether a change locks people out of its org.
func deactivates(c *diff.Change) bool {
	return c.Action == diff.RequestDeletion || c.Action == diff.SetStatus && c.After.Text() == string(state.Inactive)
}
