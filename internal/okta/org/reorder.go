package org

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
)

// maxPasses is how often an order is written: Okta moves the others when it moves one,
// and not always as expected.
const maxPasses = 2

// reorder brings objects into an order, from the top down. Those that Okta made stay
// last.
func (c *change) reorder(ctx context.Context) error {
	f := c.field("order")
	if f == nil {
		return errors.New("the change holds no order")
	}
	want := texts(f.After)
	if err := c.findParent(ctx); err != nil {
		return err
	}
	did := false
	for range maxPasses {
		acted, err := c.arrange(ctx, want)
		did = did || acted
		switch {
		case errors.Is(err, objects.ErrAlready) && did:
			return nil
		case err != nil && did:
			return fmt.Errorf("%w (some objects are in their new places)", err)
		case err != nil:
			return err
		}
	}
	return c.settle(ctx, func(ctx context.Context) error {
		now, err := c.order(ctx)
		if err == nil && !slices.Equal(now.names, want) {
			err = notYet("the order is %s", show(now.names))
		}
		return err
	})
}

// texts returns a list of texts.
func texts(v any) []string {
	list, _ := v.([]any)
	all := make([]string, len(list))
	for i := range list {
		all[i], _ = list[i].(string)
	}
	return all
}

// order are the objects that are ordered, in their order.
type order struct {
	names   []string
	objects []raw
}

// order reads the order of the objects that Okta didn't make.
func (c *change) order(ctx context.Context) (*order, error) {
	l := &reading{kind: c.kind, typ: c.d.Ref.Type, parent: c.parent, parentName: c.d.Ref.Parent}
	if err := c.read(ctx, l); err != nil {
		return nil, wrap(err, "reading %s", l.title())
	}
	now := &order{}
	for _, o := range l.objects {
		if _, name, system, _ := c.kind.Ident(o); !system {
			now.names = append(now.names, name)
			now.objects = append(now.objects, o)
		}
	}
	return now, nil
}

// arrange puts each object into its place, from the top down, and reports whether
// anything was sent. The error is objects.ErrAlready if all are in their places.
func (c *change) arrange(ctx context.Context, want []string) (did bool, err error) {
	now, err := c.order(ctx)
	if err == nil {
		err = c.checkOrder(now, want)
	}
	if err != nil {
		return false, err
	}
	for i := range want {
		if now.names[i] == want[i] {
			continue
		}
		acted, err := c.put(ctx, i, want, &now)
		did = did || acted
		if err != nil {
			return did, err
		}
	}
	return did, nil
}

// checkOrder returns nil if the order is the one before the change, and
// objects.ErrAlready if it is the one after it. Once something was sent, any order of
// these objects will do.
func (c *change) checkOrder(now *order, want []string) error {
	sorted := func(names []string) []string { return slices.Sorted(slices.Values(names)) }
	same := slices.Equal(sorted(now.names), sorted(want))
	switch {
	case slices.Equal(now.names, want):
		return objects.ErrAlready
	case c.checked && same:
		return nil
	case c.checked || !same && c.d.CheckOrder(now.names) == nil:
		return &objects.MovedError{Fields: []objects.FieldChange{{Path: "order", Before: want, After: now.names}}}
	}
	return c.d.CheckOrder(now.names)
}

// put puts the object that shall be at i there. now becomes what the order should be
// then.
func (c *change) put(ctx context.Context, i int, want []string, now **order) (did bool, err error) {
	id, _ := (*now).objects[slices.Index((*now).names, want[i])]["id"].(string)
	return c.send(ctx, sending{
		method: c.kind.API.Write, place: c.list().object(id), repeat: rest.AfterLook,
		prepare: func(ctx context.Context) (raw, error) {
			fresh, err := c.order(ctx)
			if err == nil {
				err = c.checkOrder(fresh, want)
			}
			if err != nil {
				return nil, err
			}
			at := slices.Index(fresh.names, want[i])
			o, there := fresh.objects[at], fresh.objects[i]
			*now = fresh.moved(at, i)
			switch {
			case at == i:
				return nil, objects.ErrAlready
			case o["id"] != id:
				return nil, fmt.Errorf("%q is another object than a moment ago", want[i])
			}
			one := objects.Difference{Op: objects.Update, Ref: c.d.Ref, ID: id, ParentID: c.parent}
			one.Ref.Name = want[i]
			body, err := one.Overlay(o, nil)
			if err != nil {
				return nil, err
			}
			body["priority"] = there["priority"]
			return body, nil
		},
	})
}

// moved returns the order after the object at from was put at to.
func (o *order) moved(from, to int) *order {
	m := &order{names: slices.Clone(o.names), objects: slices.Clone(o.objects)}
	name, object := m.names[from], m.objects[from]
	m.names = slices.Insert(slices.Delete(m.names, from, from+1), to, name)
	m.objects = slices.Insert(slices.Delete(m.objects, from, from+1), to, object)
	return m
}
