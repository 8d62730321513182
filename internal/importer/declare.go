package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
)

// item is an object as it is written.
type item struct {
	ref            objects.Ref
	typ            string
	system, absent bool
	leaves         leaves
	notes          []string
	rules          []*item
}

// items returns what the baseline declares.
func (b *baseline) items() []*item {
	var all itemList
	for _, s := range b.objects {
		typ := s.ref.Type
		if t, ok := s.leaves["type"].(string); ok && typ == "" {
			typ = t
		}
		all.add(&item{ref: s.ref, typ: typ, system: s.system, leaves: s.leaves, notes: s.notes})
	}
	return all.items
}

// items returns what the org declares besides its baselines. What they declare is named
// where something new stands before it, or a rule is new in it.
func (m *member) items() []*item {
	base := m.baseLeaves()
	own := map[*entry]*item{}
	name := func(e *entry) {
		for ; e != nil && own[e] == nil; e = e.policy {
			own[e] = &item{ref: e.ref, typ: e.typ(), system: e.system}
		}
	}
	gone := map[objects.Ref][]*item{} // by policy
	var all itemList
	for _, b := range m.missing() {
		i := &item{ref: b.Ref, typ: b.Ref.Type, absent: true, notes: []string{"a baseline declares it, and the org doesn't have it"}}
		if policy := policyOf(b.Ref); policy.Kind != nil {
			gone[policy] = append(gone[policy], i)
		} else {
			all.add(i)
		}
	}
	waiting := map[objects.Ref]bool{} // whether something new waits for its place
	for _, e := range m.entries {
		if i := m.item(e, base); i != nil {
			own[e] = i
			name(e.policy)
		}
		if gone[e.ref] != nil {
			name(e)
		}
		if e.ordered() {
			_, shared := base[e.ref]
			if shared && waiting[siblings(e.ref)] {
				name(e)
			}
			waiting[siblings(e.ref)] = !shared
		}
	}
	for _, e := range m.entries {
		if own[e] != nil {
			all.add(own[e])
		}
		for _, i := range gone[e.ref] {
			all.add(i)
		}
	}
	return all.items
}

// baseLeaves returns what the org gets from baselines.
func (m *member) baseLeaves() map[objects.Ref]leaves {
	base := map[objects.Ref]leaves{}
	for _, b := range m.base {
		if !b.Absent {
			base[b.Ref] = leavesOf(b.Body)
		}
	}
	for ref, s := range m.shared {
		base[ref] = s.leaves
	}
	return base
}

// item returns what the org itself has to declare of an entry; nil if nothing.
func (m *member) item(e *entry, base map[objects.Ref]leaves) *item {
	i := &item{ref: e.ref, typ: e.typ(), system: e.system, leaves: e.leaves, notes: e.notes}
	has, ok := base[e.ref]
	if !ok {
		return i
	}
	i.leaves = e.over(has)
	// What a baseline leaves out of an object is said there.
	i.notes = nil
	if s := m.shared[e.ref]; s != nil {
		i.notes = slices.DeleteFunc(slices.Clone(e.notes), func(note string) bool { return slices.Contains(s.notes, note) })
	}
	if len(i.leaves) > 0 {
		return i
	}
	for _, note := range i.notes {
		k := topKind(e.ref.Kind)
		m.notes[k] = append(m.notes[k], fmt.Sprintf("%s %q: %s", e.ref.Kind.Title, line(e.ref.Object()), note))
	}
	return nil
}

// missing returns what the baselines declare and the org doesn't have.
func (m *member) missing() []*objects.Object {
	live := map[objects.Ref]bool{}
	for _, o := range m.live.Objects {
		live[o.Ref] = true
	}
	lacks := map[*objects.Kind]bool{}
	for _, l := range m.live.Lacks {
		lacks[l.Kind] = true
	}
	var all []*objects.Object
	for _, b := range m.base {
		policy := policyOf(b.Ref)
		if b.Absent || b.System || b.Variable || m.variable[policy] || live[b.Ref] || lacks[b.Ref.Kind] || b.Ref.Kind.Setting || b.Ref.Kind.Fixed || policy.Kind != nil && !live[policy] {
			continue
		}
		all = append(all, b)
	}
	return all
}

