package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/store/journal"
)

// cooling holds deactivations back until they were wanted twice: by two runs
// that are guards.deactivationCooloff apart, or for two commits. The first run
// announces them.
type cooling struct {
	period    time.Duration // 0 holds nothing back
	commit    string
	now       time.Time
	announced map[deed]journal.Announcement
}

// deed is what is done to an org. A deletion is more than the deactivation that
// comes before it: who was told of the one was not told of the other.
type deed struct {
	orgID  string
	action diff.Action
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

// announcements gives all that was announced.
func (r *Reconciler) announcements() (map[deed]journal.Announcement, error) {
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
	announced := map[deed]journal.Announcement{}
	for _, a := range all {
		announced[deed{a.OrgID, diff.Action(a.Action)}] = a
	}
	return announced, nil
}

// why says why a deactivation or a deletion may not be made yet; empty when it
// may.
func (c *cooling) why(change *diff.Change) string {
	if c.period == 0 {
		return ""
	}
	or := ", or for another commit"
	if c.commit == "" {
		or = "" // only time counts
	}
	a, ok := c.announced[deed{change.OrgID, change.Action}]
	if !ok {
		return fmt.Sprintf("cooling off: the first run that wants this only announces it; it is made by one %s later%s", brief(c.period), or)
	}
	ready := a.At.Add(c.period)
	other := c.commit != "" && a.Commit != "" && c.commit != a.Commit
	if other || !c.now.Before(ready) {
		return ""
	}
	return fmt.Sprintf("cooling off: announced at %s, made from %s on%s", a.At.UTC().Format(time.RFC3339), ready.UTC().Format(time.RFC3339), or)
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

// Note takes down what a plan means for those that come after: what Accept does,
// which deactivations and deletions it announces, and which of those that were
// announced are not to be made any more. Call it for a plan that would be
// applied if nothing kept it from being, before it is; it may be called again.
// When the error is a *journal.OvertakenError, the plan must not be applied.
func (r *Reconciler) Note(plan *diff.Plan, f Filter) error {
	err := r.Accept(plan)
	if errors.As(err, new(*journal.OvertakenError)) {
		return err
	}
	return errors.Join(err, r.announce(plan, f))
}

// Accept takes down that the commit of a plan came into force. It is all that
// there is to note of a saved plan, which was reviewed as it is: it announces
// nothing. For the rest it is like Note.
func (r *Reconciler) Accept(plan *diff.Plan) error { return r.verifier.accept(plan.Revision) }

func (r *Reconciler) announce(plan *diff.Plan, f Filter) error {
	if r.cfg.Guards.DeactivationCooloff == 0 {
		return nil
	}
	cooling, err := r.cooling(plan.Revision)
	if err != nil {
		return err
	}
	wanted := map[deed]bool{}
	var news []journal.Announcement
	for i := range plan.Changes {
		c := &plan.Changes[i]
		// What is barred is not wanted: it would be made at once when somebody
		// takes the bar away.
		if !c.Deactivates() || c.OrgID == "" || c.Barred() {
			continue
		}
		is := deed{c.OrgID, c.Action}
		// What is held is not announced either, but stays so if it was.
		_, known := cooling.announced[is]
		if !known && c.Blocked == cooling.why(c) {
			news = append(news, journal.Announcement{
				Account: plan.Account, OrgID: c.OrgID, Domain: c.Org, Action: string(c.Action), Commit: plan.Revision, At: cooling.now,
			})
		}
		wanted[is] = true
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
	return errors.Join(books.Announce(news...), books.Withdraw(gone...))
}

// withdrawn gives what was announced and the plan doesn't want, of the orgs that
// it looked at.
func withdrawn(announced map[deed]journal.Announcement, wanted map[deed]bool, plan *diff.Plan, f Filter) []journal.Announcement {
	only, exclude := domains(f.Only), domains(f.Exclude)
	unknown := map[string]bool{}
	for _, u := range plan.Unknown {
		unknown[u.OrgID] = true
	}
	var gone []journal.Announcement
	for is, a := range announced {
		looked := (len(only) == 0 || only[a.Domain]) && !exclude[a.Domain] && !unknown[a.OrgID]
		if looked && !wanted[is] {
			gone = append(gone, a)
		}
	}
	return gone
}
