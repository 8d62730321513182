package reconcile

import (
	"context"
	"fmt"

	"reconciler/internal/diff"
	"reconciler/internal/onboard"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
)

// bootstrap makes the service apps of orgs that are created. It is an
// onboard.Bootstrapper.
type bootstrap struct {
	access  *Access
	journal *journal.Writer
	// declared are the orgs that the plan was made for.
	declared map[string]*state.DesiredOrg
	role     string
}

// Wants reports whether an org is to have a service app: not if the manifest names one,
// nor if nothing is to be written to the org. Of an org that the plan wasn't made for,
// a later run decides.
func (b *bootstrap) Wants(domain string) bool {
	o := b.declared[domain]
	return o == nil || wantsAccess(o)
}

func wantsAccess(o *state.DesiredOrg) bool { return o.ClientID == "" && o.Mode != state.Report }

// Obtain makes the app.
func (b *bootstrap) Obtain(ctx context.Context, domain, orgID string, token func() (string, error)) (clientID string, err error) {
	o := b.declared[domain]
	if o == nil {
		return "", onboard.ErrLater
	}
	return b.access.Obtain(ctx, b.journal, AccessRequest{Domain: domain, OrgID: orgID, Declared: o, Role: b.role, Token: token})
}

// declaredOrgs returns the declared orgs that a filter has, by their domains.
func declaredOrgs(desired *state.Desired, f Filter) map[string]*state.DesiredOrg {
	all := map[string]*state.DesiredOrg{}
	for i := range desired.Orgs {
		if o := &desired.Orgs[i]; f.Has(o.Domain) {
			all[o.Domain] = o
		}
	}
	return all
}

// pendingAccess returns the service apps that were begun and are not there yet, of the
// orgs that the last plan was made for. A journal that can't be read has none: the run
// says so elsewhere.
func (r *Reconciler) pendingAccess() []journal.Access {
	if r.cfg.Orgs.Bootstrap == "" {
		return nil
	}
	all, err := r.journal.Accesses(r.cfg.Aerial.AccountID)
	if err != nil && !unreadable(err) {
		return nil
	}
	var pending []journal.Access
	for i := range all {
		if o := r.declared[all[i].Domain]; all[i].Open() && o != nil && wantsAccess(o) {
			pending = append(pending, all[i])
		}
	}
	return pending
}

// withoutAccess returns a note on each org whose service app is not there yet.
func (r *Reconciler) withoutAccess() []diff.Note {
	var notes []diff.Note
	for _, a := range r.pendingAccess() {
		why := ""
		if a.LastError != "" {
			why = " (" + a.LastError + ")"
		}
		notes = append(notes, diff.Note{Org: a.Domain, Message: fmt.Sprintf(
			"it has no service app yet%s: the next apply tries again; to try it alone: reconciler access %s", why, a.Domain)})
	}
	return notes
}
