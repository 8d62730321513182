package org

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// create makes a new object, and then gives it what only other calls can.
func (c *change) create(ctx context.Context) (note string, err error) {
	if c.kind.Setting || c.kind.Fixed {
		return "", fmt.Errorf("a %s can't be created: Okta decides which there are", c.kind.Title)
	}
	if err := c.findParent(ctx); err != nil {
		return "", err
	}
	on := c.wantedActions()
	remember := c.kind.API.BornInactive && len(on) > 0 && on[0].After == active
	if err := c.post(ctx, remember); err != nil {
		return "", err
	}
	c.made[c.d.Ref] = c.id
	if n := c.known[c.kind]; n != nil {
		n.add(c.id, c.d.Ref.Name)
	}
	for _, f := range on {
		if _, err := c.act(ctx, f); err != nil {
			return "", fmt.Errorf("it is created, but %w", err)
		}
	}
	if remember {
		if err := c.end(); err != nil {
			return "", err
		}
	}
	return "", c.readBack(ctx)
}

// wantedActions returns the fields of a new object that have calls of their own. An
// object that is born INACTIVE, whatever is sent, is switched on unless it shall be so.
func (c *change) wantedActions() []objects.FieldChange {
	if c.kind.API.BornInactive && len(c.actions) == 0 {
		return []objects.FieldChange{{Path: status, After: active}}
	}
	return c.actions
}

// findParent looks for the id of the parent of a new object, if it isn't known.
func (c *change) findParent(ctx context.Context) error {
	if c.kind.Parent == nil || c.parent != "" {
		return nil
	}
	if c.parent = c.made[objects.Ref{Kind: c.kind.Parent, Type: c.d.Ref.Type, Name: c.d.Ref.Parent}]; c.parent != "" {
		return nil
	}
	all := &reading{kind: c.kind.Parent, typ: c.d.Ref.Type}
	if err := c.read(ctx, all); err != nil {
		return wrap(err, "reading %s", all.title())
	}
	found := named(all, c.d.Ref.Parent)
	if len(found) != 1 {
		return fmt.Errorf("the org has %d %s of type %s with the name %q, and one must be there",
			len(found), c.kind.Parent.Name, c.d.Ref.Type, c.d.Ref.Parent)
	}
	c.parent, _ = found[0]["id"].(string)
	return nil
}

// named returns the objects of a list that have the name.
func named(l *reading, name string) []raw {
	var found []raw
	for _, o := range l.objects {
		if l.kind.KeyOf(o) == name {
			found = append(found, o)
		}
	}
	return found
}

// find looks for the object by its key; nil if there is none.
func (c *change) find(ctx context.Context) (raw, error) {
	l := &reading{kind: c.kind, typ: c.d.Ref.Type, parent: c.parent, parentName: c.d.Ref.Parent}
	if err := c.read(ctx, l); err != nil {
		return nil, wrap(err, "reading %s", l.title())
	}
	switch found := named(l, c.d.Ref.Name); len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	default:
		return nil, fmt.Errorf("there are %d of this name: it can't be told which is meant", len(found))
	}
}

// post sends the new object, if there is none with its key. It is sent once: where it
// is not known what came of that, the list tells. If remember is set, Steps knows of it
// before: not of one that is there, which an earlier process may have left INACTIVE.
func (c *change) post(ctx context.Context, remember bool) error {
	begun := false
	p := c.list()
	if i := c.field(status); i != nil && i.After == inactive {
		p.query = c.kind.API.CreateInactive
	}
	_, err := c.send(ctx, sending{
		method: http.MethodPost, place: p, repeat: rest.Never,
		prepare: func(ctx context.Context) (raw, error) {
			o, err := c.find(ctx)
			if err != nil {
				return nil, err
			}
			if o != nil {
				return nil, c.exists(ctx, o)
			}
			body, err := c.overlay(ctx, nil)
			if err == nil && remember {
				err = c.begin()
				begun = err == nil
			}
			return body, err
		},
		read: func(a *rest.Answer) (err error) {
			o, err := rest.Decode[raw](a)
			if err == nil {
				c.id, err = idOf(o)
			}
			return err
		},
	})
	switch uncertain := (*rest.UncertainError)(nil); {
	case errors.As(err, &uncertain):
		return c.recover(ctx, err)
	case err == nil && c.id == "":
		return objects.ErrAlready
	case err != nil && begun:
		if failed := c.end(); failed != nil {
			return fmt.Errorf("%w; %w", err, failed)
		}
	}
	return err
}

// field returns the change of a field, or nil.
func (c *change) field(path string) *objects.FieldChange {
	for i := range c.d.Fields {
		if c.d.Fields[i].Path == path {
			return &c.d.Fields[i]
		}
	}
	return nil
}

// exists returns what to say of an object that is to be created and is there.
func (c *change) exists(ctx context.Context, o raw) error {
	live, err := c.normal(ctx, o)
	if err == nil {
		err = c.d.Check(live)
	}
	if err != nil {
		return err
	}
	return &objects.MovedError{Fields: []objects.FieldChange{{Path: c.kind.Key, After: c.d.Ref.Name}}}
}

// recover looks whether an object is there the creation of which failed with err in a
// way that leaves that open.
func (c *change) recover(ctx context.Context, err error) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	for _, wait := range settling {
		if web.Sleep(ctx, wait) != nil {
			break
		}
		o, failed := c.find(ctx)
		if failed != nil {
			break
		}
		if o != nil {
			c.id, _ = o["id"].(string)
			return nil
		}
	}
	return text.WithHint(fmt.Errorf("%w, and it isn't on the list so far", err), "the next run looks again")
}
