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
	removals  Removals  // or nil
	log       *slog.Logger
	// configuration is nil if no object of the org is changed.
	configuration *configuration
	// orgID is empty until the org is linked, or was created.
	orgID string
	// neverDeactivated is as in Options.
	neverDeactivated Protected
	held             func(org string) string // as in Options, or nil
	// linked is set if this run linked the org: the plan's "before" of its products
	// and status is a guess then.
	linked bool
	// created is set if the plan creates the org.
	created bool
	// linkNote is the note of an org that was linked before its link-org change.
	linkNote string
}

// changeOrRecover makes one change. A panic fails the change of this org, and leaves
// the other orgs alone.
func (w *worker) changeOrRecover(ctx context.Context, c diff.Change) (note string, err error) {
	defer func() {
		if v := recover(); v != nil {
			w.log.Error("a change panicked: this is a bug, please report it",
				"org", c.Org, "action", string(c.Action), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			note, err = "", text.WithHint(errors.New("it panicked, and may have taken effect"), "this is a bug: please report it with the stack that the log shows")
		}
	}()
	return w.change(ctx, c)
}

// change makes one change. The note is what the user should know of a change that was
// made; empty if there is nothing.
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
	case diff.CreateObject, diff.UpdateObject, diff.DeleteObject, diff.ReorderObjects:
		return w.writeObject(ctx, c)
	default:
		return "", fmt.Errorf("the plan has an action %q that this version does not know", c.Action)
	}
}

// noteAlready is the note of a change that somebody else made in the meantime.
const noteAlready = "already in this state; nothing was written"

func (w *worker) renameAccount(ctx context.Context, c diff.Change) (string, error) {
	name := func(ctx context.Context) (string, error) {
		account, err := w.api.Account(ctx)
		return account.Name, err
	}
	g := w.gate(c, func(ctx context.Context) error {
		actual, err := name(ctx)
		if err != nil {
			return err
		}
		return compare("the account's name is", actual, c.Before.Text(), c.After.Text())
	})
	_, err := w.api.RenameAccount(ctx, c.After.Text(), g.maySend)
	return g.set(ctx, err, func(ctx context.Context) (string, string, error) {
		actual, err := name(ctx)
		return actual, c.After.Text(), err
	})
}

// compare returns nil if the change may be made, errAlready if it need not be made,
// and otherwise why it must not be made.
func compare(what, actual, before, after string) error {
	switch actual {
	case after:
		return errAlready
	case before:
		return nil
	default:
		return changedSince(what, actual, before)
	}
}

func (w *worker) linkOrg(ctx context.Context, c diff.Change) (note string, err error) {
	if w.created {
		defer func() {
			if err == nil {
				note = joinNotes(note, fmt.Sprintf("put `id: %s` into its manifest, which keeps it known after a rename", w.orgID))
			}
		}()
	}
	if w.linked {
		return w.linkNote, nil // while it was created
	}
	note, err = w.link(ctx, c)
	if err != nil {
		return "", err
	}
	unproven, err := readBack(ctx, func(ctx context.Context) (string, string, error) {
		org, err := w.api.Org(ctx, w.orgID)
		return org.ID, w.orgID, err
	})
	return joinNotes(note, unproven), err
}

// link adds the org to the account, and tells the creator.
func (w *worker) link(ctx context.Context, c diff.Change) (note string, err error) {
	c.Action = diff.LinkOrg // it may be part of creating the org
	var linked *state.Org   // by somebody else meanwhile
	g := w.gate(c, func(ctx context.Context) error {
		var err error
		if linked, err = w.alreadyLinked(ctx, c); err != nil {
			return err
		}
		if linked != nil {
			return errAlready
		}
		return nil
	})
	org, err := w.api.LinkOrg(ctx, w.orgID, c.Org, c.Cell, g.maySend)
	switch err = g.outcome(err); {
	case linked != nil && errors.Is(err, errAlready):
		org, note = *linked, noteAlready
	case g.refusal != nil:
		return "", err
	case err == nil && org.ID == "":
		return "", errors.New("the answer does not contain the linked org's id")
	case err != nil:
		// The answer may have been lost after the org was linked, or somebody
		// else linked it meanwhile. The list of orgs shows that.
		found, findErr := w.api.FindOrg(ctx, w.orgID, c.Org)
		if findErr != nil || found == nil {
			return "", err
		}
		org = *found
		note = "the answer to the call was an error, but the org is linked"
	}
	// The domain of an org that was linked by its id is known only now.
	if err := checkDomain(org, c.Org); err != nil {
		return "", text.WithHint(fmt.Errorf("%w; it is linked to the account now, which cannot be undone", err),
			"correct the id in the manifest, and declare the org that it means")
	}
	w.orgID, w.linked = org.ID, true
	if w.creator != nil {
		note = joinNotes(note, w.creator.Linked(ctx, c.Org, org.ID))
	}
	return note, nil
}

