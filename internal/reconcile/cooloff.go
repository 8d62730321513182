package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
)

// cooloff blocks deactivations until they were planned twice: by two runs that
// are guards.deactivationCooloff apart, or for two commits that declare something
// else for the org. The first run announces them.
type cooloff struct {
	period    time.Duration // 0 blocks nothing
	commit    string
	desired   *state.Desired
	now       time.Time
	announced map[orgAction]journal.Announcement
	// unreadable are those of which the journal can't tell since when they are
	// announced.
	unreadable map[orgAction]bool
}

// orgAction is a change of an org. A deletion is announced apart from the
// deactivation that comes before it.
type orgAction struct {
	orgID  string
	action diff.Action
}

// cooloff reads what earlier runs announced. A journal that can't be read is an
// error: without it a first run can't be told from a second.
func (r *Reconciler) cooloff(d *Desired) (*cooloff, error) {
	c := &cooloff{
		period: r.cfg.Guards.DeactivationCooloff, commit: d.Commit, desired: d.State, now: time.Now(),
		announced: map[orgAction]journal.Announcement{}, unreadable: map[orgAction]bool{},
	}
	if c.period == 0 {
		return c, nil
	}
	all, err := r.journal.Announcements(r.cfg.Aerial.AccountID)
	var rows *journal.RowsError
	if err != nil && !errors.As(err, &rows) && !unknowable(err) {
		return c, err
	}
	if rows != nil {
		for _, row := range rows.Rows {
			c.unreadable[orgAction{row.Keys["org_id"], diff.Action(row.Keys["action"])}] = true
		}
	}
	for _, a := range all {
		c.announced[orgAction{a.OrgID, diff.Action(a.Action)}] = a
	}
	return c, nil
}

// why returns why a deactivation or a deletion may not be made yet, or "".
func (c *cooloff) why(change *diff.Change) string {
	if c.period == 0 {
		return ""
	}
	or := ", or after another commit that changes what is declared for the org"
	if c.commit == "" {
		or = "" // only time counts
	}
	if c.unreadable[orgAction{change.OrgID, change.Action}] {
		return "cooling off: the journal can't be read as to when it was announced"
	}
	a, ok := c.announced[orgAction{change.OrgID, change.Action}]
	if !ok {
		return fmt.Sprintf("cooling off: the first run that wants this only announces it; it is made by one %s later%s", brief(c.period), or)
	}
	ready := a.At.Add(c.period)
	other := c.commit != "" && a.Commit != "" && c.commit != a.Commit && c.declared(change.Org) != a.Declared
	if other || !c.now.Before(ready) {
		return ""
	}
	return fmt.Sprintf("cooling off: announced at %s, made from %s on%s", a.At.UTC().Format(time.RFC3339), ready.UTC().Format(time.RFC3339), or)
}

// declared returns a digest of what is declared for an org, without its configuration,
// which a baseline of many orgs may change; "" if nothing is.
func (c *cooloff) declared(domain string) string {
	for i := range c.desired.Orgs {
		o := c.desired.Orgs[i]
		if o.Domain != domain {
			continue
		}
		o.Pos, o.ProductPos, o.Places = state.Pos{}, nil, nil // which other entries move
		o.Vars = nil
		data, err := json.Marshal(&o)
		if err != nil {
			panic("reconcile: a declared org has no JSON: " + err.Error())
		}
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:8])
	}
	return ""
}

// brief returns a duration without the zeros at its end.
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

// Note records what a plan for d means for later runs: what Accept does, which
// deactivations and deletions it announces, and which announced ones are no
// longer planned. Call it for a plan that would be applied if nothing blocked it,
// before it is applied; it may be called again. When the error is a
// *journal.OvertakenError, the plan must not be applied.
func (r *Reconciler) Note(plan *diff.Plan, d *Desired, f Filter) error {
	err := r.Accept(plan)
	if errors.As(err, new(*journal.OvertakenError)) {
		return err
	}
	return errors.Join(err, r.announce(plan, d, f.For(d.State)))
}

// Accept records that the commit of a plan came into force, and what Okta has said
// of orgs. For a saved plan, which was reviewed as it is and announces nothing, it
// takes the place of Note.
func (r *Reconciler) Accept(plan *diff.Plan) error {
	r.saveKnown()
	return r.source.verifier.accept(plan.Revision)
}

func (r *Reconciler) announce(plan *diff.Plan, d *Desired, f Filter) error {
	if r.cfg.Guards.DeactivationCooloff == 0 {
		return nil
	}
	c, err := r.cooloff(d)
	if err != nil {
		return err
	}
	announced, withdrawn := c.changes(plan, f)
	if len(announced)+len(withdrawn) == 0 {
		return nil
	}
	w, err := r.journal.Lock()
	if err != nil {
		return err
	}
	defer w.Unlock()
	return errors.Join(w.Announce(announced...), w.Withdraw(withdrawn...))
}

// changes returns what a plan announces anew, and what was announced and is no
// longer planned, of the orgs that the plan is about.
func (c *cooloff) changes(plan *diff.Plan, f Filter) (announced, withdrawn []journal.Announcement) {
	keep := map[orgAction]bool{}
	for i := range plan.Changes {
		change := &plan.Changes[i]
		// What is barred is not announced: it would be made at once when the bar
		// is removed.
		if !change.Deactivates() || change.OrgID == "" || change.Barred() {
			continue
		}
		is := orgAction{change.OrgID, change.Action}
		keep[is] = true
		// What is held is not announced either, but stays announced if it was.
		if _, known := c.announced[is]; !known && !c.unreadable[is] && change.Blocked == c.why(change) {
			announced = append(announced, journal.Announcement{
				Account: plan.Account, OrgID: change.OrgID, Domain: change.Org, Action: string(change.Action),
				Commit: plan.Revision, Declared: c.declared(change.Org), At: c.now,
			})
		}
	}
	unknown := map[string]bool{}
	for _, u := range plan.Unknown {
		unknown[u.OrgID] = true
	}
	for is, a := range c.announced {
		if !keep[is] && !unknown[a.OrgID] && f.Has(a.Domain) {
			withdrawn = append(withdrawn, a)
		}
	}
	return announced, withdrawn
}
