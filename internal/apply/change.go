package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/state"
)

// worker carries out the changes of one org.
type worker struct {
	api       API
	creator   Creator   // or nil
	deletions Deletions // or nil
	log       *slog.Logger
	// orgID is empty until the org is linked, or was created.
	orgID string
	// doubt is why a created org may not be there; nil when there is none.
	doubt error
	// linked says that this run linked the org, so that what the plan says of
	// its products and status was a guess.
	linked bool
	// linkNote is the note of an org that was linked before its link-org change.
	linkNote string
}

// change makes one change. The note is something to be told of a change that
// was made.
func (w *worker) change(ctx context.Context, c diff.Change) (note string, err error) {
	switch c.Action {
	case diff.RenameAccount:
		return w.renameAccount(ctx, c)
	case diff.CreateOrg:
		return w.createOrg(ctx, c)
	case diff.LinkOrg:
		return w.linkOrg(ctx, c)
	case diff.UpdateProducts:
		return w.updateProducts(ctx, c)
	case diff.SetStatus:
		return w.setStatus(ctx, c)
	case diff.RequestDeletion:
		return w.requestDeletion(ctx, c)
	default:
		return "", fmt.Errorf("the plan has an action %q that this version does not know", c.Action)
	}
}

// noteAlready is told of a change that somebody else made in the meantime.
const noteAlready = "was so already; nothing was written"

func (w *worker) renameAccount(ctx context.Context, c diff.Change) (string, error) {
	account, err := w.api.Account(ctx)
	if err != nil {
		return "", err
	}
	switch account.Name {
	case c.After.Text():
		return noteAlready, nil
	case c.Before.Text():
	default:
		return "", moved("the account's name is", account.Name, c.Before.Text())
	}
	w.logWrite(c)
	if _, err := w.api.RenameAccount(ctx, c.After.Text()); err != nil {
		return "", err
	}
	return readBack(ctx, c.After.Text(), func() (string, error) {
		account, err := w.api.Account(ctx)
		return account.Name, err
	})
}

func (w *worker) linkOrg(ctx context.Context, c diff.Change) (string, error) {
	if w.linked {
		return w.linkNote, nil // creating it found that out
	}
	note, err := w.link(ctx, c)
	if err != nil && w.doubt != nil {
		return "", withHint(fmt.Errorf("%w: %w", w.doubt, err), hintOf(w.doubt))
	}
	if err != nil {
		return "", err
	}
	unproven, err := readBack(ctx, w.orgID, func() (string, error) {
		org, err := w.api.Org(ctx, w.orgID)
		return org.ID, err
	})
	return join(note, unproven), err
}

// link adds the org to the account, and tells so.
func (w *worker) link(ctx context.Context, c diff.Change) (note string, err error) {
	w.log.Info("writing", "org", c.Org, "orgID", w.orgID, "action", string(diff.LinkOrg))
	org, err := w.api.LinkOrg(ctx, w.orgID, c.Org, c.Cell)
	switch {
	case err == nil && org.ID == "":
		return "", errors.New("the answer does not tell the linked org's id")
	case err != nil:
		// The answer may have been lost after the org was linked, or somebody
		// else linked it meanwhile. The list of orgs knows.
		found, findErr := w.api.FindOrg(ctx, w.orgID, c.Org)
		if findErr != nil || found == nil {
			return "", err
		}
		org = *found
		note = "the answer to the call was an error, but the org is linked"
	}
	w.orgID, w.linked = org.ID, true
	if w.creator != nil {
		note = join(note, w.creator.Linked(ctx, c.Org, org.ID))
	}
	return note, nil
}

// join makes one note of two.
func join(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}

func (w *worker) updateProducts(ctx context.Context, c diff.Change) (string, error) {
	before, after := c.Before.List(), c.After.List()
	actual, err := w.api.OrgProducts(ctx, w.orgID)
	if err != nil {
		return "", err
	}
	switch {
	case slices.Equal(actual, after):
		return noteAlready, nil
	case slices.Equal(actual, before):
	case w.linked && containsAll(after, actual):
		// The org came with products of its own, and none of them is lost.
	case w.linked:
		return "", withHint(
			fmt.Errorf("left alone: the org came with products %s, and this change would take some away", list(actual)),
			"run again: the next plan shows the loss, and the guards look at it")
	default:
		return "", moved("the org's products are", list(actual), list(before))
	}
	w.logWrite(c)
	if _, err := w.api.SetOrgProducts(ctx, w.orgID, after); err != nil {
		return "", err
	}
	return readBack(ctx, list(after), func() (string, error) {
		actual, err := w.api.OrgProducts(ctx, w.orgID)
		return list(actual), err
	})
}