// alreadyLinked returns the org if it is linked, nil if not: asked for by its id,
// or without one looked for in the list. Okta answers for no org of others, so that
// an error of the first means that it is not linked, or not for sure.
func (w *worker) alreadyLinked(ctx context.Context, c diff.Change) (*state.Org, error) {
	if w.orgID == "" {
		return w.api.FindOrg(ctx, "", c.Org)
	}
	if org, err := w.api.Org(ctx, w.orgID); err == nil {
		return &org, nil
	}
	return nil, ctx.Err()
}

// joinNotes joins two notes, either of which may be empty.
func joinNotes(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}

// read reads the org and checks that it is the one that the change means and, if the
// change deactivates or deletes it, that it may be.
func (w *worker) read(ctx context.Context, c diff.Change, deactivates bool) (state.Org, error) {
	org, err := w.api.Org(ctx, w.orgID)
	if err != nil {
		return org, err
	}
	if err := checkDomain(org, c.Org); err != nil {
		return org, text.WithHint(fmt.Errorf("left alone: %w", err), "run again for a new plan")
	}
	if deactivates {
		err = w.neverDeactivated.check(org, c.Org)
	}
	return org, err
}

// check returns why an org that is declared with this domain must not be
// deactivated, or nil.
func (p *Protected) check(org state.Org, declared string) error {
	switch {
	case org.AerialOrg:
		return errors.New("the Aerial org is never deactivated or deleted")
	case slices.Contains(p.IDs, org.ID) || slices.Contains(p.Domains, declared):
		return errors.New("the Aerial org or a parent org is never deactivated or deleted")
	case org.Domain == "" && !p.All:
		return text.WithHint(
			errors.New("left alone: Okta's answer lacks the org's domain, and it is not certain that it is neither the Aerial org nor a parent"),
			"run again when Okta lists the org with its domain")
	}
	return nil
}

// checkDomain returns an error if the org doesn't have the declared domain. Okta may
// leave the domain out.
func checkDomain(org state.Org, domain string) error {
	if org.Domain != "" && org.Domain != domain {
		return fmt.Errorf("the org with the id %q is %q, not %q", org.ID, org.Domain, domain)
	}
	return nil
}

const (
	// quick is how long a read takes at most that did not have to wait.
	quick = 2 * time.Second
	// maxLooks is how often an org is read whose products have to be waited for.
	// After that Okta is slow, and no further look would be newer.
	maxLooks = 3
)

// readProducts reads the org and checks it as read does, and then its products. If
// these had to wait, both are read again: the org may have another name by now.
func (w *worker) readProducts(ctx context.Context, c diff.Change) (products []string, err error) {
	for range maxLooks {
		if _, err := w.read(ctx, c, false); err != nil {
			return nil, err
		}
		start := time.Now()
		if products, err = w.api.OrgProducts(ctx, w.orgID); err != nil || time.Since(start) <= quick {
			break
		}
	}
	return products, err
}

