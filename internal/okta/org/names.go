package org

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/text"
)

// index has the names of objects by their kinds and ids.
type index map[string]map[string]string

// add adds the objects of a list.
func (x index) add(l *reading) {
	names := x[l.kind.Name]
	if names == nil {
		names = map[string]string{}
		x[l.kind.Name] = names
	}
	for _, o := range l.objects {
		id, _ := o["id"].(string)
		if name := l.kind.KeyOf(o); name != "" && id != "" {
			names[id] = name
		}
	}
}

// name returns the name of an object; its id if it has none or isn't there.
func (x index) name(kind, id string) string {
	if name, ok := x[kind][id]; ok {
		return name
	}
	return id
}

// at returns the value at a path, the keys of which are joined by dots; nil if there
// is none.
func at(o raw, path string) any {
	var v any = o
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(raw)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// known is what an Editor knows of the names of a kind.
type known struct {
	names map[string]string   // by id
	ids   map[string][]string // by name
	// builtIn is set once the list of the objects that Okta made was read.
	builtIn bool
}

// add adds an object.
func (k *known) add(id, name string) {
	if id == "" || name == "" || k.names[id] == name {
		return
	}
	k.names[id] = name
	k.ids[name] = append(k.ids[name], id)
}

// remove takes out an object.
func (k *known) remove(id string) {
	name := k.names[id]
	delete(k.names, id)
	k.ids[name] = slices.DeleteFunc(k.ids[name], func(other string) bool { return other == id })
}

// namesOf returns what is known of a kind, having read its lists if they weren't;
// nil if the kind is none of those that may be read.
func (e *Editor) namesOf(ctx context.Context, kind string) (*known, error) {
	k := objects.ByName(kind)
	if k == nil || !slices.Contains(e.what.Kinds, k) {
		return nil, nil
	}
	if n := e.known[k]; n != nil {
		return n, nil
	}
	lists := []*reading{{kind: k}}
	if k.Typed {
		lists = nil
		for _, typ := range e.what.Types[k] {
			lists = append(lists, &reading{kind: k, typ: typ})
		}
	}
	n := &known{names: map[string]string{}, ids: map[string][]string{}}
	for _, l := range lists {
		if err := e.learn(ctx, n, l); err != nil {
			return nil, err
		}
	}
	if e.what.BuiltIn {
		if err := e.learnBuiltIn(ctx, n, k); err != nil {
			return nil, err
		}
	}
	for ref, id := range e.made {
		if ref.Kind == k {
			n.add(id, ref.Name)
		}
	}
	e.known[k] = n
	return n, nil
}

// learn reads a list for its names.
func (e *Editor) learn(ctx context.Context, n *known, l *reading) error {
	e.loads++
	if err := e.read(ctx, l); err != nil {
		return wrap(err, "reading %s", l.title())
	}
	for _, o := range l.objects {
		id, _ := o["id"].(string)
		n.add(id, l.kind.KeyOf(o))
	}
	return nil
}

// learnBuiltIn reads the list of the objects that Okta made, where there is one.
func (e *Editor) learnBuiltIn(ctx context.Context, n *known, k *objects.Kind) error {
	if k.API.BuiltInQuery == "" || n.builtIn {
		return nil
	}
	n.builtIn = true
	return e.learn(ctx, n, &reading{kind: k, builtIn: true})
}

// namer returns a function that returns the name for an id, or the id itself, reading
// lists as it needs them. What goes wrong in there is in failed.
func (e *Editor) namer(ctx context.Context) (name func(kind, id string) string, failed *error) {
	failed = new(error)
	return func(kind, id string) string {
		if *failed != nil {
			return id
		}
		n, err := e.namesOf(ctx, kind)
		if err != nil {
			*failed = err
		}
		if n == nil {
			return id
		}
		return cmp.Or(n.names[id], id)
	}, failed
}

// idOf returns the id of the only object with this name.
func (e *Editor) idOf(ctx context.Context, kind, name string) (string, error) {
	n, err := e.namesOf(ctx, kind)
	if err != nil {
		return "", err
	}
	k := objects.ByName(kind)
	if k == nil || n == nil {
		return "", fmt.Errorf("%q can't be looked for: %s are not read", name, kind)
	}
	if len(n.ids[name]) == 0 {
		if err := e.learnBuiltIn(ctx, n, k); err != nil {
			return "", err
		}
	}
	switch ids := n.ids[name]; {
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > 1:
		return "", fmt.Errorf("%d objects are called %q among the org's %s: it can't be told which is meant", len(ids), name, kind)
	}
	return "", text.WithHint(fmt.Errorf("the org has no %s %q", k.Title, name), "declare it, or correct the name")
}
