package onboard

import (
	"context"
	"errors"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// Linked records that an org is in the account, if its creation is in the journal;
// see apply.Creator.
func (o *Onboarder) Linked(ctx context.Context, domain, orgID string) (note string) {
	if o.journal == nil {
		return ""
	}
	note, err := o.markLinked(domain, orgID)
	if err != nil {
		o.log.Error("the journal could not note that an org is linked; the next run does", "org", domain, "error", err)
		return "the journal could not note that the org is linked: " + err.Error()
	}
	if access := o.openAccess(ctx, domain, orgID); note == "" {
		note = access
	} else if access != "" {
		note += "; " + access
	}
	return note
}

// markLinked brings the journal up to date with an org that is in the account. It
// may be repeated, and completes what was done in part.
func (o *Onboarder) markLinked(domain, orgID string) (note string, err error) {
	key := o.key(domain)
	rec, err := o.creation(key)
	if err != nil || rec == nil || rec.Step == journal.Linked || rec.Step == journal.Done {
		return "", err
	}
	loss, err := o.journal.Loss()
	if err != nil {
		return "", err
	}
	if rec.Step != journal.Created {
		ours := mayExist(rec, loss)
		if !ours {
			// The sink may know what the journal doesn't.
			token, err := o.lookUp(domain, orgID)
			if err != nil {
				return "", err
			}
			ours = token.found
		}
		if !ours {
			return "", o.markNotOurs(rec)
		}
		if err := o.journal.MarkCreated(key, orgID, time.Now()); err != nil {
			return "", err
		}
	}
	rec.OrgID = orgID
	if note, err = o.findToken(rec, loss); err != nil {
		return note, err
	}
	if rec.Token != journal.TokenLost && note == "" {
		if err := o.beginAccess(domain, orgID); err != nil {
			return note, err
		}
	}
	return note, o.journal.MarkLinked(key, orgID)
}

// markNotOurs closes the record of an org that somebody else created: its token was
// never sent to this program.
func (o *Onboarder) markNotOurs(rec *journal.Creation) error {
	if rec.Step != journal.Intent {
		return nil
	}
	return o.journal.MarkRefused(rec.Key, "the org was created by somebody else")
}

// findToken records whether the token of an org that exists is in the sink, if the
// journal doesn't say: the process may have ended between storing it and recording
// that.
func (o *Onboarder) findToken(rec *journal.Creation, loss *journal.Loss) (note string, err error) {
	if rec.Token != journal.TokenUnknown {
		return "", nil
	}
	token, err := o.lookUp(rec.Domain, rec.OrgID)
	if err != nil {
		return "", err
	}
	if token.found {
		return "", o.journal.MarkTokenStored(rec.Key, token.Where)
	}
	reason := o.lossReason(rec, loss, token)
	return noteLost(rec.Domain, reason), o.markLost(rec.Key, reason)
}

// markLost logs and records that a token is lost.
func (o *Onboarder) markLost(key journal.Key, reason string) error {
	o.log.Error("the token of a new org is lost", "org", key.Domain, "reason", reason, "hint", hintLost(key.Domain))
	return o.journal.MarkTokenLost(key, reason)
}

// Done records that a created org is as declared; see apply.Creator.
func (o *Onboarder) Done(domain string) {
	if err := o.markDone(domain); err != nil {
		o.log.Error("the journal could not note that an org is done; the next run does", "org", domain, "error", err)
	}
}

func (o *Onboarder) markDone(domain string) error {
	rec, err := o.journal.Creation(o.key(domain))
	if err != nil || rec == nil || rec.Step != journal.Linked {
		return err
	}
	return o.journal.MarkDone(rec.Key)
}

// Unfinished reports whether CatchUp may have something to do for a creation, so
// that the journal is needed even for a plan that creates nothing.
func Unfinished(c *journal.Creation) bool {
	return c.Open() || c.Step == journal.Refused && c.Unanswered > 0
}

// CatchUp brings the journal up to date with the account, before plan is applied:
// the plan doesn't link an org again that was linked just before a process ended.
// Only orgs whose creation is Unfinished are looked for. CatchUp may be repeated.
// Its error is one of the journal or of Options.Find.
func (o *Onboarder) CatchUp(ctx context.Context, plan *diff.Plan) error {
	if o.journal == nil {
		return nil
	}
	all, err := o.journal.Creations(o.account)
	if err != nil && !errors.As(err, new(*journal.RowsError)) { // rows that can't be read are alarms
		return err
	}
	linking, changing := map[string]bool{}, map[string]bool{}
	for _, c := range plan.Changes {
		changing[c.Org] = true
		if c.Action == diff.LinkOrg {
			linking[c.Org] = true
		}
	}
	var errs []error
	for i := range all {
		if rec := &all[i]; Unfinished(rec) && !linking[rec.Domain] {
			errs = append(errs, o.catchUp(ctx, rec, changing[rec.Domain]))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return text.Flat(err)
	}
	return nil
}

func (o *Onboarder) catchUp(ctx context.Context, rec *journal.Creation, changing bool) error {
	if rec.Step != journal.Linked {
		org, err := o.find(ctx, rec.OrgID, rec.Domain)
		if err != nil || org == nil {
			return err
		}
		if _, err := o.markLinked(rec.Domain, org.ID); err != nil {
			return err
		}
	}
	if changing {
		return nil
	}
	return o.markDone(rec.Domain)
}