// over returns what has to be laid over base to get the entry.
func (e *entry) over(base leaves) leaves {
	out := leaves{}
	for p, v := range e.leaves {
		if has, ok := base[p]; !ok || !same(has, v) {
			out[p] = v
		}
	}
	for p, v := range base {
		if v == nil || e.has(p) {
			continue
		}
		if q, ok := e.clear(p); ok {
			out[q] = nil
		} else if f := fieldAt(e.ref, e.typ(), p); f != nil && f.Type == objects.List && !f.Required && !hollow(v) {
			out[p] = []any{}
		}
	}
	return out
}

// itemList puts rules into their policies.
type itemList struct {
	items []*item
	byRef map[objects.Ref]*item
}

func (l *itemList) add(i *item) {
	if l.byRef == nil {
		l.byRef = map[objects.Ref]*item{}
	}
	policy := policyOf(i.ref)
	if policy.Kind == nil {
		l.items = append(l.items, i)
		l.byRef[i.ref] = i
		return
	}
	p := l.byRef[policy]
	if p == nil { // an earlier baseline has the policy: nothing new is to stand before it
		p = &item{ref: policy, typ: policy.Type}
		l.items = slices.Insert(l.items, 0, p)
		l.byRef[policy] = p
	}
	p.rules = append(p.rules, i)
}

// section is what is written of one kind, with its key.
type section struct {
	kind  *objects.Kind
	lines []string
}

// sections returns what is written of the items. Notes on kinds of which there is more
// stand with them, and are taken from notes. margin is how far to the right all of it is
// going to stand.
func sections(items []*item, notes map[*objects.Kind][]string, margin int) []section {
	byKind := map[*objects.Kind][]*item{}
	for _, i := range items {
		if i.ref.Kind.Setting && len(i.leaves) == 0 { // a key needs a value
			for _, note := range i.notes {
				notes[i.ref.Kind] = append(notes[i.ref.Kind], i.ref.Kind.Name+"."+note)
			}
			continue
		}
		byKind[i.ref.Kind] = append(byKind[i.ref.Kind], i)
	}
	var all []section
	for _, k := range objects.Kinds() {
		if len(byKind[k]) == 0 {
			continue
		}
		w := &lineWriter{margin: margin}
		if k.Setting {
			w.margin += 2
			w.setting(k, byKind[k][0])
		} else {
			w.add(0, k.Name+":")
			for _, i := range byKind[k] {
				w.object(i, 2)
			}
			w.comments(notes[k], 2)
			delete(notes, k)
		}
		all = append(all, section{k, w.lines})
	}
	return all
}

// setting writes a setting with its key.
func (w *lineWriter) setting(k *objects.Kind, i *item) {
	if len(i.notes) == 0 {
		w.pairAt(pair{k.Name, i.leaves.body(), &objects.Field{Fields: k.Fields}, i.typ}, 0)
		return
	}
	w.add(0, k.Name+":")
	w.comments(i.notes, 2)
	w.block(i.leaves.body(), k.Fields, i.typ, 2)
}

// lineWriter writes lines of YAML.
type lineWriter struct {
	lines  []string
	margin int
}

func (w *lineWriter) add(indent int, s string) {
	w.lines = append(w.lines, strings.Repeat(" ", indent)+s)
}

func (w *lineWriter) comments(notes []string, indent int) {
	for _, note := range notes {
		w.add(indent, "# "+line(note))
	}
}

// object writes an object as an item of a list.
func (w *lineWriter) object(i *item, indent int) {
	w.comments(i.notes, indent)
	pairs := i.pairs()
	if len(i.rules) == 0 {
		if s := "- " + flowPairs(pairs); w.fits(indent, s) {
			w.add(indent, s)
			return
		}
	}
	at := len(w.lines)
	for _, p := range pairs {
		w.pairAt(p, indent+2)
	}
	if len(i.rules) > 0 {
		w.add(indent+2, "rules:")
		for _, rule := range i.rules {
			w.object(rule, indent+4)
		}
	}
	first := w.lines[at]
	w.lines[at] = first[:indent] + "- " + first[indent+2:]
}

func (w *lineWriter) fits(indent int, s string) bool {
	return w.margin+indent+len([]rune(s)) <= maxColumn
}

// pair is a key with its value and what is known of the values below.
type pair struct {
	key   string
	value any
	field *objects.Field
	typ   string
}

