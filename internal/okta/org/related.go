package org

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/text"
)

// statuses are those of all objects of a kind, by their ids.
type statuses map[string]state

type state struct{ name, status string }

// related makes sure that what must have the same status before the object gets it has
// it. Where the plan gives it to them as well, that is done first. It returns the
// statuses of all objects of the kind; nil where they don't depend on each other.
func (c *change) related(ctx context.Context) (statuses, error) {
	f := c.field(status)
	if f == nil || c.kind.API.Requires == "" {
		return nil, nil
	}
	before, err := c.statuses(ctx)
	if err != nil {
		return nil, err
	}
	// The one list is empty of what would stand in the way of the other change.
	path, says := c.kind.API.Requires, "needs"
	if all := actionsOf(c.kind, status); f.After != all[0].Value {
		path, says = c.kind.API.RequiredBy, "is needed by"
	}
	p := c.place()
	p.path = path
	others, _, err := get[[]raw](ctx, c.site, c.reader, p)
	if err == nil && others == nil {
		err = errors.New("the answer is null instead of a list")
	}
	if err != nil {
		return nil, wrap(err, "reading what it depends on")
	}
	var unmet []string
	for _, o := range others {
		if o[status] == f.After {
			continue
		}
		done, err := c.first(ctx, o, f.After)
		if err != nil {
			return nil, err
		}
		if !done {
			unmet = append(unmet, fmt.Sprintf("%q", text.Clean(c.kind.KeyOf(o))))
		}
	}
	if len(unmet) > 0 {
		slices.Sort(unmet)
		return nil, text.WithHint(fmt.Errorf("it %s %s, which must be %v first", says, strings.Join(unmet, ", "), f.After),
			fmt.Sprintf("declare %s as %v as well: nothing is switched that isn't declared", strings.Join(unmet, ", "), f.After))
	}
	return before, nil
}

// first makes the change of the plan that gives another object the status, before its
// turn, and reports whether there is such a change.
func (c *change) first(ctx context.Context, o raw, to any) (bool, error) {
	id, _ := o["id"].(string)
	for i := range c.plan {
		d := &c.plan[i]
		if d.Ref.Kind != c.kind || d.ID != id || c.early[id] != "" {
			continue
		}
		other := c.change(d, c.maySend)
		if f := other.field(status); f == nil || f.After != to {
			continue
		}
		name := c.d.Ref.Object()
		c.early[id] = fmt.Sprintf("made before %q, which depends on it", name) // also keeps from going in circles
		_, err := other.update(ctx)
		if err != nil && !errors.Is(err, objects.ErrAlready) {
			delete(c.early, id)
			return false, wrap(err, "%q, which comes first", d.Ref.Object())
		}
		return true, nil
	}
	return c.early[id] != "", nil
}

// statuses reads the statuses of all objects of the kind.
func (c *change) statuses(ctx context.Context) (statuses, error) {
	l := &reading{kind: c.kind}
	if err := c.read(ctx, l); err != nil {
		return nil, wrap(err, "reading %s", l.title())
	}
	all := statuses{}
	for _, o := range l.objects {
		id, _ := o["id"].(string)
		now, _ := o[status].(string)
		all[id] = state{c.kind.KeyOf(o), now}
	}
	return all, nil
}

// alsoMoved returns a note if other objects changed their status with this one.
func (c *change) alsoMoved(ctx context.Context, before statuses) (note string, err error) {
	if before == nil {
		return "", nil
	}
	after, err := c.statuses(ctx)
	if err != nil {
		return "", err
	}
	var moved []string
	for id, now := range after {
		was, ok := before[id]
		if ok && now.status != was.status && id != c.id && c.early[id] == "" {
			moved = append(moved, fmt.Sprintf("%q is %s now", text.Clean(now.name), text.Clean(now.status)))
		}
	}
	if len(moved) == 0 {
		return "", nil
	}
	slices.Sort(moved)
	return "others changed with it: " + strings.Join(moved, ", "), nil
}
