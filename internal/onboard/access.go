package onboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/org"
	"reconciler/internal/okta/rest"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// AppLabel is what the service app of this program is called in each org.
const AppLabel = "reconciler"

// AccessJournal records the way to a service app; a *journal.Writer is one. What a
// method has written is synced when it returns nil.
type AccessJournal interface {
	Access(account, orgID string) (*journal.Access, error)
	BeginAccess(journal.Access) error
	SendAccess(account, orgID string) error
	MarkAccessRefused(account, orgID string) error
	MarkAccess(account, orgID string, step journal.AccessStep, appID, clientID string) error
	NoteAccess(account, orgID, problem string) error
}

// OrgAPI is an org's API, signed in to by its API token; *org.Apps is one. Its methods
// that change something ask maySend right before each send, and its error is wrapped by
// theirs.
type OrgAPI interface {
	// Identify asks the org who it is, without credentials. One that isn't the org that
	// is meant is an error.
	Identify(ctx context.Context) error
	// App returns the app with this id; nil if there is none.
	App(ctx context.Context, id string) (*org.ServiceApp, error)
	// Find returns the apps with this label.
	Find(ctx context.Context, label string) ([]org.ServiceApp, error)
	// Create makes a service app. With an *rest.UncertainError there may be one, with
	// any other error there is none.
	Create(ctx context.Context, label string, maySend func(context.Context) error) (org.ServiceApp, error)
	Scopes(ctx context.Context, appID string) ([]string, error)
	Grant(ctx context.Context, appID, scope string, maySend func(context.Context) error) error
	Roles(ctx context.Context, clientID string) ([]string, error)
	Assign(ctx context.Context, clientID, role string, maySend func(context.Context) error) error
	// Prove reads the objects of a kind as the service app.
	Prove(ctx context.Context, clientID string, k *objects.Kind) error
}

// Access exchanges the API token of an org for a service app with our key. Each step is
// in the journal before the next one begins, so that a process that ends between any
// two of them leaves one app, and a later one continues.
type Access struct {
	Account, Domain, OrgID string
	// Scopes and Role are what the app gets; one that has more keeps it. Proof is a
	// kind of objects that it has to be able to read then.
	Scopes []string
	Role   string
	Proof  *objects.Kind

	API     OrgAPI
	Journal AccessJournal
	// MaySend is asked right before each write is sent.
	MaySend func() error
	// Settle is for how long an app that was made may be missing in the list.
	Settle time.Duration
	// Logger logs each step; nil is silent.
	Logger *slog.Logger
}

// Obtain makes the service app, or continues an earlier attempt, and returns its
// client id. It may be repeated when there is one: what the app lacks is added.
func (a *Access) Obtain(ctx context.Context) (clientID string, err error) {
	if a.Logger == nil {
		a.Logger = slog.New(slog.DiscardHandler)
	}
	// The API token goes to no other org than the one that it is for.
	if err := a.API.Identify(ctx); err != nil {
		return "", err
	}
	if err := a.Journal.BeginAccess(journal.Access{Account: a.Account, OrgID: a.OrgID, Domain: a.Domain, Role: a.Role}); err != nil {
		return "", err
	}
	clientID, err = a.obtain(ctx)
	if err != nil && ctx.Err() == nil {
		if noteErr := a.Journal.NoteAccess(a.Account, a.OrgID, err.Error()); noteErr != nil {
			a.Logger.Error("the journal can't be written", "org", a.Domain, "error", noteErr)
		}
	}
	return clientID, err
}

func (a *Access) obtain(ctx context.Context) (string, error) {
	app, err := a.app(ctx)
	if err != nil {
		return "", err
	}
	if !app.Active {
		return "", text.WithHint(fmt.Errorf("the service app %q (%s) is INACTIVE", AppLabel, app.ID),
			"somebody has deactivated it: let a super admin activate it, or delete it to have another one made")
	}
	for _, step := range []struct {
		name journal.AccessStep
		do   func(context.Context, org.ServiceApp) error
	}{
		{journal.AccessGranted, a.grant},
		{journal.AccessAssigned, a.assign},
		{journal.AccessDone, func(ctx context.Context, app org.ServiceApp) error { return a.API.Prove(ctx, app.ClientID, a.Proof) }},
	} {
		if err := step.do(ctx, app); err != nil {
			return "", err
		}
		if err := a.Journal.MarkAccess(a.Account, a.OrgID, step.name, app.ID, app.ClientID); err != nil {
			return "", err
		}
	}
	a.Logger.Info("the org has a service app", "org", a.Domain, "clientID", app.ClientID)
	return app.ClientID, nil
}