// pairs returns the pairs of an object in the order of its table, the key first.
func (i *item) pairs() []pair {
	body := i.leaves.body()
	setPath(body, strings.Split(i.ref.Kind.Key, "."), i.ref.Name)
	if i.ref.Kind.Typed {
		body["type"] = i.ref.Type
	}
	top, _, _ := strings.Cut(i.ref.Kind.Key, ".")
	all := sortedPairs(body, i.ref.Kind.Fields, i.typ)
	at := slices.IndexFunc(all, func(p pair) bool { return p.key == top }) + 1
	if i.system {
		all = slices.Insert(all, at, pair{key: "system", value: true})
	}
	if i.absent {
		all = slices.Insert(all, at, pair{key: "absent", value: true})
	}
	return all
}

func setPath(m map[string]any, keys []string, v any) {
	for ; len(keys) > 1; keys = keys[1:] {
		inner, ok := m[keys[0]].(map[string]any)
		if !ok {
			inner = map[string]any{}
			m[keys[0]] = inner
		}
		m = inner
	}
	m[keys[0]] = v
}

// sortedPairs returns the pairs of a mapping in the order of its fields, others last.
func sortedPairs(m map[string]any, fields []objects.Field, typ string) []pair {
	var all []pair
	done := map[string]bool{}
	for i := range fields {
		f := objects.FindFor(fields, typ, fields[i].Name)
		if f == nil || done[f.Name] {
			continue
		}
		if v, ok := m[f.Name]; ok {
			done[f.Name] = true
			all = append(all, pair{f.Name, v, f, typ})
		}
	}
	var rest []pair
	for key, v := range m {
		if !done[key] {
			rest = append(rest, pair{key: key, value: v, typ: typ})
		}
	}
	slices.SortFunc(rest, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	return append(all, rest...)
}

func (p pair) fields() []objects.Field {
	if p.field == nil {
		return nil
	}
	if p.field.Elem != nil {
		return p.field.Elem.Fields
	}
	return p.field.Fields
}

func (w *lineWriter) pairAt(p pair, indent int) {
	key := literal(p.key) + ":"
	if s := key + " " + flow(p.value, p.fields(), p.typ); w.fits(indent, s) {
		w.add(indent, s)
		return
	}
	switch v := p.value.(type) {
	case map[string]any:
		w.add(indent, key)
		w.block(v, p.fields(), p.typ, indent+2)
	case []any:
		w.add(indent, key)
		for _, e := range v {
			w.item(e, p.fields(), p.typ, indent+2)
		}
	default:
		w.add(indent, key+" "+flow(v, nil, ""))
	}
}

// block writes the pairs of a mapping.
func (w *lineWriter) block(m map[string]any, fields []objects.Field, typ string, indent int) {
	for _, p := range sortedPairs(m, fields, typ) {
		w.pairAt(p, indent)
	}
}

// item writes an item of a list.
func (w *lineWriter) item(v any, fields []objects.Field, typ string, indent int) {
	m, ok := v.(map[string]any)
	if s := "- " + flow(v, fields, typ); !ok || len(m) == 0 || w.fits(indent, s) {
		w.add(indent, s)
		return
	}
	at := len(w.lines)
	w.block(m, fields, typ, indent+2)
	first := w.lines[at]
	w.lines[at] = first[:indent] + "- " + first[indent+2:]
}

// flow returns a value on one line.
func flow(v any, fields []objects.Field, typ string) string {
	switch x := v.(type) {
	case map[string]any:
		return flowPairs(sortedPairs(x, fields, typ))
	case []any:
		all := make([]string, len(x))
		for i, e := range x {
			all[i] = flow(e, fields, typ)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case string:
		return literal(x)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(x)
	case nil:
		return "null"
	default:
		return strictyaml.Scalar(fmt.Sprint(x))
	}
}

// literal returns a text as a manifest has it, in which a dollar begins a variable.
func literal(s string) string { return strictyaml.Scalar(strings.ReplaceAll(s, "$", "$$")) }

func flowPairs(pairs []pair) string {
	all := make([]string, len(pairs))
	for i, p := range pairs {
		all[i] = literal(p.key) + ": " + flow(p.value, p.fields(), p.typ)
	}
	return "{" + strings.Join(all, ", ") + "}"
}
