package org

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
)

// remove deletes an object, having switched it off where it has to be.
func (c *change) remove(ctx context.Context) (note string, err error) {
	if c.kind.Setting || c.kind.Fixed {
		return "", fmt.Errorf("a %s can't be deleted: Okta decides which there are", c.kind.Title)
	}
	off := false
	if c.kind.API.DeactivateFirst {
		if off, err = c.switchOff(ctx); err != nil {
			return "", err
		}
	}
	background := false
	did, err := c.send(ctx, sending{
		method: http.MethodDelete, place: c.place(), repeat: rest.AfterLook, bare: true,
		prepare: func(ctx context.Context) (raw, error) {
			_, live, err := c.look(ctx)
			if err != nil {
				return nil, err
			}
			return nil, c.deletable(live)
		},
		read: func(a *rest.Answer) error {
			background = a.Status == http.StatusAccepted
			return nil
		},
	})
	switch {
	case gone(err): // since the look
		err = nil
	case err != nil && off:
		return "", fmt.Errorf("it is %s now, and could not be deleted: %w", inactive, err)
	case err == nil && !did && !off:
		return "", objects.ErrAlready
	}
	if err != nil {
		return "", err
	}
	delete(c.made, c.d.Ref)
	if n := c.known[c.kind]; n != nil {
		n.remove(c.id)
	}
	err = c.settle(ctx, func(ctx context.Context) error {
		_, live, err := c.look(ctx)
		if err == nil && live != nil {
			return errStays
		}
		return err
	})
	if background && errors.Is(err, errStays) {
		return "Okta deletes it in the background, and has not finished yet", nil
	}
	return "", err
}

var errStays = notYet("it is still there")

// deletable returns nil if the object is there and may be deleted.
func (c *change) deletable(live *objects.LiveObject) error {
	if live != nil && live.System {
		return fmt.Errorf("this %s is one of Okta's own, and can't be deleted", c.kind.Title)
	}
	return c.check(live, c.d)
}

// switchOff deactivates an object if it is ACTIVE.
func (c *change) switchOff(ctx context.Context) (did bool, err error) {
	did, err = c.send(ctx, sending{
		method: http.MethodPost, place: c.action(inactive), repeat: rest.AfterLook, bare: true,
		prepare: func(ctx context.Context) (raw, error) {
			o, live, err := c.look(ctx)
			switch {
			case err != nil:
				return nil, err
			case live == nil || o[status] != active:
				return nil, objects.ErrAlready
			}
			return nil, c.deletable(live)
		},
	})
	return did, wrap(err, "deactivating it")
}

// action returns the place of the call that gives the object a status.
func (c *change) action(to string) place {
	p := c.place()
	for _, a := range actionsOf(c.kind, status) {
		if a.Value == to {
			p.path = a.Path
		}
	}
	return p
}
