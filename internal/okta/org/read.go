package org

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/web/trace"
)

// Read reads the lists that a comparison needs, and then what objects depend on that are
// to get another status, after checking that the org has the id of target. The result is
// whole, or an error. If several lists fail, it is the error of the first kind in the order
// of Kinds, so that plans are deterministic. An org from which nothing comes is given up
// after twice Options.Timeout.
func (c *Client) Read(ctx context.Context, target objects.Target, what objects.Reads) (live *objects.Live, err error) {
	ctx, span := trace.Start(ctx, "org")
	span.Set("okta.org.domain", target.Domain)
	span.Set("okta.org.id", target.OrgID)
	span.Set("reconciler.part", "configuration")
	defer func() { span.End(err) }()
	ctx, stop := c.listen(ctx)
	live, err = c.readWhole(ctx, target, what)
	return live, stop(err)
}

func (c *Client) readWhole(ctx context.Context, target objects.Target, what objects.Reads) (*objects.Live, error) {
	s, err := c.start(ctx, target, what.Kinds)
	if err != nil {
		return nil, err
	}
	lists, err := s.readAll(ctx, what)
	if err != nil {
		return nil, err
	}
	names := index{}
	for _, l := range lists {
		names.add(l)
	}
	live := &objects.Live{OrgID: target.OrgID, Engine: s.engine}
	for _, l := range lists {
		if l.err != nil {
			reason, _ := Reason(l.err)
			live.Lacks = append(live.Lacks, objects.Lack{Kind: l.kind, List: l.title(), Reason: reason})
		}
		for _, o := range l.objects {
			var undeclarable map[string]string
			if what.All {
				undeclarable = l.kind.Undeclarable(o)
			}
			at := l.kind.Decode(o, l.typ, l.parentName, l.parent, names.name)
			at.Undeclarable = undeclarable
			live.Objects = append(live.Objects, at)
		}
	}
	if err := s.readNeeds(ctx, live, what.Statuses); err != nil {
		return nil, err
	}
	return live, nil
}

// reading is one list that was read, or a setting as a list of one.
type reading struct {
	kind    *objects.Kind
	typ     string // of the objects, or of their parent; empty where there are none
	builtIn bool   // the objects that Okta made have a list of their own
	// parent is the object that owns those on the list; parentName is its name.
	parent, parentName string
	// compared is set if the objects are only compared: they come without what that
	// doesn't look at.
	compared bool
	objects  []raw
	err      error
	children []*reading // the lists of its objects, in their order
}

// ref returns what an object of the list is called.
func (l *reading) ref(o raw) objects.Ref {
	return objects.Ref{Kind: l.kind, Type: l.typ, Parent: l.parentName, Name: l.kind.KeyOf(o)}
}

// readAll reads all lists at once; how many calls that are at a time is the caller's
// matter. The lists are in the order of the kinds, each before those of its objects.
func (s *session) readAll(ctx context.Context, what objects.Reads) ([]*reading, error) {
	var all []*reading
	for _, k := range what.Kinds {
		if !k.Typed {
			all = append(all, &reading{kind: k, compared: true})
		}
		if k.API.BuiltInQuery != "" && what.BuiltIn {
			all = append(all, &reading{kind: k, compared: true, builtIn: true})
		}
		for _, typ := range what.Types[k] {
			all = append(all, &reading{kind: k, compared: true, typ: typ})
		}
	}
	s.each(ctx, all, func(ref objects.Ref) bool { return what.All || what.Parents[ref] })
	var flat []*reading
	for _, l := range all {
		flat = append(flat, l)
		flat = append(flat, l.children...)
	}
	for _, l := range flat {
		if l.err != nil && !(what.All && lacking(l.err)) {
			return nil, wrap(l.err, "reading %s", l.title())
		}
	}
	slices.SortStableFunc(flat, func(a, b *reading) int { return cmp.Compare(rank(a.kind), rank(b.kind)) })
	return flat, nil
}

// lacking reports whether an org refused a list because it has no such objects.
func lacking(err error) bool {
	var e *rest.Error
	return errors.As(err, &e) && e.Code == codeNoFeature
}

// rank returns the place of a kind in the order in which kinds are written.
func rank(k *objects.Kind) int { return slices.Index(objects.Kinds(), k) }

// title returns what a list is called in errors.
func (l *reading) title() string {
	switch {
	case l.parent != "":
		return l.kind.Name + " of " + l.typ + " " + l.parentName
	case l.kind.Typed:
		return l.kind.Name + " of type " + l.typ
	case l.kind.Setting:
		return objects.Settings + "." + l.kind.Name
	}
	return l.kind.Name
}

// each reads the lists, and the children of those of their objects that owns selects;
// nil selects none.
func (s *session) each(ctx context.Context, lists []*reading, owns func(objects.Ref) bool) {
	var group sync.WaitGroup
	for _, l := range lists {
		group.Go(func() {
			defer rest.Recover(s.log, "reading the org", &l.err)
			if l.err = s.read(ctx, l); l.err == nil && owns != nil {
				l.children = childrenOf(l, owns)
				s.each(ctx, l.children, nil)
			}
		})
	}
	group.Wait()
}

// childrenOf returns the lists to read of the objects of a list that owns selects.
func childrenOf(l *reading, owns func(objects.Ref) bool) []*reading {
	var lists []*reading
	for _, k := range objects.Kinds() {
		if k.Parent != l.kind {
			continue
		}
		for _, o := range l.objects {
			if ref := l.ref(o); owns(ref) {
				id, _ := o["id"].(string)
				lists = append(lists, &reading{kind: k, typ: l.typ, parent: id, parentName: ref.Name, compared: l.compared})
			}
		}
	}
	return lists
}

// read reads one list, or a setting.
func (s *session) read(ctx context.Context, l *reading) (err error) {
	if l.kind.Setting {
		o, err := s.one(ctx, collection(l.kind, ""))
		l.objects = []raw{o}
		return err
	}
	l.objects, err = s.list(ctx, l)
	if l.kind.Ordered {
		sortByPriority(l.objects)
	}
	return err
}

// sortByPriority sorts objects by their priorities; where several have the same one,
// the order of the list counts.
func sortByPriority(all []raw) {
	slices.SortStableFunc(all, func(a, b raw) int { return cmp.Compare(priority(a), priority(b)) })
}

// priority returns the place of an object; one without comes last.
func priority(o raw) float64 {
	if n, ok := o["priority"].(float64); ok {
		return n
	}
	return math.Inf(1)
}
