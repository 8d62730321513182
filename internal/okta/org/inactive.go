package org

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// restoring bounds how long an object that we switched off is tried to be switched on
// again after its change has failed, also when the run is to stop.
const restoring = 30 * time.Second

// updateInactive changes an object that can only be written while it is INACTIVE: it is
// switched off, written, and switched on again. Steps remembers that it is off, in case
// the process ends before it is on again. If the change fails, the object is switched on
// again as it was.
func (c *change) updateInactive(ctx context.Context) (note string, err error) {
	o, live, err := c.look(ctx)
	if err == nil {
		err = c.writable(live, o)
	}
	if err != nil {
		return "", err
	}
	was := o[status]
	want := was
	if f := c.field(status); f != nil {
		want = f.After
	}
	again := was == active && want == active
	if again {
		if err := c.begin(); err != nil {
			return "", err
		}
	}
	off, did, err := c.writeInactive(ctx)
	switch {
	case err != nil && again:
		return "", c.restore(ctx, off, err)
	case err != nil && off:
		return "", fmt.Errorf("%w (it is %s now)", err, inactive)
	case err != nil:
		return "", err
	}
	if want == active {
		acted, err := c.act(ctx, objects.FieldChange{Path: status, Before: was, After: active})
		if err != nil && again {
			return "", c.restore(ctx, off, fmt.Errorf("it is written, but %w", err))
		}
		if err != nil {
			return "", fmt.Errorf("it is written, but %w", err)
		}
		did = did || acted
	}
	if again {
		if err := c.end(); err != nil {
			return "", err
		}
	}
	if !did && !off {
		return "", objects.ErrAlready
	}
	return "", c.readBack(ctx)
}

// writable returns nil if the object may be written.
func (c *change) writable(live *objects.LiveObject, o raw) error {
	dead := c.kind.API.Dead
	if live != nil && dead != "" && o[status] == dead {
		return text.WithHint(fmt.Errorf("it is %s, and Okta lets nobody change it any more", dead),
			"something that it named was deleted: declare it absent, and afterwards anew")
	}
	err := c.check(live, &c.body)
	if errors.Is(err, objects.ErrAlready) {
		return nil // the status may differ
	}
	return err
}

// begin and end tell Steps. A new object has no id yet, and is meant by its name.
func (c *change) begin() error {
	if c.opts.Steps == nil {
		return nil
	}
	return c.opts.Steps.Begin(c.target.OrgID, c.kind.Name, c.step())
}

func (c *change) end() error {
	if c.opts.Steps == nil {
		return nil
	}
	return c.opts.Steps.End(c.target.OrgID, c.kind.Name, c.step())
}

// byName comes before the name of an object where Steps has an id.
const byName = "name:"

func (c *change) step() string {
	if c.d.ID == "" {
		return byName + c.d.Ref.Name
	}
	return c.d.ID
}

// StepObject returns which object the id of one of Steps means: one with an id of
// Okta's, or one with a name.
func StepObject(step string) (id, name string) {
	if name, ok := strings.CutPrefix(step, byName); ok {
		return "", name
	}
	return step, ""
}

// writeInactive switches the object off and writes it. off reports whether it was, or
// may have been, switched off.
func (c *change) writeInactive(ctx context.Context) (off, did bool, err error) {
	off, err = c.send(ctx, sending{
		method: http.MethodPost, place: c.action(inactive), repeat: rest.AfterLook, bare: true,
		prepare: func(ctx context.Context) (raw, error) {
			o, live, err := c.look(ctx)
			switch {
			case err != nil:
				return nil, err
			case live != nil && o[status] == inactive:
				return nil, objects.ErrAlready
			}
			if err := c.writable(live, o); err != nil {
				return nil, err
			}
			return nil, c.body.Check(live)
		},
	})
	if err != nil {
		return off && !refused(err), false, wrap(err, "deactivating it")
	}
	if off {
		err = c.settle(ctx, func(ctx context.Context) error {
			o, err := c.one(ctx, c.place())
			if err == nil && o[status] != inactive {
				err = notYet("it is still %s", show(o[status]))
			}
			return err
		})
		if err != nil {
			return off, false, err
		}
	}
	did, err = c.replace(ctx)
	return off, did, err
}

// refused reports whether err is Okta's refusal of a write, which did nothing.
func refused(err error) bool {
	var e *rest.Error
	var uncertain *rest.UncertainError
	return errors.As(err, &e) && e.Refused() && !errors.As(err, &uncertain)
}

// restore switches the object on again after err, and says what came of it.
func (c *change) restore(ctx context.Context, off bool, err error) error {
	if !off {
		if failed := c.end(); failed != nil {
			return fmt.Errorf("%w; %w", err, failed)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoring)
	defer cancel()
	if failed := c.activate(ctx, func(context.Context) error { return nil }); failed != nil {
		return text.WithHint(fmt.Errorf("%w; it was %s and is %s now: activating it again failed: %v", err, active, inactive, failed),
			"activate it in the Admin Console, or run again")
	}
	if failed := c.end(); failed != nil {
		return fmt.Errorf("%w; it is %s again: %w", err, active, failed)
	}
	return fmt.Errorf("%w; it is %s again as it was", err, active)
}

// activate switches the object on, if it is off.
func (c *change) activate(ctx context.Context, maySend MaySend) error {
	again := *c
	again.maySend = maySend
	_, err := again.send(ctx, sending{
		method: http.MethodPost, place: c.action(active), repeat: rest.AfterLook, bare: true,
		prepare: func(ctx context.Context) (raw, error) {
			o, err := c.one(ctx, c.place())
			switch {
			case err != nil:
				return nil, err
			case o[status] != inactive:
				return nil, objects.ErrAlready
			}
			return nil, nil
		},
	})
	return err
}
