package objects

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// made is an org that obeys: what is written to it is what it then has.
type made struct {
	*org
	next int
}

// make fills the org with what is declared, as the API would have it.
func (m *made) make(t *rapid.T, d *Declared) {
	for _, o := range d.Objects {
		m.create(t, &Difference{Op: Create, Ref: o.Ref, Fields: created(o)})
	}
}

func (m *made) create(t *rapid.T, d *Difference) {
	k := d.Ref.Kind
	raw, err := d.Overlay(nil, m.id)
	if err != nil {
		t.Fatal(err)
	}
	if !k.Setting {
		m.next++
		raw["id"] = fmt.Sprintf("id%d", m.next)
		m.know(k, d.Ref.Name, raw["id"].(string))
	}
	if k == groups {
		raw["type"] = "OKTA_GROUP"
	}
	if k.Typed || k.Parent != nil {
		raw["priority"] = float64(m.next)
		raw["system"] = false
	}
	if k.Typed || k.Parent != nil || k == groupRules {
		if c, ok := raw["conditions"].(map[string]any); ok {
			p, _ := c["people"].(map[string]any)
			if p != nil {
				p["users"] = map[string]any{"exclude": []any{"00u1"}}
			}
		}
	}
	raw["_links"] = map[string]any{"self": map[string]any{"href": "x"}}
	raw["lastUpdated"] = "2026-01-01T00:00:00.000Z"
	raw["notInOurTable"] = []any{"kept", 1.0}
	m.raw = append(m.raw, rawObject{kind: k, typ: d.Ref.Type, parent: d.Ref.Parent, body: raw})
}

func (m *made) find(ref Ref) int {
	return slices.IndexFunc(m.raw, func(r rawObject) bool {
		return r.kind == ref.Kind && r.typ == ref.Type && r.parent == ref.Parent && r.kind.KeyOf(r.body) == ref.Name
	})
}

// write makes a difference as a client does.
func (m *made) write(t *rapid.T, d *Difference) {
	switch d.Op {
	case Create:
		m.create(t, d)
	case Delete:
		i := m.find(d.Ref)
		m.raw = slices.DeleteFunc(m.raw, func(r rawObject) bool {
			return r.kind.Parent == d.Ref.Kind && r.typ == d.Ref.Type && r.parent == d.Ref.Name
		})
		m.raw = slices.Delete(m.raw, i, i+1)
	case Update:
		i := m.find(d.Ref)
		sent, err := d.Overlay(m.raw[i].body, m.id)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range m.raw[i].body {
			if f := m.raw[i].kind.index[name]; f != nil && f.ReadOnly {
				sent[name] = v
			}
		}
		m.raw[i].body = sent
	case Reorder:
		m.reorder(d)
	}
}

func (m *made) reorder(d *Difference) {
	var at []int
	for i, r := range m.raw {
		if r.kind == d.Ref.Kind && r.typ == d.Ref.Type && r.parent == d.Ref.Parent {
			at = append(at, i)
		}
	}
	var moved []rawObject
	for _, name := range d.Fields[0].After.([]any) {
		ref := d.Ref
		ref.Name = name.(string)
		moved = append(moved, m.raw[m.find(ref)])
	}
	for i, r := range moved {
		m.raw[at[i]] = r
	}
}

func newMade() *made { return &made{org: &org{ids: map[string]map[string]string{}}} }

// TestApplyThenCompare writes the differences between a random org and a random
// declaration, and finds none afterwards.
func TestApplyThenCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMade()
		m.make(t, genDeclared(t, "live", false))
		before := m.decode()
		declared := genDeclared(t, "declared", true)
		c, err := Compare(declared, before)
		if err != nil {
			t.Fatal(err)
		}
		after := After(before, c.Differences)
		for i := range c.Differences {
			d := &c.Differences[i]
			if d.Op != Reorder {
				if err := d.Check(m.liveOf(d.Ref)); err != nil {
					t.Fatalf("before writing %s %s: %v", d.Op, d.Ref, err)
				}
			}
			m.write(t, d)
			if d.Op != Reorder {
				if err := d.Check(m.liveOf(d.Ref)); !errors.Is(err, ErrAlready) {
					t.Fatalf("after writing %s %s: %v", d.Op, d.Ref, err)
				}
			}
		}
		for name, live := range map[string]*Live{"written": m.decode(), "predicted": after} {
			again, err := Compare(declared, live)
			if err != nil {
				t.Fatal(err)
			}
			if len(again.Differences) > 0 || again.Declared != len(declared.Objects) || again.InSync+len(c.Unfixable) < again.Declared {
				t.Errorf("%s:\n%s", name, lines(again))
			}
		}
		for _, r := range m.raw {
			if cmp.Diff(r.body["notInOurTable"], []any{"kept", 1.0}) != "" {
				t.Errorf("a field that isn't declared is lost: %v", r.body)
			}
		}
	})
}

