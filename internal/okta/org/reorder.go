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

// reorder brings objects into an order, from the top down. Those that the order doesn't
// name keep their places among the others.
func (c *change) reorder(ctx context.Context) error {
	f := c.field("order")
	if f == nil {
		return errors.New("the change holds no order")
	}
	was, want := texts(f.Before), texts(f.After)
	if err := c.findParent(ctx); err != nil {
		return err
	}
	did := false
	for range maxPasses {
		acted, err := c.arrange(ctx, was, want)
		if err != nil {
			return c.half(err, did || acted)
		}
		did = did || acted
		if !did {
			return objects.ErrAlready
		}
		now, err := c.order(ctx, want)
		if err != nil {
			return rest.Uncertain(wrap(err, "reading back what was written"))
		}
		if slices.Equal(now.names, want) {
			return nil
		}
	}
	return c.settle(ctx, func(ctx context.Context) error {
		now, err := c.order(ctx, want)
		if err == nil && !slices.Equal(now.names, want) {
			err = fmt.Errorf("the order is %s", show(now.names))
		}
		return err
	})
}

// texts returns a list of texts.
func texts(v any) []string {
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		all := make([]string, len(v))
		for i := range v {
			all[i], _ = v[i].(string)
		}
		return all
	}
	return nil
}

// order are the objects that are ordered, in their order.
type order struct {
	names   []string
	objects []raw
}

// order reads the order of the objects with these names.
func (c *change) order(ctx context.Context, names []string) (*order, error) {
	l := &reading{kind: c.kind, typ: c.d.Ref.Type, parent: c.parent, parentName: c.d.Ref.Parent}
	if err := c.read(ctx, l); err != nil {
		return nil, wrap(err, "reading %s", l.title())
	}
	now := &order{}
	for _, o := range l.objects {
		if name := nameOf(c.kind, o); slices.Contains(names, name) {
			now.names = append(now.names, name)
			now.objects = append(now.objects, o)
		}
	}
	return now, nil
}

// arrange puts each object into its place, from the top down, and reports whether
// anything was sent.
func (c *change) arrange(ctx context.Context, was, want []string) (did bool, err error) {
	now, err := c.order(ctx, want)
	if err != nil {
		return false, err
	}
	if err := c.checkOrder(now, was, want); err != nil {
		return false, err
	}
	for i := range want {
		if now.names[i] == want[i] {
			continue
		}
		acted, err := c.put(ctx, i, was, want, &now)
		if err != nil {
			return did, err
		}
		did = did || acted
	}
	return did, nil
}

// checkOrder returns a MovedError if the order is neither the one before the change nor
// the one after it, or if an object is missing. Once something was sent, only the
// latter counts.
func (c *change) checkOrder(now *order, was, want []string) error {
	sorted := func(names []string) []string { return slices.Sorted(slices.Values(names)) }
	same := slices.Equal(sorted(now.names), sorted(want))
	if same && (c.checked || slices.Equal(now.names, was) || slices.Equal(now.names, want)) {
		return nil
	}
	return &objects.MovedError{Fields: []objects.FieldChange{{Path: "order", Before: was, After: now.names}}}
}

// put puts the object that shall be at i there. now becomes what the order should be
// then.
func (c *change) put(ctx context.Context, i int, was, want []string, now **order) (did bool, err error) {
	p := c.list().object("")
	id, _ := (*now).objects[slices.Index((*now).names, want[i])]["id"].(string)
	p.id = id
	return c.send(ctx, sending{
		method: c.kind.API.Write, place: p, repeat: rest.AfterLook,
		prepare: func(ctx context.Context) (raw, error) {
			fresh, err := c.order(ctx, want)
			if err == nil {
				err = c.checkOrder(fresh, was, want)
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
