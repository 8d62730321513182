package reconcile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/onboard"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
)

const (
	// askAgain is after how long an accepted request for a deletion is made again,
	// if the org is still there and still INACTIVE: somebody may have taken it back
	// in Okta, which no field of the org shows. A request that is still pending is
	// refused as such, and does nothing.
	askAgain = 24 * time.Hour

	noDeletions = "a request must not be made twice, and there is no journal of them: set " + config.KeyStateDir + " to a folder that lasts"
)

// errNoDeletions is the outcome of a deletion in a saved plan.
var errNoDeletions = errors.New(noDeletions)

// declares reports whether any declared org is as is says.
func declares(desired *state.Desired, is func(*state.DesiredOrg) bool) bool {
	return slices.ContainsFunc(desired.Orgs, func(o state.DesiredOrg) bool { return is(&o) })
}

// deletions sets in opts what earlier requests for deletions mean for a plan. A
// journal that can't be read is an error, because a request would be repeated. It
// isn't read if no org is declared to be deleted.
func (r *Reconciler) deletions(desired *state.Desired, opts *diff.Options) error {
	if !r.cfg.State.IsSet() {
		opts.NoDeletions = noDeletions
		return nil
	}
	if !declares(desired, func(o *state.DesiredOrg) bool { return o.RequestDeletion }) {
		return nil
	}
	all, err := r.journal.Deletions(r.cfg.Aerial.AccountID)
	var rows *journal.RowsError
	if err != nil && !errors.As(err, &rows) && !unknowable(err) {
		return err
	}
	requested := pending(all, time.Now())
	if rows != nil { // which are alarms: what may have been requested isn't repeated
		for _, row := range rows.Rows {
			requested[row.Keys["org_id"]] = true
		}
	}
	opts.DeletionRequested = func(orgID string) bool { return requested[orgID] }
	return nil
}

// pending returns the orgs, by id, whose deletion Okta accepted. The one that was
// asked for longest ago, at least askAgain, is left out, to be asked for again: one
// a run, so that the guards don't take it for more.
func pending(all []journal.Deletion, now time.Time) map[string]bool {
	requested := map[string]bool{}
	oldest, since := "", now.Add(-askAgain)
	for _, d := range all {
		requested[d.OrgID] = d.State == journal.Asked
		if d.State == journal.Asked && !d.Changed.After(since) {
			oldest, since = d.OrgID, d.Changed
		}
	}
	delete(requested, oldest)
	return requested
}

// creations sets in opts what earlier creations mean for a plan. Where orgs are to
// be created, a journal that can't be read is an error: it knows the orgs that were
// made by other names.
func (r *Reconciler) creations(desired *state.Desired, actual *state.Actual, opts *diff.Options) error {
	if !r.cfg.State.IsSet() {
		return nil
	}
	all, err := r.journal.Creations(r.cfg.Aerial.AccountID)
	if err != nil && !unreadable(err) {
		if unknowable(err) || !declares(desired, func(o *state.DesiredOrg) bool { return o.Create != nil }) {
			return nil
		}
		return err
	}
	ids := map[string]string{}
	for i := range all {
		ids[all[i].Domain] = all[i].OrgID
	}
	opts.Created = func(domain string) string { return ids[domain] }
	opts.Notes = append(r.abandoned(all, desired, actual), r.withoutAccess()...)
	return nil
}

// abandoned returns a note on each creation that was begun, of an org that is
// neither declared any more nor in the account.
func (r *Reconciler) abandoned(all []journal.Creation, desired *state.Desired, actual *state.Actual) []diff.Note {
	known := map[string]bool{} // ids and domains; an id has no dot
	for i := range desired.Orgs {
		known[desired.Orgs[i].Domain] = true
	}
	for i := range actual.Orgs {
		known[actual.Orgs[i].Domain], known[actual.Orgs[i].ID] = true, true
	}
	var notes []diff.Note
	for i := range all {
		c := &all[i]
		if known[c.Domain] || c.OrgID != "" && known[c.OrgID] {
			continue
		}
		what := ""
		switch {
		case c.Step == journal.Sent:
			what = "the call that creates it was not answered, so that it may exist"
		case c.Step == journal.Created:
			what = "it was created, and is not in the account"
		default:
			continue
		}
		notes = append(notes, diff.Note{Org: c.Domain, Message: fmt.Sprintf(
			"%s, and no manifest declares it any more: declare it again, or look in Okta and then: %s %s", what, r.journal.Commands().Forget, c.Domain)})
	}
	return notes
}

// begun returns the domains of the orgs whose creation was begun and isn't finished.
func (r *Reconciler) begun() (map[string]bool, error) {
	all, err := r.journal.Creations(r.cfg.Aerial.AccountID)
	if err != nil && !unreadable(err) && !unknowable(err) {
		return nil, err
	}
	domains := map[string]bool{}
	for i := range all {
		if onboard.Unfinished(&all[i]) {
			domains[all[i].Domain] = true
		}
	}
	return domains, nil
}

