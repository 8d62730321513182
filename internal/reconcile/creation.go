package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/parent"
	"reconciler/internal/onboard"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
)

// scopeOrgs lets a service app of a parent create orgs and see its consent.
const scopeOrgs = "okta.orgs.manage"

// Alarm is something that was lost and that stays told until a person has
// taken note of it.
type Alarm struct {
	// Org is the domain; empty when it is about the journal itself.
	Org     string `json:"org"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String gives one line.
func (a Alarm) String() string {
	line := a.Message
	if a.Org != "" {
		line = a.Org + ": " + line
	}
	if a.Hint != "" {
		line += " (" + a.Hint + ")"
	}
	return line
}

// Alarms gives what was lost and nobody has acknowledged. Without a journal
// there is nothing to know; a damaged one is an alarm itself. It may be called
// while another process holds the journal.
func (r *Reconciler) Alarms() ([]Alarm, error) {
	dir := r.cfg.State.Dir
	if dir == "" {
		return nil, nil
	}
	view, err := journal.Look(dir, journal.Options{Logger: r.log})
	if errors.Is(err, journal.ErrDamaged) {
		return []Alarm{{Message: err.Error(), Hint: text.Hint(err)}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer view.Close()
	forgot, err := view.Amnesia()
	if err != nil {
		return nil, err
	}
	all, err := view.Creations(r.cfg.Aerial.AccountID)
	if err != nil {
		return nil, err
	}
	var alarms []Alarm
	if forgot != nil {
		alarms = append(alarms, Alarm{
			Message: fmt.Sprintf("the journal could not be read and was set aside as %s: what was begun before %s is forgotten",
				forgot.SetAside, forgot.Since.Format("2006-01-02 15:04 MST")),
			Hint: "see docs/recovery.md, then: reconciler acknowledge --journal",
		})
	}
	for i := range all {
		if c := &all[i]; c.Alarm() {
			message, hint := onboard.Alarm(c)
			alarms = append(alarms, Alarm{Org: c.Domain, Message: message, Hint: hint})
		}
	}
	return alarms, nil
}

// deletionRequested says of which orgs Okta took a request for deletion. A
// journal that can't be read is an error, since the request would be made again;
// but a damaged one knows nothing, or else nobody would ever get to setting it
// aside. It is not looked into if no org is declared to be deleted. Without a
// journal it is known for as long as the process lives.
func (r *Reconciler) deletionRequested(desired *state.Desired) (func(orgID string) bool, error) {
	dir := r.cfg.State.Dir
	declared := slices.ContainsFunc(desired.Orgs, func(o state.DesiredOrg) bool { return o.RequestDeletion })
	if dir == "" || !declared {
		return r.asked.has, nil
	}
	asked := map[string]bool{}
	view, err := journal.Look(dir, journal.Options{Logger: r.log})
	if errors.Is(err, journal.ErrDamaged) {
		return func(string) bool { return false }, nil
	}
	if err != nil {
		return nil, err
	}
	defer view.Close()
	all, err := view.Deletions(r.cfg.Aerial.AccountID)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		asked[d.OrgID] = d.State == journal.Asked
	}
	return func(orgID string) bool { return asked[orgID] }, nil
}

// SaveRun keeps the record of a run for those that come after this process. One
// that ends while another process holds the journal leaves no trace: it is
// history, not what others rely on. Without a journal nothing is kept.
func (r *Reconciler) SaveRun(run journal.Run) error {
	dir := r.cfg.State.Dir
	if dir == "" {
		return nil
	}
	books, err := journal.Open(dir, journal.Options{Logger: r.log})
	var held *journal.HeldError
	if errors.As(err, &held) {
		return nil
	} else if err != nil {
		return err
	}
	defer books.Close()
	if err := books.StartRun(run); err != nil {
		return err
	}
	return books.EndRun(run)
}

// Runs returns the newest runs that were kept, newest first, at most limit.
func (r *Reconciler) Runs(limit int) ([]journal.Run, error) {
	dir := r.cfg.State.Dir
	if dir == "" {
		return nil, nil
	}
	view, err := journal.Look(dir, journal.Options{Logger: r.log})
	if err != nil {
		return nil, err
	}
	defer view.Close()
	return view.Runs(limit)
}

// needsBooks says whether a journal has to be at hand to apply the plan: because
// it makes calls that can't be repeated or looked up again, or because an
// earlier process made some whose end the journal doesn't know yet. When that
// can't be read, opening the journal will say so, or mend it.
func (r *Reconciler) needsBooks(plan *diff.Plan) bool {
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if c.Blocked == "" && (c.Action == diff.CreateOrg || c.Action == diff.RequestDeletion) {
			return true
		}
	}
	dir := r.cfg.State.Dir
	if dir == "" {
		return false
	}
	view, err := journal.Look(dir, journal.Options{Logger: r.log})
	if err != nil {
		return true
	}
	defer view.Close()
	all, err := view.Creations(r.cfg.Aerial.AccountID)
	return err != nil || slices.ContainsFunc(all, func(c journal.Creation) bool { return onboard.Unfinished(&c) })
}

// openBooks opens the journal and the token sink for a plan that needs them.
// The journal is held until done is called: no other process applies such a
// plan meanwhile. Where something is not configured or doesn't work, the orgs
// that need it fail, with the reason, and the others go on; only a journal that
// another process holds keeps the plan from being applied at all.
func (r *Reconciler) openBooks(ctx context.Context, plan *diff.Plan, opts *apply.Options) (done func(), err error) {
	done = func() {}
	if !r.needsBooks(plan) {
		return done, nil
	}
	var books *journal.Journal
	opts.Deletions = &r.asked
	if dir := r.cfg.State.Dir; dir != "" {
		books, err = journal.Open(dir, journal.Options{Logger: r.log})
		var held *journal.HeldError
		switch {
		case errors.As(err, &held):
			return nil, err
		case err != nil:
			opts.Creator, opts.Deletions = brokenBooks{err}, brokenBooks{err}
			return done, nil
		}
		done = func() { books.Close() }
		opts.Deletions = deletions{books, r.cfg.Aerial.AccountID}
	}
	onboarder, err := r.onboarder(books)
	if err != nil {
		opts.Creator = brokenBooks{err}
		return done, nil
	}
	if books != nil {
		if err := onboarder.CatchUp(ctx, plan, r.read.FindOrg); err != nil {
			r.log.Error("the journal could not be brought up to date; no org is created", "error", err, "hint", text.Hint(err))
			opts.Creator = brokenBooks{err}
			return done, nil
		}
	}
	opts.Creator = onboarder
	return done, nil
}

func (r *Reconciler) onboarder(books *journal.Journal) (*onboard.Onboarder, error) {
	opts := onboard.Options{
		Account: r.cfg.Aerial.AccountID,
		Parents: map[string]onboard.Parent{},
		Logger:  r.log,
	}
	if books != nil {
		opts.Journal = books
	}
	var err error
	if opts.Sink, err = NewSink(r.cfg, r.environ); err != nil {
		return nil, err
	}
	for i := range r.cfg.Parents {
		p := &r.cfg.Parents[i]
		client, err := r.Parent(p)
		if err != nil {
			return nil, err
		}
		opts.Parents[p.Name] = onboard.Parent{API: client, Domain: p.Domain, Settle: p.Settle}
	}
	return onboard.New(opts), nil
}

// NewSink gives the place where tokens of new orgs go; nil when the config
// names none. A command gets environ less our own variables.
func NewSink(cfg *config.Config, environ []string) (tokens.Sink, error) {
	t := &cfg.Tokens
	switch {
	case t.Command != "":
		return tokens.Exec(tokens.Command{Argv: []string{t.Command}, Env: environ})
	case t.RecipientsFile != "":
		recipients, err := os.ReadFile(t.RecipientsFile)
		if err != nil {
			return nil, fmt.Errorf("tokens.recipientsFile: %w", err)
		}
		return tokens.Age(t.Dir, []string{string(recipients)})
	case t.Dir != "":
		return tokens.Dir(t.Dir), nil
	default:
		return nil, nil
	}
}

// Parent gives a client of one of the config's parents. It opens no connection
// and no secret.
func (r *Reconciler) Parent(p *config.Parent) (*parent.Client, error) {
	var authorize func(http.RoundTripper) http.RoundTripper
	if p.Auth.Token.IsSet() {
		authorize = func(base http.RoundTripper) http.RoundTripper {
			return auth.SSWS(base, p.URL, func() (string, error) {
				token, err := p.Auth.Token.Read()
				return string(token), err
			})
		}
	} else {
		tokens, err := auth.New(auth.Options{
			OrgURL:   p.Auth.OrgURL,
			ClientID: p.Auth.ClientID,
			KeyID:    p.Auth.KeyID,
			Key:      privateKey(p.Auth.PrivateKey),
			DPoP:     p.Auth.DPoP,
			HTTP:     r.base,
			Logger:   r.log,
		})
		if err != nil {
			return nil, fmt.Errorf("parents: %q: %w", p.Name, err)
		}
		authorize = func(base http.RoundTripper) http.RoundTripper { return tokens.Transport(base, p.URL, scopeOrgs) }
	}
	return parent.New(parent.Options{Name: p.Name, URL: p.URL, Transport: r.base, Auth: authorize, Logger: r.log})
}

// deletions notes in the journal what was asked for.
type deletions struct {
	*journal.Journal
	account string
}

// Begin forgets an earlier request: a plan asks again only when somebody has
// made the org active since, which took that request back.
func (d deletions) Begin(orgID, domain string) error {
	if err := d.ForgetDeletion(d.account, orgID); err != nil {
		return err
	}
	return d.BeginDeletion(d.account, orgID, domain)
}

func (d deletions) End(orgID, refusal string) error {
	return d.EndDeletion(d.account, orgID, refusal)
}

// memory remembers what was asked for while the process lives. Its zero value
// knows nothing.
type memory struct {
	mu   sync.Mutex
	orgs map[string]bool // by id
}

func (m *memory) has(orgID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.orgs[orgID]
}

func (m *memory) Begin(string, string) error { return nil }

func (m *memory) End(orgID, refusal string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.orgs == nil {
		m.orgs = map[string]bool{}
	}
	m.orgs[orgID] = refusal == ""
	return nil
}

// brokenBooks fails whatever needs a journal or a sink, before anything is sent.
type brokenBooks struct{ err error }

func (b brokenBooks) Create(context.Context, diff.Change, func(context.Context) error) (apply.Created, error) {
	return apply.Created{}, b.err
}

func (b brokenBooks) Linked(context.Context, string, string) string { return "" }

func (b brokenBooks) Done(string) {}

func (b brokenBooks) Begin(string, string) error { return b.err }

func (b brokenBooks) End(string, string) error { return b.err }
