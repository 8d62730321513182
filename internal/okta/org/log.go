package org

import (
	"context"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/systemlog"
)

// Log returns the System Log of an org, after checking that the org has the id of target.
// Its token is one of its own, so that an app that may not read the log reads all else.
func (c *Client) Log(ctx context.Context, target objects.Target) (*systemlog.Log, error) {
	s, err := c.start(ctx, target, nil)
	if err != nil {
		return nil, err
	}
	access, err := s.credentials(ctx, target, []string{systemlog.Scope})
	if err != nil {
		return nil, err
	}
	caller := s.caller.As(access)
	return &systemlog.Log{
		Home: s.home, URLKey: c.opts.Keys.URL, Policy: systemlog.Policy(c.opts.Timeout),
		Do: func(ctx context.Context, call *rest.Call) error { return s.do(ctx, caller, nil, call) },
	}, nil
}