// needsJournal reports whether the journal has to be locked to apply the plan:
// because it makes calls that can't be repeated or looked up again, or because an
// earlier process made some whose outcome the journal doesn't know yet. It does as
// well when the journal can't be read: locking sets a damaged one aside. For single
// rows that can't be read there is nothing to do.
func (r *Reconciler) needsJournal(plan *diff.Plan) bool {
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if c.Blocked == "" && (c.Action == diff.CreateOrg || c.Action == diff.RequestDeletion) {
			return true
		}
	}
	if len(r.pendingAccess()) > 0 {
		return true
	}
	all, err := r.journal.Creations(r.cfg.Aerial.AccountID)
	return err != nil && !unreadable(err) || slices.ContainsFunc(all, func(c journal.Creation) bool { return onboard.Unfinished(&c) })
}

// setCreator sets what creates and deletes orgs, given the locked journal, which
// is nil where none is configured, or the error of locking it. Where something is
// not configured or doesn't work, the orgs that need it fail with the reason, and
// the others go on.
func (r *Reconciler) setCreator(ctx context.Context, plan *diff.Plan, w *journal.Writer, err error, opts *apply.Options) {
	switch {
	case err != nil:
		opts.Creator, opts.Deletions = unavailable{err}, unavailable{err}
		return
	case w != nil:
		opts.Deletions = journaledDeletions{w, r.cfg.Aerial.AccountID}
	default:
		opts.Deletions = unavailable{errNoDeletions}
	}
	onboarder, err := r.onboarder(w)
	if err == nil && w != nil {
		if err = onboarder.CatchUp(ctx, plan); err != nil {
			r.log.Error("the journal could not be brought up to date; no org is created", "error", err, "hint", text.Hint(err))
		}
	}
	if err != nil {
		opts.Creator = unavailable{err}
		return
	}
	onboarder.OpenAccesses(ctx)
	opts.Creator = onboarder
}

func (r *Reconciler) onboarder(w *journal.Writer) (*onboard.Onboarder, error) {
	opts := onboard.Options{
		Account: r.cfg.Aerial.AccountID,
		Parents: map[string]onboard.Parent{},
		Find:    r.findLive,
		Refused: r.refused,
		Logger:  r.log,
	}
	if w != nil {
		opts.Journal = w
	}
	var err error
	if r.cfg.Orgs.Bootstrap != "" && w != nil {
		opts.Bootstrap = &bootstrap{access: r.access, journal: w, declared: r.declared, role: string(r.cfg.Orgs.Bootstrap)}
	}
	if opts.Sink, err = OpenTokenSink(r.cfg, r.environ); err != nil {
		return nil, err
	}
	for i := range r.cfg.Parents {
		p := &r.cfg.Parents[i]
		client, err := OpenParent(p, r.base, r.log)
		if err != nil {
			return nil, err
		}
		opts.Parents[p.Name] = onboard.Parent{API: client, Domain: p.Domain, Settle: p.Settle}
	}
	return onboard.New(opts), nil
}

// OpenTokenSink returns the place where tokens of new orgs go; nil if the config
// names none. A command gets environ without our own variables.
func OpenTokenSink(cfg *config.Config, environ []string) (tokens.Sink, error) {
	t := &cfg.Tokens
	switch {
	case t.Command != "":
		return tokens.Exec([]string{t.Command}, environ)
	case t.RecipientsFile != "":
		recipients, err := os.ReadFile(t.RecipientsFile)
		if err == nil {
			recipients, err = text.Decode(recipients)
		}
		if err != nil {
			return nil, fmt.Errorf(config.KeyTokensRecipients+": %w", err)
		}
		return tokens.Age(t.Dir, []string{string(recipients)})
	case t.Dir != "":
		return tokens.Dir(t.Dir), nil
	default:
		return nil, nil
	}
}

// journaledDeletions records deletion requests in the journal.
type journaledDeletions struct {
	*journal.Writer
	account string
}

// Begin replaces an earlier request: a plan repeats it only when somebody has made
// the org active since, which cancelled that request.
func (d journaledDeletions) Begin(orgID, domain string) error {
	return d.BeginDeletion(d.account, orgID, domain)
}

func (d journaledDeletions) End(orgID, refusal string) error {
	return d.EndDeletion(d.account, orgID, refusal)
}

// findLive returns the org with this id or, where id is empty, this domain, as the
// account had it when it was read last; nil if it had none. Only a process that
// has never read it asks.
func (r *Reconciler) findLive(ctx context.Context, id, domain string) (*state.Org, error) {
	if r.live == nil {
		return r.read.FindOrg(ctx, id, domain)
	}
	for i := range r.live.Orgs {
		if o := &r.live.Orgs[i]; id != "" && o.ID == id || id == "" && o.Domain == domain {
			return o, nil
		}
	}
	return nil, nil
}

// unavailable fails all that needs a journal or a token sink, before anything is
// sent.
type unavailable struct{ err error }

func (u unavailable) Create(context.Context, diff.Change, func() error, func(context.Context) error) (apply.Created, error) {
	return apply.Created{}, u.err
}

func (u unavailable) Linked(context.Context, string, string) string { return "" }

func (u unavailable) Done(string) {}

func (u unavailable) Begin(string, string) error { return u.err }

func (u unavailable) End(string, string) error { return u.err }
