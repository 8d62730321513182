package org

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// settling are the waits before what was written is looked at again because it isn't
// there yet: Okta needs up to ten seconds to show a new object everywhere.
var settling = []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

// Editor writes the objects of one org, one after the other.
type Editor struct {
	*session
	target  objects.Target
	plan    []objects.Difference
	what    objects.Reads
	known   map[*objects.Kind]*known
	loads   int                    // how many lists were read for known
	made    map[objects.Ref]string // ids of new objects, which lists may not have yet
	manager *rest.Caller           // has the scopes to write what the plan is about; nil until it is needed
	// early are the ids of the objects that were written before their turn, because
	// another one needs them.
	early map[string]string
}

// Open prepares to write the differences to an org, after checking again that it has
// the id of target.
func (c *Client) Open(ctx context.Context, target objects.Target, plan []objects.Difference) (*Editor, error) {
	what := objects.ReadsFor(plan)
	s, err := c.start(ctx, target, what.Kinds)
	if err != nil {
		return nil, err
	}
	return newEditor(s, target, plan, what), nil
}

func newEditor(s *session, target objects.Target, plan []objects.Difference, what objects.Reads) *Editor {
	return &Editor{
		session: s, target: target, plan: plan, what: what,
		known: map[*objects.Kind]*known{}, made: map[objects.Ref]string{}, early: map[string]string{},
	}
}

