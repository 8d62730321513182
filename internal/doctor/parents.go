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
func (p *patient) parents() []*check {
	if p.cfg == nil || len(p.cfg.Parents) == 0 {
		return []*check{{name: "parents", look: func(context.Context) Check {
			return fine("none configured: no orgs can be created")
		}}}
	}
	var all []*check
	for i := range p.cfg.Parents {
		org := &p.cfg.Parents[i]
		all = append(all, &check{
			name:  "parent " + org.Name,
			needs: []string{"aerial"},
			look:  func(ctx context.Context) Check { return p.parent(ctx, org) },
		})
	}
	return all
}

// parent asks a parent whether it lets the account add its orgs, which also
// shows whether the parent takes the credentials.
func (p *patient) parent(ctx context.Context, org *config.Parent) Check {
	wire := &recorder{base: p.opts.Transport}
	client, err := reconcile.OpenParent(org, wire, p.opts.Logger)
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	if err := client.CheckConsent(ctx, p.cfg.Aerial.AccountID); err != nil {
		found := p.trouble(ctx, err, wire)
		if found.Hint == "" && errors.Is(err, fs.ErrNotExist) {
			found.Hint = "put the secret there, or correct the path in the config"
		}
		return found
	}
	return fine("%s takes the credentials, and lets the account add its orgs", org.URL)
}
