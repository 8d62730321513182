package reconcile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/onboard"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
)

// deletionRequested returns which orgs Okta accepted a deletion request for. A
// journal that can't be read is an error, because the request would be repeated.
// It isn't read if no org is declared to be deleted. Without a journal, requests
// are known while the process lives.
func (r *Reconciler) deletionRequested(desired *state.Desired) (func(orgID string) bool, error) {
	declared := slices.ContainsFunc(desired.Orgs, func(o state.DesiredOrg) bool { return o.RequestDeletion })
	if r.cfg.State.Dir == "" || !declared {
		return r.deletions.requested, nil
	}
	all, err := r.journal.Deletions(r.cfg.Aerial.AccountID)
	var rows *journal.RowsError
	if err != nil && !errors.As(err, &rows) && !unknowable(err) {
		return nil, err
	}
	requested := map[string]bool{}
	if rows != nil { // which are alarms: what may have been requested isn't repeated
		for _, row := range rows.Rows {
			requested[row.Keys["org_id"]] = true
		}
	}
	for _, d := range all {
		requested[d.OrgID] = d.State == journal.Asked
	}
	return func(orgID string) bool { return requested[orgID] }, nil
}

// begun returns the domains of the orgs whose creation was begun and isn't finished.
func (r *Reconciler) begun() (map[string]bool, error) {
	all, err := r.journal.Creations(r.cfg.Aerial.AccountID)
	if err != nil && !unknowable(err) {
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
// well when that can't be read: locking sets a damaged journal aside.
func (r *Reconciler) needsJournal(plan *diff.Plan) bool {
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if c.Blocked == "" && (c.Action == diff.CreateOrg || c.Action == diff.RequestDeletion) {
			return true
		}
	}
	all, err := r.journal.Creations(r.cfg.Aerial.AccountID)
	return err != nil || slices.ContainsFunc(all, func(c journal.Creation) bool { return onboard.Unfinished(&c) })
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
		opts.Deletions = r.deletions
	}
	onboarder, err := r.onboarder(w)
	if err == nil && w != nil {
		if err = onboarder.CatchUp(ctx, plan, r.read.FindOrg); err != nil {
			r.log.Error("the journal could not be brought up to date; no org is created", "error", err, "hint", text.Hint(err))
		}
	}
	if err != nil {
		opts.Creator = unavailable{err}
		return
	}
	opts.Creator = onboarder
}

func (r *Reconciler) onboarder(w *journal.Writer) (*onboard.Onboarder, error) {
	opts := onboard.Options{
		Account: r.cfg.Aerial.AccountID,
		Parents: map[string]onboard.Parent{},
		Logger:  r.log,
	}
	if w != nil {
		opts.Journal = w
	}
	var err error
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

// processDeletions records deletion requests while the process lives.
type processDeletions struct {
	mu   sync.Mutex
	orgs map[string]bool // by id
}

func (p *processDeletions) requested(orgID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.orgs[orgID]
}

func (p *processDeletions) Begin(string, string) error { return nil }

func (p *processDeletions) End(orgID, refusal string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.orgs == nil {
		p.orgs = map[string]bool{}
	}
	p.orgs[orgID] = refusal == ""
	return nil
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