// app returns our service app, and makes it if there is none.
func (a *Access) app(ctx context.Context) (org.ServiceApp, error) {
	rec, err := a.Journal.Access(a.Account, a.OrgID)
	if err != nil {
		return org.ServiceApp{}, err
	}
	if rec != nil && rec.AppID != "" {
		app, err := a.API.App(ctx, rec.AppID)
		if err != nil {
			return org.ServiceApp{}, err
		}
		if app != nil {
			return *app, a.checkOurs(*app)
		}
		a.Logger.Warn("the service app of the org is gone; another one is made", "org", a.Domain, "appID", rec.AppID)
	}
	app, err := a.find(ctx, rec)
	if err != nil {
		return org.ServiceApp{}, err
	}
	if app == nil {
		made, err := a.create(ctx)
		if err != nil {
			return org.ServiceApp{}, err
		}
		app = &made
	}
	return *app, a.Journal.MarkAccess(a.Account, a.OrgID, journal.AccessMade, app.ID, app.ClientID)
}

// find returns the app that is ours by label and key; nil if there is none. An app that
// a call which wasn't answered made a moment ago may not be listed yet.
func (a *Access) find(ctx context.Context, rec *journal.Access) (*org.ServiceApp, error) {
	if rec != nil && rec.Step == journal.AccessSent {
		select {
		case <-time.After(min(a.Settle, time.Until(rec.SentAt.Add(a.Settle)))):
		case <-ctx.Done():
			return nil, fmt.Errorf("before finding out whether the org has a service app: %w", ctx.Err())
		}
	}
	all, err := a.API.Find(ctx, AppLabel)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Ours {
			return &all[i], nil
		}
	}
	if len(all) > 0 {
		return nil, a.checkOurs(all[0])
	}
	return nil, nil
}

// checkOurs returns an error for an app that doesn't have our key.
func (a *Access) checkOurs(app org.ServiceApp) error {
	if app.Ours {
		return nil
	}
	return text.WithHint(
		fmt.Errorf("the org has an app %q (%s) that is not ours: it is no service app with our public key", text.Clean(app.Label), app.ID),
		"if the key was changed, add the new public key to the app; if the app is somebody else's, let them rename it")
}

// create makes the app.
func (a *Access) create(ctx context.Context) (org.ServiceApp, error) {
	sent := false
	app, err := a.API.Create(ctx, AppLabel, func(ctx context.Context) error {
		if err := a.maySend(ctx); err != nil {
			return err
		}
		sent = true
		return a.Journal.SendAccess(a.Account, a.OrgID)
	})
	switch uncertain := errors.As(err, new(*rest.UncertainError)); {
	case err == nil:
		a.Logger.Info("service app made", "org", a.Domain, "appID", app.ID)
		return app, nil
	case uncertain:
		return app, text.WithHint(text.Flat(err), "run it again: it finds out whether the app is there, and makes no second one")
	case sent:
		if markErr := a.Journal.MarkAccessRefused(a.Account, a.OrgID); markErr != nil {
			err = text.Flat(errors.Join(err, markErr))
		}
	}
	return app, err
}

func (a *Access) maySend(context.Context) error {
	if a.MaySend == nil {
		return nil
	}
	return a.MaySend()
}

// grant grants the scopes that the app lacks. What it has in the end decides: a scope
// that somebody granted meanwhile is refused.
func (a *Access) grant(ctx context.Context, app org.ServiceApp) error {
	return complete(a.Scopes,
		func() ([]string, error) { return a.API.Scopes(ctx, app.ID) },
		func(scope string) error { return a.API.Grant(ctx, app.ID, scope, a.maySend) })
}

// assign assigns the role, unless the app has it.
func (a *Access) assign(ctx context.Context, app org.ServiceApp) error {
	return complete([]string{a.Role},
		func() ([]string, error) { return a.API.Roles(ctx, app.ClientID) },
		func(role string) error { return a.API.Assign(ctx, app.ClientID, role, a.maySend) })
}

// complete adds those that list lacks, and returns the error of one that it lacks in
// the end.
func complete(wanted []string, list func() ([]string, error), add func(string) error) error {
	have, err := list()
	if err != nil {
		return err
	}
	failed := map[string]error{}
	for _, w := range wanted {
		if slices.Contains(have, w) {
			continue
		}
		if failed[w] = add(w); failed[w] != nil && !refused(failed[w]) {
			return failed[w]
		}
	}
	if len(failed) == 0 {
		return nil
	}
	if have, err = list(); err != nil {
		return err
	}
	for _, w := range wanted {
		if slices.Contains(have, w) {
			continue
		}
		if failed[w] != nil {
			return failed[w]
		}
		return fmt.Errorf("%s was accepted, and is not listed afterwards", w)
	}
	return nil
}

// refused reports whether Okta processed a call and refused it.
func refused(err error) bool {
	var r interface{ Refused() bool }
	return errors.As(err, &r) && r.Refused()
}
