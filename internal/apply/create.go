package apply

import (
	"context"
	"errors"

	"reconciler/internal/diff"
	"reconciler/internal/text"
)

// Creator makes orgs that don't exist yet, and remembers what it did, so that
// no end of the process at any point makes it do a thing twice. Its methods are
// called from many goroutines at once, but for one org one after the other.
// What it writes down it writes whether or not ctx has ended.
type Creator interface {
	// Create makes the org of a create-org change, or finds out what became of
	// an earlier attempt, and waits until the org may be linked. It may be
	// called again after any end, and never makes a second org.
	//
	// Where it can't be known whether the org exists, it calls link, which tries
	// to add the org to the account by its domain; nil means that the org exists
	// and is linked now. An error that has a method Refused() bool which gives
	// true means that Okta looked at the call and did nothing.
	//
	// When ctx ends, what has been sent is finished and noted, and nothing new
	// is sent. An error that wraps ctx's says that it was stopped before there
	// was a result. If the org is there but was not yet to be linked, there is
	// no error.
	Create(ctx context.Context, c diff.Change, link func(context.Context) error) (Created, error)
	// Linked is told that the org is in the account: of every org that a run
	// links, created or not, and perhaps more than once. The note is what the
	// user should know; empty when there is nothing.
	Linked(ctx context.Context, domain, orgID string) (note string)
	// Done is told that an org which was to be created is now as declared.
	Done(domain string)
}

// Created is an org that exists.
type Created struct {
	// OrgID is the new org's id, or empty when only its domain is known.
	OrgID string
	// Doubt, where not nil, is what makes it doubtful that the org is there or
	// is ours: it is told, with its hint, when the org can't be linked.
	Doubt error
	// Note is what the user should know; empty when there is nothing.
	Note string
}

// errNoCreator is the outcome of create-org where nobody can do it.
var errNoCreator = text.WithHint(
	errors.New("this run can't create orgs"),
	"set up `parents`, `tokens` and `state` in the config, or create the org by hand; the next run links it")

func (w *worker) createOrg(ctx context.Context, c diff.Change) (string, error) {
	if w.creator == nil {
		return "", errNoCreator
	}
	made, err := w.creator.Create(ctx, c, func(ctx context.Context) error {
		note, err := w.link(ctx, c)
		w.linkNote = note
		return err
	})
	if err != nil {
		return "", err
	}
	if !w.linked {
		w.orgID, w.doubt = made.OrgID, made.Doubt
	}
	return made.Note, nil
}
