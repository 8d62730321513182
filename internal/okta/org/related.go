package org

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
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
	others, err := c.dependsOn(ctx, c.kind, c.id, f.After)
	if err != nil {
		return nil, wrap(err, "reading what it depends on")
	}
	says := "needs"
	if c.kind.Related(f.After) == c.kind.API.RequiredBy {
		says = "is needed by"
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

// dependsOn reads the objects that must have this status before the object with the id
// gets it.
func (s *session) dependsOn(ctx context.Context, k *objects.Kind, id string, to any) ([]raw, error) {
	p := collection(k, "").object(id)
	p.path = k.Related(to)
	others, _, err := get[[]raw](ctx, s.site, s.reader, p)
	if err == nil && others == nil {
		err = errors.New("the answer is null instead of a list")
	}
	return others, err
}

// maxNeeds bounds how many objects of an org are asked for what they depend on.
const maxNeeds = 1000

// needing is an object that is to get a status, and what must have it before.
type needing struct {
	ref    objects.Ref
	id     string
	to     any
	others []*objects.LiveObject
	err    error
}

// readNeeds sets Needs: what the objects depend on that don't have the statuses that
// they are to get, and what that depends on in turn.
func (s *session) readNeeds(ctx context.Context, live *objects.Live, statuses map[objects.Ref]any) error {
	var next []*needing
	for _, o := range live.Objects {
		if to := statuses[o.Ref]; to != nil && o.Body[status] != to {
			next = append(next, &needing{ref: o.Ref, id: o.ID, to: to})
		}
	}
	asked := map[string]bool{}
	for _, n := range next {
		asked[n.id] = true
	}
	for len(next) > 0 {
		if len(asked) > maxNeeds {
			return fmt.Errorf("there is no end to what objects depend on: gave up at more than %d", maxNeeds)
		}
		s.askNeeds(ctx, next)
		var further []*needing
		for _, n := range next {
			if n.err != nil {
				return wrap(n.err, "reading what the %s depends on", n.ref)
			}
			if live.Needs == nil {
				live.Needs = map[string][]*objects.LiveObject{}
			}
			live.Needs[n.id] = n.others
			for _, o := range n.others {
				if o.Body[status] != n.to && !asked[o.ID] {
					asked[o.ID] = true
					further = append(further, &needing{ref: o.Ref, id: o.ID, to: n.to})
				}
			}
		}
		next = further
	}
	return nil
}

// askNeeds reads at once what several objects depend on. One that is gone depends on
// nothing: the write will say so.
func (s *session) askNeeds(ctx context.Context, all []*needing) {
	var group sync.WaitGroup
	for _, n := range all {
		group.Go(func() {
			defer rest.Recover(s.log, "reading the org", &n.err)
			var others []raw
			if others, n.err = s.dependsOn(ctx, n.ref.Kind, n.id, n.to); gone(n.err) {
				n.err = nil
			}
			for _, o := range others {
				if _, n.err = idOf(o); n.err != nil {
					return
				}
				n.others = append(n.others, n.ref.Kind.Decode(o, n.ref.Type, "", "", func(_, id string) string { return id }))
			}
		})
	}
	group.Wait()
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