// lock waits until nobody else writes to the org; release lets others.
func (e *Editor) lock(ctx context.Context) (release func(), err error) {
	select {
	case e.writing <- struct{}{}:
		return func() { <-e.writing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// MaySend is asked right before each send of a write whether it may be sent.
type MaySend = func(context.Context) error

// Write makes one change: it reads the object again and holds it against d, overlays
// the fields of d on what was read, asks maySend, sends, and reads back. An error wraps
// objects.ErrAlready if there was nothing to do, and is an *objects.MovedError if the
// object is neither as d was made for nor as it wants it. The note is what the user
// should know of a change that was made; empty if there is nothing.
//
// A change may take more than one send, and each of them is asked for. The only one
// that isn't takes back what an earlier one of the same change did: where a change
// fails for which an object was switched off, it is switched on again.
func (e *Editor) Write(ctx context.Context, d *objects.Difference, maySend MaySend) (note string, err error) {
	release, err := e.lock(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	defer rest.Recover(e.log, "writing to the org", &err)
	if reason, ok := e.early[d.ID]; ok && d.ID != "" {
		return reason, nil
	}
	return e.write(ctx, d, maySend)
}

func (e *Editor) write(ctx context.Context, d *objects.Difference, maySend MaySend) (note string, err error) {
	c := e.change(d, maySend)
	switch d.Op {
	case objects.Create:
		note, err = c.create(ctx)
	case objects.Update:
		note, err = c.update(ctx)
	case objects.Delete:
		return c.remove(ctx)
	case objects.Reorder:
		return "", c.reorder(ctx)
	default:
		return "", fmt.Errorf("no such change: %q", d.Op)
	}
	return note, c.wantsFeature(err)
}

// wantsFeature says of an error by which Okta refuses or ignores a field which feature the
// fields of the change need: most orgs lack some, and Okta doesn't name them.
func (c *change) wantsFeature(err error) error {
	var refused *rest.Error
	if err == nil || !errors.As(err, new(*notYetError)) && (!errors.As(err, &refused) || refused.Status != http.StatusBadRequest) {
		return err
	}
	needs := c.d.Features()
	if len(needs) == 0 {
		return err
	}
	return text.WithHint(err, strings.Join(needs, ", and ")+": ask Okta for that, or don't declare it for this org")
}

// change is one change that is being written.
type change struct {
	*Editor
	d       *objects.Difference
	kind    *objects.Kind
	maySend MaySend
	id      string
	parent  string // its id
	// body are the fields that are sent in a body, and actions those that have calls
	// of their own.
	body    objects.Difference
	actions []objects.FieldChange
	checked bool // the object was held against all of d
}

func (e *Editor) change(d *objects.Difference, maySend MaySend) *change {
	c := &change{Editor: e, d: d, kind: d.Ref.Kind, maySend: maySend, id: d.ID, parent: d.ParentID, body: *d}
	c.body.Fields = nil
	for _, f := range d.Fields {
		if len(actionsOf(c.kind, f.Path)) > 0 {
			c.actions = append(c.actions, f)
		} else {
			c.body.Fields = append(c.body.Fields, f)
		}
	}
	return c
}

// list is where the objects are listed; of a setting it is the setting.
func (c *change) list() place { return collection(c.kind, c.parent) }

// place is where the object is.
func (c *change) place() place {
	if c.kind.Setting {
		return c.list()
	}
	return c.list().object(c.id)
}

// look reads the object; nil if there is none.
func (c *change) look(ctx context.Context) (raw, *objects.LiveObject, error) {
	o, err := c.one(ctx, c.place())
	if gone(err) && !c.kind.Setting {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, wrap(err, "reading it")
	}
	live, err := c.normal(ctx, o)
	return o, live, err
}

// normal returns an object in normal form.
func (c *change) normal(ctx context.Context, o raw) (*objects.LiveObject, error) {
	id, key, system, _ := c.kind.Ident(o)
	name, failed := c.namer(ctx)
	live := &objects.LiveObject{
		Ref: objects.Ref{Kind: c.kind, Type: c.d.Ref.Type, Parent: c.d.Ref.Parent, Name: key},
		ID:  id, ParentID: c.parent, System: system, Body: c.kind.Normalize(o, name),
	}
	return live, *failed
}

// check holds the object against the difference: the first time against all of it,
// and later against part, which is what is about to be sent.
func (c *change) check(live *objects.LiveObject, part *objects.Difference) error {
	if live != nil && live.Ref != c.d.Ref {
		return &objects.MovedError{Fields: []objects.FieldChange{{Path: c.kind.Key, Before: c.d.Ref.Name, After: live.Ref.Name}}}
	}
	if !c.checked {
		for _, f := range append([]objects.Difference{c.body}, c.single()...) {
			if err := f.Check(live); len(f.Fields) > 0 && err != nil && !errors.Is(err, objects.ErrAlready) {
				return err
			}
		}
	}
	return part.Check(live)
}

// single returns a difference for each field that has calls of its own.
func (c *change) single() []objects.Difference {
	all := make([]objects.Difference, 0, len(c.actions))
	for _, f := range c.actions {
		all = append(all, c.only(f))
	}
	return all
}

// only returns the difference of one field.
func (c *change) only(f objects.FieldChange) objects.Difference {
	one := *c.d
	one.Op, one.ID, one.Fields = objects.Update, c.id, []objects.FieldChange{f}
	return one
}

// sending is one send of a change.
type sending struct {
	method string
	place  place
	repeat rest.Repeat
	// bare is set if there is no body.
	bare bool
	// prepare looks at what is there and returns what to send. objects.ErrAlready
	// means that there is nothing to do.
	prepare func(context.Context) (body raw, err error)
	// read reads the answer; nil ignores it.
	read func(*rest.Answer) error
}

// send sends, and reports whether it did: not if there was nothing to do.
func (c *change) send(ctx context.Context, s sending) (did bool, err error) {
	caller, err := c.writer(ctx)
	if err != nil {
		return false, err
	}
	call := c.call(s.method, s.place, s.repeat)
	if !s.bare {
		call.ContentType = "application/json"
	}
	call.Read = s.read
	call.MaySend = func(ctx context.Context) ([]byte, error) {
		body, err := c.prepare(ctx, s)
		if err == nil {
			err = c.maySend(ctx)
		}
		if err != nil {
			return nil, err
		}
		did, c.checked = true, true
		if s.bare {
			return nil, nil
		}
		return json.Marshal(body)
	}
	err = c.do(ctx, caller, c.kind, call)
	if errors.Is(err, objects.ErrAlready) { // or an earlier send did it, the answer to which was lost
		err = nil
	}
	return did, err
}

// prepare prepares a send. Where lists had to be read for names on the way, it looks
// again, so that the look is no older than a round trip.
func (c *change) prepare(ctx context.Context, s sending) (body raw, err error) {
	for {
		loads := c.loads
		body, err = s.prepare(ctx)
		if err != nil || c.loads == loads {
			return body, err
		}
	}
}

// writer returns the caller that may write the objects of the plan. One scope that isn't
// granted keeps all from being written.
func (e *Editor) writer(ctx context.Context) (*rest.Caller, error) {
	if e.manager != nil {
		return e.manager, nil
	}
	var kinds []*objects.Kind
	for i := range e.plan {
		kinds = append(kinds, e.plan[i].Ref.Kind)
	}
	access, err := e.credentials(ctx, e.target, scopes(kinds, ".manage"))
	if err != nil {
		return nil, err
	}
	e.manager = e.caller.As(access)
	return e.manager, nil
}

// update changes an object: first what is in its body, then what has calls of its own;
// but an object that is to be INACTIVE is so before it is changed.
func (c *change) update(ctx context.Context) (note string, err error) {
	if c.kind.API.WhileInactive && len(c.body.Fields) > 0 {
		return c.updateInactive(ctx)
	}
	before, err := c.related(ctx)
	if err != nil {
		return "", err
	}
	did := false
	for _, send := range c.sends() {
		sent, err := send(ctx)
		if err != nil {
			return "", c.half(err, did)
		}
		did = did || sent
	}
	if !did {
		return "", objects.ErrAlready
	}
	if err := c.readBack(ctx); err != nil {
		return "", err
	}
	return c.alsoMoved(ctx, before)
}

// sends returns the sends of an update, in their order.
func (c *change) sends() []func(context.Context) (did bool, err error) {
	var first, last []func(context.Context) (bool, error)
	for _, f := range c.actions {
		act := func(ctx context.Context) (bool, error) { return c.act(ctx, f) }
		if f.Path == status && f.After == inactive {
			first = append(first, act)
		} else {
			last = append(last, act)
		}
	}
	if len(c.body.Fields) > 0 {
		first = append(first, c.replace)
	}
	return append(first, last...)
}

// half says of an error after which part of a change is made.
func (c *change) half(err error, did bool) error {
	if !did {
		return err
	}
	return fmt.Errorf("%w (a part of the change is made)", err)
}

// replace writes the body of an object.
func (c *change) replace(ctx context.Context) (did bool, err error) {
	return c.send(ctx, sending{
		method: c.kind.API.Write, place: c.place(), repeat: rest.AfterLook,
		prepare: func(ctx context.Context) (raw, error) {
			o, live, err := c.look(ctx)
			if err == nil {
				err = c.check(live, &c.body)
			}
			if err != nil {
				return nil, err
			}
			return c.overlay(ctx, o)
		},
	})
}

// overlay returns what to send: what is there, with the fields of the change.
func (c *change) overlay(ctx context.Context, o raw) (raw, error) {
	body, err := c.body.Overlay(o, func(kind, name string) (string, error) { return c.idOf(ctx, kind, name) })
	if err != nil {
		return nil, err
	}
	return body, nil
}

// The statuses of an object with a lifecycle.
const (
	status   = "status"
	active   = "ACTIVE"
	inactive = "INACTIVE"
)

// actionsOf returns the calls that give a field its value, by value; none if it is
// sent in a body.
func actionsOf(k *objects.Kind, field string) []objects.Action {
	if k.API.Lifecycle && field == status {
		path := k.API.Collection + "/{id}/lifecycle/"
		return []objects.Action{{Value: active, Path: path + "activate"}, {Value: inactive, Path: path + "deactivate"}}
	}
	if f := objects.Find(k.Fields, field); f != nil {
		return f.Actions
	}
	return nil
}

// act sets a field by the call that there is for its value.
func (c *change) act(ctx context.Context, f objects.FieldChange) (did bool, err error) {
	all := actionsOf(c.kind, f.Path)
	i := slices.IndexFunc(all, func(a objects.Action) bool { return a.Value == f.After })
	if i < 0 {
		return false, fmt.Errorf("there is no call that makes %s %s", f.Path, show(f.After))
	}
	p := c.place()
	p.path = all[i].Path
	part := c.only(f)
	did, err = c.send(ctx, sending{
		method: http.MethodPost, place: p, repeat: rest.AfterLook, bare: true,
		prepare: func(ctx context.Context) (raw, error) {
			o, live, err := c.look(ctx)
			switch {
			case err != nil:
				return nil, err
			case live == nil:
				return nil, c.check(nil, &part)
			case at(o, f.Path) == f.After && c.checked:
				return nil, objects.ErrAlready
			case c.checked: // what it was is decided by what we did so far
				return nil, nil
			}
			return nil, c.check(live, &part)
		},
	})
	return did, wrap(err, "setting %s to %s", f.Path, show(f.After))
}

// show returns a value as JSON.
func show(v any) string {
	s, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return text.OneLine(string(s), 200)
}

// readBack makes sure that the object is as it is wanted.
func (c *change) readBack(ctx context.Context) error {
	return c.settle(ctx, func(ctx context.Context) error {
		_, live, err := c.look(ctx)
		switch {
		case err != nil:
			return err
		case live == nil:
			return notYet("it is not there")
		}
		return c.wanted(live)
	})
}

// wanted returns nil if the object is as the difference wants it.
func (c *change) wanted(live *objects.LiveObject) error {
	err := c.d.Check(live)
	var moved *objects.MovedError
	switch {
	case errors.Is(err, objects.ErrAlready):
		return nil
	case errors.As(err, &moved) && len(moved.Fields) > 0:
		f := moved.Fields[0]
		return notYet("%s is %s", f.Path, show(f.After))
	}
	return notYet("it is as it was before")
}

// notYetError is what a write should have changed and, so far, hasn't.
type notYetError struct{ error }

func notYet(format string, args ...any) error { return &notYetError{fmt.Errorf(format, args...)} }

// settle looks, by check, whether a write has the effect that it should have, and
// again a few times if it hasn't. If the run is to stop, it has some seconds left.
func (c *change) settle(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	var err error
	for _, wait := range settling {
		if werr := web.Sleep(ctx, wait); werr != nil {
			return rest.Uncertain(wrap(werr, "reading back what was written"))
		}
		if err = check(ctx); err == nil {
			return nil
		}
		if !errors.As(err, new(*notYetError)) && !gone(err) || ctx.Err() != nil {
			return rest.Uncertain(wrap(err, "reading back what was written"))
		}
	}
	return text.WithHint(fmt.Errorf("the change was accepted, and does not read back as written: %w", err),
		"somebody else may change the object at the same time, or Okta ignores a field: run again, and compare")
}

// lasting returns a context that ends stopGrace after ctx does.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if web.Sleep(long, stopGrace) == nil {
			cancel()
		}
	})
	return long, func() {
		stop()
		cancel()
	}
}