func (w *worker) setStatus(ctx context.Context, c diff.Change) (string, error) {
	org, err := w.api.Org(ctx, w.orgID)
	if err != nil {
		return "", err
	}
	status := string(org.Status)
	switch {
	case c.After.Text() == string(state.Inactive) && org.AerialOrg:
		return "", errors.New("the Aerial org is never deactivated")
	case status == c.After.Text():
		return noteAlready, nil
	case status != c.Before.Text():
		return "", moved("the org's status is", status, c.Before.Text())
	}
	w.logWrite(c)
	if _, err := w.api.SetOrgStatus(ctx, w.orgID, state.Status(c.After.Text())); err != nil {
		return "", err
	}
	return readBack(ctx, c.After.Text(), func() (string, error) {
		org, err := w.api.Org(ctx, w.orgID)
		return string(org.Status), err
	})
}

// requestDeletion has nothing to read back: no field of an org tells that its
// deletion was asked for.
func (w *worker) requestDeletion(ctx context.Context, c diff.Change) (string, error) {
	org, err := w.api.Org(ctx, w.orgID)
	if err != nil {
		return "", err
	}
	switch {
	case org.AerialOrg:
		return "", errors.New("the Aerial org is never deleted")
	case org.Status != state.Inactive:
		return "", moved("the org's status is", string(org.Status), string(state.Inactive))
	}
	if w.deletions == nil {
		w.logWrite(c)
		return "", w.api.RequestDeletion(ctx, w.orgID)
	}
	if err := w.deletions.Begin(w.orgID, c.Org); err != nil {
		return "", err
	}
	w.logWrite(c)
	note, refusal := "", ""
	err = w.api.RequestDeletion(ctx, w.orgID)
	switch {
	case alreadyRequested(err):
		note, err = "had been asked for before", nil
	case isRefused(err):
		refusal = err.Error()
	case err != nil:
		return "", err
	}
	if noteErr := w.deletions.End(w.orgID, refusal); noteErr != nil && err == nil {
		note = join(note, "the journal could not note it, so the next plan shows it again: "+noteErr.Error())
	}
	return note, err
}

// isRefused says whether Okta looked at the call and refused to do it.
func isRefused(err error) bool {
	var e interface{ Refused() bool }
	return errors.As(err, &e) && e.Refused()
}

// alreadyRequested says whether Okta refuses because there is a request for
// the org's deletion already: the answer to an earlier one was lost.
func alreadyRequested(err error) bool {
	var e interface{ AlreadyRequested() bool }
	return errors.As(err, &e) && e.AlreadyRequested()
}

func (w *worker) logWrite(c diff.Change) {
	w.log.Info("writing", "org", c.Org, "orgID", w.orgID, "action", string(c.Action))
}

// moved says that a change was left alone because somebody else was faster.
func moved(what, actual, planned string) error {
	return withHint(
		fmt.Errorf("left alone: %s now %s, but the plan rests on %s", what, quoted(actual), quoted(planned)),
		"somebody changed it after the plan was made; run again for a new plan")
}

func quoted(s string) string {
	if strings.HasPrefix(s, "[") {
		return s
	}
	return fmt.Sprintf("%q", s)
}

func list(ids []string) string { return "[" + strings.Join(ids, " ") + "]" }

func containsAll(set, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(set, id) })
}

// readBackWaits are the pauses between the attempts to see a write in force.
// Okta documents no delay; this allows for a lagging replica, not more.
var readBackWaits = [...]time.Duration{0, time.Second, 3 * time.Second}

// readBack reads until it sees what was written. An answer of 200 is not
// enough: a write that is not in force is a failure that would otherwise come
// back as drift for ever. A run that is being stopped starts no new call, so
// there the write stands unproven.
func readBack(ctx context.Context, wanted string, read func() (string, error)) (string, error) {
	var actual string
	for _, wait := range readBackWaits {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		if ctx.Err() != nil {
			return "not read back: the run was stopped", nil
		}
		var err error
		if actual, err = read(); err != nil {
			if ctx.Err() != nil {
				return "not read back: the run was stopped", nil
			}
			return "", fmt.Errorf("written, but it could not be read back: %w", err)
		}
		if actual == wanted {
			return "", nil
		}
	}
	return "", fmt.Errorf("written without an error, but not in force: Okta says %s instead of %s", quoted(actual), quoted(wanted))
}
