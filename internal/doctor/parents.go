package doctor

import (
	"context"
	"errors"
	"io/fs"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/text"
)

// parents returns a check for each configured parent, or one that says that there
// is none.
func (e *examination) parents() []*check {
	if e.cfg == nil || len(e.cfg.Parents) == 0 {
		return []*check{{name: "parents", look: func(context.Context) Check {
			return fine("none configured: no orgs can be created")
		}}}
	}
	var all []*check
	for i := range e.cfg.Parents {
		org := &e.cfg.Parents[i]
		all = append(all, &check{
			name:  "parent " + org.Name,
			needs: []string{"aerial"},
			look:  func(ctx context.Context) Check { return e.parent(ctx, org) },
		})
	}
	return all
}

// parent asks a parent whether it lets the account add its orgs, which also
// shows whether the parent takes the credentials.
func (e *examination) parent(ctx context.Context, org *config.Parent) Check {
	wire := &recorder{base: e.opts.Transport}
	client, err := reconcile.OpenParent(org, wire, e.opts.Logger)
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	if err := client.CheckConsent(ctx, e.cfg.Aerial.AccountID); err != nil {
		found := e.trouble(ctx, err, wire)
		if found.Hint == "" && errors.Is(err, fs.ErrNotExist) {
			found.Hint = "put the secret there, or correct the path in the config"
		}
		return found
	}
	return fine("%s takes the credentials, and lets the account add its orgs", org.URL)
}
