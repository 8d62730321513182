package onboard

import (
	"context"
	"errors"
	"fmt"

	"reconciler/internal/okta/parent"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// Bootstrapper makes service apps in orgs that are created.
type Bootstrapper interface {
	// Wants reports whether an org that is created is to have one.
	Wants(domain string) bool
	// Obtain makes it, or continues an earlier attempt; see [Access.Obtain]. A nil token
	// means the one that is stored. The error wraps ErrLater if only a later run can
	// do it.
	Obtain(ctx context.Context, domain, orgID string, token func() (string, error)) (clientID string, err error)
}

// ErrLater is the error of what a later run does, when nothing is wrong.
var ErrLater = errors.New("this run doesn't know what is declared for the org")

// keepToken keeps the token of a new org for its service app: from a sink that encrypts
// or hands over what it gets, it can't be read again.
func (o *Onboarder) keepToken(domain string, t parent.Token) {
	if o.bootstrap != nil {
		o.fresh.Store(domain, t)
	}
}

// token returns what returns the token of an org that was created by this process; nil
// for any other.
func (o *Onboarder) token(domain string) func() (string, error) {
	t, ok := o.fresh.Load(domain)
	if !ok {
		return nil
	}
	return func() (string, error) { return t.(parent.Token).Secret(), nil }
}

// beginAccess records that an org that was created is to have a service app. It is
// called before the org counts as linked: nothing looks at it after that.
func (o *Onboarder) beginAccess(domain, orgID string) error {
	if o.bootstrap == nil || !o.bootstrap.Wants(domain) {
		return nil
	}
	return o.journal.BeginAccess(journal.Access{Account: o.account, OrgID: orgID, Domain: domain})
}

// openAccess makes the service app of an org, if that was begun. The note says what came
// of it: the org stays created and linked in any case.
func (o *Onboarder) openAccess(ctx context.Context, domain, orgID string) (note string) {
	if o.bootstrap == nil {
		return ""
	}
	rec, err := o.journal.Access(o.account, orgID)
	if err == nil && (rec == nil || !rec.Open() || !o.bootstrap.Wants(domain)) {
		return ""
	}
	var clientID string
	if err == nil {
		clientID, err = o.bootstrap.Obtain(ctx, domain, orgID, o.token(domain))
	}
	if err == nil {
		return fmt.Sprintf("it has a service app: add access: {clientID: %s} to the manifest", clientID)
	}
	if !errors.Is(err, ErrLater) {
		o.log.Warn("the org has no service app yet", "org", domain, "error", err, "hint", text.Hint(err))
	}
	return "it has no service app yet: " + text.JoinLines(err.Error()) + "; the next run tries again"
}

// OpenAccesses goes on with the service apps that earlier runs began. What goes wrong is
// logged, and noted in the journal.
func (o *Onboarder) OpenAccesses(ctx context.Context) {
	if o.bootstrap == nil || o.journal == nil {
		return
	}
	all, err := o.journal.Accesses(o.account)
	if err != nil && !errors.As(err, new(*journal.RowsError)) { // rows that can't be read are alarms
		o.log.Error("the journal can't be read; no service app is made", "error", err)
		return
	}
	for i := range all {
		if a := &all[i]; a.Open() && ctx.Err() == nil {
			o.openAccess(ctx, a.Domain, a.OrgID)
		}
	}
}
