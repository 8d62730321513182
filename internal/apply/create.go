package apply

import (
	"context"
	"errors"
	"fmt"

	"reconciler/internal/diff"
	"reconciler/internal/text"
)

// Creator creates orgs that don't exist yet, and records what it does, so that it
// does nothing twice, wherever the process ends. Its methods are called concurrently
// for different orgs. It keeps its records whether or not ctx has ended.
type Creator interface {
	// Create creates the org of a create-org change, or finds out how an earlier
	// attempt ended, and waits until the org may be linked. It may be called again
	// wherever it ended, and never creates a second org.
	//
	// maySend is asked right before each time that the call is sent which creates
	// the org, when nothing is left to wait for. After its error the call is not
	// sent, and the error is in the chain of what is returned.
	//
	// If it is unknown whether the org exists, it calls link, which tries to add
	// the org to the account by its domain; nil means that the org exists and is
	// linked now. An error with a method Refused() bool that returns true means
	// that Okta processed the call and refused it.
	//
	// When ctx ends, what has been sent is finished and recorded, and nothing new
	// is sent. An error that wraps ctx's means that it was stopped before there
	// was a result. If the org exists but may not be linked yet, there is no error.
	Create(ctx context.Context, c diff.Change, maySend func() error, link func(context.Context) error) (Created, error)
	// Linked is called for every org that a run links, created or not, and perhaps
	// more than once. The note is what the user should know; empty if there is
	// nothing.
	Linked(ctx context.Context, domain, orgID string) (note string)
	// Done is called when an org that was to be created is as declared.
	Done(domain string)
}

// Created is an org that exists.
type Created struct {
	// OrgID is the new org's id, or empty when only its domain is known.
	OrgID string
	// Doubt, where not nil, is why the org may not exist or not be ours. It is
	// reported, with its hint, if the org can't be linked.
	Doubt error
	// Note is what the user should know; empty if there is nothing.
	Note string
}

// errNoCreator is the outcome of create-org without a Creator.
var errNoCreator = text.WithHint(
	errors.New("this run can't create orgs"),
	"set up parents, a place for tokens and a state folder in the config, or create the org by hand; the next run links it")

func (w *worker) createOrg(ctx context.Context, c diff.Change) (string, error) {
	if w.creator == nil {
		return "", errNoCreator
	}
	w.created = true
	created, err := w.creator.Create(ctx, c, func() error { return w.mayWrite(c.Org) }, func(ctx context.Context) error {
		note, err := w.link(ctx, c)
		w.linkNote = note
		return err
	})
	if err != nil {
		return "", err
	}
	if w.linked {
		return created.Note, nil
	}
	w.orgID = created.OrgID
	if created.Doubt == nil {
		return created.Note, nil
	}
	// Whether the org exists, and is ours, only linking it tells.
	if w.linkNote, err = w.link(ctx, c); err != nil {
		return "", text.WithHint(fmt.Errorf("%w: %w", created.Doubt, err), text.Hint(created.Doubt))
	}
	return created.Note, nil
}
