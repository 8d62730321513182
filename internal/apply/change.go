package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/text"
	"reconciler/internal/web"
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
	// spared are the domains of orgs that are never deactivated or deleted.
	spared []string
	// linked says that this run linked the org, so that what the plan says of
	// its products and status was a guess.
	linked bool
	// linkNote is the note of an org that was linked before its link-org change.
	linkNote string
}

// contain makes one change. A panic is a bug, and costs this org its change but
// not the others theirs.
func (w *worker) contain(ctx context.Context, c diff.Change) (note string, err error) {
	defer func() {
		if v := recover(); v != nil {
			w.log.Error("a change panicked: this is a bug, please report it",
				"org", c.Org, "action", string(c.Action), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			note, err = "", text.WithHint(errors.New("it panicked, and may have taken effect"), "this is a bug: please report it with the stack that the log shows")
		}
	}()
	return w.change(ctx, c)
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
	name := func(ctx context.Context) (string, error) {
		account, err := w.api.Account(ctx)
		return account.Name, err
	}
	look := func(ctx context.Context) error {
		actual, err := name(ctx)
		if err != nil {
			return err
		}
		return compare("the account's name is", actual, c.Before.Text(), c.After.Text())
	}
	send := func(ctx context.Context) error {
		_, err := w.api.RenameAccount(ctx, c.After.Text(), look)
		return err
	}
	return w.put(ctx, c, look, send, func(ctx context.Context) (string, string, error) {
		actual, err := name(ctx)
		return actual, c.After.Text(), err
	})
}

// put makes a change that sets something: it looks whether what the plan rests
// on is still so, writes, and reads back. The client looks again before it
// sends the write another time, so that no retry undoes what somebody did in
// the meantime.
func (w *worker) put(ctx context.Context, c diff.Change, look, send func(context.Context) error, read reading) (string, error) {
	if err := look(ctx); errors.Is(err, errAlready) {
		return noteAlready, nil
	} else if err != nil {
		return "", err
	}
	w.logWrite(c)
	// What is found to be so already when the client looks again is the doing
	// of an earlier attempt, whose answer was lost.
	if err := send(ctx); err != nil && !errors.Is(err, errAlready) {
		return "", err
	}
	return readBack(ctx, read)
}

// errAlready says that nothing is left to be written.
var errAlready = errors.New("it is so already")

// compare gives nil when the change may be made, errAlready when it need not
// be, and else why it must not.
func compare(what, actual, before, after string) error {
	switch actual {
	case after:
		return errAlready
	case before:
		return nil
	default:
		return moved(what, actual, before)
	}
}

func (w *worker) linkOrg(ctx context.Context, c diff.Change) (string, error) {
	if w.linked {
		return w.linkNote, nil // creating it found that out
	}
	note, err := w.link(ctx, c)
	if err != nil && w.doubt != nil {
		return "", text.WithHint(fmt.Errorf("%w: %w", w.doubt, err), text.Hint(w.doubt))
	}
	if err != nil {
		return "", err
	}
	unproven, err := readBack(ctx, func(ctx context.Context) (string, string, error) {
		org, err := w.api.Org(ctx, w.orgID)
		return org.ID, w.orgID, err
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
	// What was linked by an id is only now known by its domain.
	if err := checkDomain(org, c.Org); err != nil {
		return "", text.WithHint(fmt.Errorf("%w; it is linked to the account now, which cannot be undone", err),
			"correct the id in the manifest, and declare the org that it means")
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

// read reads the org and makes sure that it is the one that the change means.
// Where the change would lock people out, it must not be one that never is.
func (w *worker) read(ctx context.Context, c diff.Change, locksOut bool) (state.Org, error) {
	org, err := w.api.Org(ctx, w.orgID)
	if err != nil {
		return org, err
	}
	if err := checkDomain(org, c.Org); err != nil {
		return org, text.WithHint(fmt.Errorf("left alone: %w", err), "run again for a new plan")
	}
	switch {
	case locksOut && org.AerialOrg:
		return org, errors.New("the Aerial org is never deactivated or deleted")
	case locksOut && slices.Contains(w.spared, c.Org):
		return org, errors.New("a parent org is never deactivated or deleted")
	}
	return org, nil
}

// checkDomain says whether the org has the declared domain. Okta may leave the
// domain out.
func checkDomain(org state.Org, domain string) error {
	if org.Domain != "" && org.Domain != domain {
		return fmt.Errorf("the org with the id %q is %q, not %q", org.ID, org.Domain, domain)
	}
	return nil
}

func (w *worker) updateProducts(ctx context.Context, c diff.Change) (string, error) {
	after := c.After.List()
	look := func(ctx context.Context) error {
		if _, err := w.read(ctx, c, false); err != nil {
			return err
		}
		actual, err := w.api.OrgProducts(ctx, w.orgID)
		if err != nil {
			return err
		}
		if w.linked && c.Additive {
			after = union(actual, c.Enable)
		}
		switch {
		case slices.Equal(actual, after):
			return errAlready
		case w.linked && containsAll(after, actual):
			return nil // it came with products of its own, and none of them is lost
		case w.linked:
			return text.WithHint(
				fmt.Errorf("left alone: the org came with products %s, and this change would take some away", list(actual)),
				"run again: the next plan shows the loss, and the guards look at it")
		}
		return compare("the org's products are", list(actual), list(c.Before.List()), list(after))
	}
	send := func(ctx context.Context) error {
		_, err := w.api.SetOrgProducts(ctx, w.orgID, after, look)
		return err
	}
	return w.put(ctx, c, look, send, func(ctx context.Context) (string, string, error) {
		actual, err := w.api.OrgProducts(ctx, w.orgID)
		return list(actual), list(after), err
	})
}

func (w *worker) setStatus(ctx context.Context, c diff.Change) (string, error) {
	after := state.Status(c.After.Text())
	look := func(ctx context.Context) error {
		org, err := w.read(ctx, c, after == state.Inactive)
		if err != nil {
			return err
		}
		return compare("the org's status is", string(org.Status), c.Before.Text(), string(after))
	}
	send := func(ctx context.Context) error {
		_, err := w.api.SetOrgStatus(ctx, w.orgID, after, look)
		return err
	}
	return w.put(ctx, c, look, send, func(ctx context.Context) (string, string, error) {
		org, err := w.api.Org(ctx, w.orgID)
		return string(org.Status), string(after), err
	})
}

// requestDeletion has nothing to read back: no field of an org tells that its
// deletion was asked for.
func (w *worker) requestDeletion(ctx context.Context, c diff.Change) (string, error) {
	org, err := w.read(ctx, c, true)
	if err != nil {
		return "", err
	}
	if org.Status != state.Inactive {
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
	return text.WithHint(
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

// union gives all of both, sorted and without repeats.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func containsAll(set, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(set, id) })
}

// readBackWaits are the pauses between the attempts to see a write in force.
// Okta documents no delay; this allows for a lagging replica, not more.
var readBackWaits = [...]time.Duration{0, time.Second, 3 * time.Second}

// reading reads what is live, and says what should be.
type reading func(ctx context.Context) (actual, desired string, err error)

// readBack reads until it sees what was written. An answer of 200 is not
// enough: a write that is not in force is a failure that would otherwise come
// back as drift for ever. A run that is being stopped starts no new call, so
// there the write stands unproven.
func readBack(ctx context.Context, read reading) (string, error) {
	const unproven = "not read back: the run was stopped"
	var actual, desired string
	for _, wait := range readBackWaits {
		if web.Sleep(ctx, wait) != nil || ctx.Err() != nil {
			return unproven, nil
		}
		var err error
		if actual, desired, err = read(ctx); err != nil {
			if ctx.Err() != nil {
				return unproven, nil
			}
			return "", fmt.Errorf("written, but it could not be read back: %w", err)
		}
		if actual == desired {
			return "", nil
		}
	}
	return "", fmt.Errorf("written without an error, but not in force: Okta says %s instead of %s", quoted(actual), quoted(desired))
}