func (m *made) liveOf(ref Ref) *LiveObject {
	for _, l := range m.decode().Objects {
		if l.Ref == ref {
			return l
		}
	}
	return nil
}

// TestOverlay checks that overlaying keeps what isn't declared, and that two overlays
// are the same as one with the fields of both.
func TestOverlay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMade()
		m.make(t, genDeclared(t, "live", false))
		c, err := Compare(genDeclared(t, "declared", false), m.decode())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range c.Differences {
			if d.Op != Update {
				continue
			}
			raw := m.raw[m.find(d.Ref)].body
			kept := cloneMapping(raw)
			whole, err := d.Overlay(raw, m.id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(kept, raw); diff != "" {
				t.Fatalf("raw is changed: %s", diff)
			}
			undeclared(t, d.Ref.Kind.index, typeOf(d.Ref, raw), raw, whole, nil, d.Fields)
			n := rapid.IntRange(0, len(d.Fields)).Draw(t, "part")
			first, second := d, d
			first.Fields, second.Fields = d.Fields[:n], d.Fields[n:]
			half, err := first.Overlay(raw, m.id)
			if err != nil {
				t.Fatal(err)
			}
			both, err := second.Overlay(half, m.id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(whole, both); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// undeclared checks that what no change is about is sent as it was read.
func undeclared(t *rapid.T, index map[string]*Field, typ string, raw, sent map[string]any, path []string, changes []FieldChange) {
	for name, v := range raw {
		at := append(slices.Clone(path), name)
		f := pick(index, typ, name, v)
		if f != nil && f.ReadOnly && !f.Echo {
			if _, ok := sent[name]; ok {
				t.Errorf("%v is sent", at)
			}
			continue
		}
		p := joinPath(at)
		below := slices.ContainsFunc(changes, func(c FieldChange) bool { return strings.HasPrefix(c.Path, p+".") })
		if slices.ContainsFunc(changes, func(c FieldChange) bool { return c.Path == p }) {
			continue
		}
		m, ok := v.(map[string]any)
		to, _ := sent[name].(map[string]any)
		if ok && below {
			undeclared(t, f.index, typ, m, to, at, changes)
		} else if diff := cmp.Diff(v, sent[name]); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
	}
}

func TestNormalizeTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, k := range all {
			for _, typ := range typesOf(k) {
				b := genBody(t, k, typ, "N", map[string][]string{"groups": {"G"}, "networkZones": {"Z"}, "behaviors": {"B"}})
				kept := cloneMapping(b)
				once := k.Normalize(b, nil)
				if diff := cmp.Diff(kept, b); diff != "" {
					t.Fatalf("the body is changed: %s", diff)
				}
				if diff := cmp.Diff(once, k.Normalize(once, nil)); diff != "" {
					t.Errorf("%s: %s", k.Name, diff)
				}
			}
		}
	})
}

// TestOrderOfInput compares shuffled input, and finds the same.
func TestOrderOfInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMade()
		m.make(t, genDeclared(t, "live", false))
		declared, live := genDeclared(t, "declared", true), m.decode()
		want, err := Compare(declared, live)
		if err != nil {
			t.Fatal(err)
		}
		declared = &Declared{Objects: shuffled(t, declared.Objects, func(o *Object) Ref { return o.Ref })}
		live = &Live{Objects: shuffled(t, live.Objects, func(l *LiveObject) Ref { return l.Ref })}
		got, err := Compare(declared, live)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
			t.Error(diff)
		}
	})
}

// shuffled returns the objects in another order, ordered ones in the same among
// themselves.
func shuffled[T any](t *rapid.T, objects []T, ref func(T) Ref) []T {
	mixed := rapid.Permutation(objects).Draw(t, "order")
	var places []int
	var ordered []T
	for i, o := range mixed {
		if ref(o).Kind.Ordered {
			places = append(places, i)
		}
	}
	for _, o := range objects {
		if ref(o).Kind.Ordered {
			ordered = append(ordered, o)
		}
	}
	for i, o := range ordered {
		mixed[places[i]] = o
	}
	return mixed
}

func TestCompareDeclaredWithItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDeclared(t, "declared", true)
		if c := CompareDeclared(d, d); len(c.Differences)+len(c.Unfixable) > 0 {
			t.Error(lines(c))
		}
	})
}

func TestParseRefReadsObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, o := range genDeclared(t, "declared", false).Objects {
			r := o.Ref
			if got, ok := ParseRef(Update, r.PlanKind(), r.Type, r.Parent, r.Object()); !ok || got != r {
				t.Errorf("got %v, %v, want %v", got, ok, r)
			}
			if g := r.group(); r.Kind.Ordered {
				if got, ok := ParseRef(Reorder, g.PlanKind(), g.Type, g.Parent, g.Object()); !ok || got != g {
					t.Errorf("got %v, %v, want %v", got, ok, g)
				}
			}
		}
	})
}
