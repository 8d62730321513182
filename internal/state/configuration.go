package state

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// baseline is a named configuration.
type baseline struct {
	value *strictyaml.Value
	pos   Pos
	layer layer
}

func (m *merger) baselines(doc *manifest) {
	for i := range doc.Baselines.V {
		e := &doc.Baselines.V[i]
		if err := checkName(e.Key); err != nil {
			m.errs.Add(e.Pos, "the name of a baseline %v", err)
			continue
		}
		first, dup := m.baselineOf[e.Key]
		switch {
		case !dup || first.value == nil:
			b := &baseline{pos: e.Pos}
			if e.V.OK() {
				b.value = &e.V.V.Value
			}
			m.baselineOf[e.Key] = b
		case e.V.OK() && !first.value.Same(&e.V.V.Value):
			m.errs.Add(e.Pos, "baseline %s has another content here than at %s", quote(e.Key), first.pos)
		}
	}
}

// readBaselines reads the layers of all baselines.
func (m *merger) readBaselines() {
	m.layers = newLayerReader(m)
	m.baselineNames = slices.Sorted(maps.Keys(m.baselineOf))
	for _, name := range m.baselineNames {
		b := m.baselineOf[name]
		if b.value == nil {
			continue
		}
		b.layer = m.layers.read(b.value)
		check := builder{m: m}
		for _, e := range b.layer {
			switch {
			case !e.variable:
				check.build(e)
			case e.unsure:
				m.checkLate(e, e.fields, e.typ(), m.errs.Add)
			}
		}
	}
}

// baselineStack returns the baselines of a list, laid over each other; nil for a list
// without any.
func (m *merger) baselineStack(list baselines) *laid {
	m.repeats("baselines", list)
	var key strings.Builder
	var found []*baseline
	seen := map[*baseline]bool{}
	for _, r := range list {
		name := string(r.V)
		b := m.baselineOf[name]
		if b == nil {
			if !m.incomplete {
				m.errs.Add(r.Pos, "unknown baseline %s%s", quote(name), m.hint(name, m.baselineNames, ": define it under baselines"))
			}
			continue
		}
		if !seen[b] {
			seen[b] = true
			found = append(found, b)
			key.WriteString(name + "\n")
		}
	}
	if len(found) == 0 {
		return nil
	}
	if l := m.stacks[key.String()]; l != nil {
		return l
	}
	l := &laid{}
	for _, b := range found {
		l = m.overlay(l, b.layer)
	}
	l.reindex()
	l.base, l.over = nil, nil
	m.stacks[key.String()] = l
	return l
}

// configure fills in what is declared of an org's own configuration.
// broken are the names of variables that have no value.
func (m *merger) configure(o *manifestOrg, d *DesiredOrg, def *defaults, broken map[string]bool) {
	stack := def.stack
	if o.Baselines.Set {
		stack = m.baselineStack(o.Baselines.V)
	}
	if o.Configuration.OK() {
		if over := m.layers.read(&o.Configuration.V.Value); len(over) > 0 {
			if stack == nil {
				stack = &laid{}
			}
			stack = m.overlay(stack, over)
		}
	}
	if m.spent(d.Pos) || stack == nil {
		return
	}
	if stack.declared == nil || !stack.sound {
		b := builder{m: m, org: d, vars: &variables{domain: d.Domain, labels: d.Labels, vars: d.Vars, broken: broken}}
		d.Config = b.declare(stack)
		m.spent(d.Pos)
		m.doubtful(d)
	} else if d.Config = stack.declared; d.Create != nil {
		m.doubtful(d)
	}
	if len(d.Config.Objects) == 0 || d.Status == Inactive {
		d.Config = nil
	}
}

// doubtful warns of objects that are hardly meant as they are declared. Of an org that is
// to be created it is known that they have to be created as well, unless Okta makes them.
func (m *merger) doubtful(d *DesiredOrg) {
	for _, c := range objects.Clashes(d.Config.Objects) {
		m.warn(cmp.Or(c.Second.Places[c.Path], c.Second.Pos), "the %s and the %s have one %s, %s, which Okta refuses", c.First.Ref, c.Second.Ref, c.Path, quote(c.Value))
	}
	created := d.Create != nil
	for _, o := range d.Config.Objects {
		if why := o.Doubt(created); why != "" {
			m.warn(o.Pos, "the %s %s", o.Ref, why)
		}
		if !created || o.Absent || o.System || o.Ref.Kind.Setting || o.Ref.Kind.Fixed {
			continue
		}
		if lacks := o.Lacks(); lacks != "" {
			m.warn(o.Pos, "the %s can't be created without %s, and orgs that are created begin without it", o.Ref, lacks)
		}
	}
}

// finalVars returns the org's variables with the variables in them replaced, and the names
// of those about whose values there are errors.
func (m *merger) finalVars(d *DesiredOrg) (all map[string]string, broken map[string]bool) {
	all, broken = d.Vars, m.broken
	copied := false
	scope := variables{domain: d.Domain, labels: d.Labels, broken: m.broken, inVar: true}
	for _, name := range slices.Sorted(maps.Keys(d.Vars)) {
		value := d.Vars[name]
		if !strings.Contains(value, "$") {
			continue
		}
		parsed, err := parseText(value)
		if t, ok := parsed.(template); ok && err == nil {
			parsed, err = scope.expand(t)
		}
		if err != nil {
			broken = maps.Clone(broken)
			broken[name] = true
			if !errors.Is(err, errBroken) {
				m.orgError(d, d.Places.At("vars."+name), "%v", err)
			}
			continue
		}
		if s := parsed.(string); s != value {
			if !copied {
				all, copied = maps.Clone(all), true
				m.spend(len(all))
			}
			all[name] = s
		}
	}
	return all, broken
}