func (w *worker) updateProducts(ctx context.Context, c diff.Change) (string, error) {
	after := c.After.List()
	g := w.gate(c, func(ctx context.Context) error {
		actual, err := w.readProducts(ctx, c)
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
			return nil // it has products of its own, and keeps them all
		case w.linked:
			return text.WithHint(
				fmt.Errorf("left alone: the org came with products %s, and this change would take some away", list(actual)),
				"run again: the next plan shows the loss, and the guards check it")
		}
		return compare("the org's products are", list(actual), list(c.Before.List()), list(after))
	})
	_, err := w.api.SetOrgProducts(ctx, w.orgID, func(ctx context.Context) ([]string, error) {
		err := g.maySend(ctx)
		return after, err
	})
	return g.set(ctx, err, func(ctx context.Context) (string, string, error) {
		actual, err := w.api.OrgProducts(ctx, w.orgID)
		return list(actual), list(after), err
	})
}

func (w *worker) setStatus(ctx context.Context, c diff.Change) (string, error) {
	after := state.Status(c.After.Text())
	g := w.gate(c, func(ctx context.Context) error {
		org, err := w.read(ctx, c, after == state.Inactive)
		if err != nil {
			return err
		}
		return compare("the org's status is", string(org.Status), c.Before.Text(), string(after))
	})
	_, err := w.api.SetOrgStatus(ctx, w.orgID, after, g.maySend)
	return g.set(ctx, err, func(ctx context.Context) (string, string, error) {
		org, err := w.api.Org(ctx, w.orgID)
		return string(org.Status), string(after), err
	})
}

// requestDeletion has nothing to read back: no field of an org shows that its
// deletion was requested.
func (w *worker) requestDeletion(ctx context.Context, c diff.Change) (string, error) {
	g := w.gate(c, func(ctx context.Context) error {
		org, err := w.read(ctx, c, true)
		if err != nil {
			return err
		}
		if org.Status != state.Inactive {
			return changedSince("the org's status is", string(org.Status), string(state.Inactive))
		}
		return nil
	})
	if w.deletions != nil {
		g.record = func() error { return w.deletions.Begin(w.orgID, c.Org) }
	}
	err := g.outcome(w.api.RequestDeletion(ctx, w.orgID, g.maySend))
	note, refusal := "", ""
	switch {
	case g.refusal != nil && (g.passed == 0 || uncertain(err)):
		return "", err
	case g.refusal != nil:
		refusal = err.Error()
	case alreadyRequested(err):
		note, err = "had been asked for before", nil
	case isRefused(err):
		refusal = err.Error()
	case err != nil:
		return "", err
	}
	if w.deletions == nil {
		return note, err
	}
	if noteErr := w.deletions.End(w.orgID, refusal); noteErr != nil && err == nil {
		note = joinNotes(note, "the journal could not note it, so the next plan shows it again: "+noteErr.Error())
	}
	return note, err
}

// isRefused reports whether Okta processed the call and refused it.
func isRefused(err error) bool {
	var e interface{ Refused() bool }
	return errors.As(err, &e) && e.Refused()
}

// alreadyRequested reports whether Okta refused because the org's deletion was
// requested before.
func alreadyRequested(err error) bool {
	var e interface{ AlreadyRequested() bool }
	return errors.As(err, &e) && e.AlreadyRequested()
}

// changedSince is the error of a change that is not made because somebody changed the
// org after the plan was computed.
func changedSince(what, actual, planned string) error {
	return text.WithHint(
		fmt.Errorf("left alone: %s now %s, but the plan was made for %s", what, quoted(actual), quoted(planned)),
		"somebody changed it after the plan was made; run again for a new plan")
}

func quoted(s string) string {
	if strings.HasPrefix(s, "[") {
		return s
	}
	return fmt.Sprintf("%q", s)
}

func list(ids []string) string { return "[" + strings.Join(ids, " ") + "]" }

// union returns the elements of both, sorted and without duplicates.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func containsAll(set, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(set, id) })
}

// readBackWaits are the pauses between the attempts to see a write in force.
// Okta documents no delay; this allows for a lagging replica.
var readBackWaits = [...]time.Duration{0, time.Second, 3 * time.Second}

// reading reads the actual value, and returns the desired one with it.
type reading func(ctx context.Context) (actual, desired string, err error)

// readBack reads until it sees what was written. An answer of 200 is not enough: a
// write that is not in force would come back as drift forever. A run that is being
// stopped starts no new call, so the write is not read back then.
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
