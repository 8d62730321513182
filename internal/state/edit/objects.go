package edit

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Keys of objects in manifests.
const (
	keyAbsent = "absent"
	keyRules  = "rules"
	keyType   = "type"
)

// declared returns what an org declares of an object; nil if nothing.
func (w *workspace) declared(domain string, ref objects.Ref) *objects.Object {
	o := w.orgs[domain]
	if o == nil || o.Config == nil {
		return nil
	}
	for _, d := range o.Config.Objects {
		if d.Ref == ref {
			return d
		}
	}
	return nil
}

// spot is a value in the manifests that an object of an org comes from: a field, or with
// an empty path the whole entry.
type spot struct {
	pos  state.Pos
	path string
}

// spots returns how many orgs have each value.
func (w *workspace) spots() map[spot]int {
	if w.counted != nil {
		return w.counted
	}
	all := map[spot]int{}
	w.counted = all
	for i := range w.desired.Orgs {
		c := w.desired.Orgs[i].Config
		if c == nil {
			continue
		}
		for _, o := range c.Objects {
			all[spot{o.Pos, ""}]++
			for path, pos := range o.Places {
				all[spot{pos, path}]++
			}
		}
	}
	return all
}

// sharedObjects edits objects in baselines, and in other places that several orgs share.
func (e *editor) sharedObjects() {
	changes := map[spot][]Change{}
	values := map[spot]map[string]bool{} // what they are to become
	add := func(s spot, value string, c Change) {
		if changes[s] == nil {
			values[s] = map[string]bool{}
		}
		changes[s] = append(changes[s], c)
		values[s][value] = true
	}
	for _, c := range e.todo {
		if c.Object == nil {
			continue
		}
		o := e.declared(c.Org, c.Object.Ref)
		if o == nil || o.Absent != c.Object.Present {
			continue
		}
		if c.Object.Absent || c.Object.Present {
			add(spot{o.Pos, ""}, fmt.Sprint(c.Object.Absent, c.Object.Fields), Change{Org: c.Org, Object: c.Object})
			continue
		}
		for _, f := range c.Object.Fields {
			if pos, ok := o.Places[f.Path]; ok {
				add(spot{pos, f.Path}, strictyaml.Flow(f.After), Change{Org: c.Org, Object: &Object{Ref: c.Object.Ref, Fields: []objects.FieldChange{f}}})
			}
		}
	}
	// From behind, so that the places stay where they are.
	order := slices.SortedFunc(maps.Keys(changes), func(a, b spot) int { return cmp.Or(-a.pos.Compare(b.pos), strings.Compare(a.path, b.path)) })
	spots := e.spots()
	for _, s := range order {
		all := changes[s]
		object := all[0].Object
		what := object.Ref.String()
		if s.path != "" {
			what += ", " + s.path
		}
		if n := e.at(s.pos); n == nil || s.path != "" && variable(n) != nil {
			continue // it is left with its place
		}
		e.share(s.pos, all, spots[s], len(values[s]) == 1, what, func(n *strictyaml.Node) error {
			if s.path == "" {
				return e.editEntry(n, object)
			}
			e.editValue(n, object.Ref, s.path, object.Fields[0].After)
			return nil
		})
	}
}

// ownObjects has the entries of orgs say otherwise what could not be said in a shared
// place: one object of each org at a time, so that no edit disturbs another.
func (e *editor) ownObjects() {
	for {
		var failed []failure
		before := len(e.done)
		tried := map[*Change]bool{}
		for {
			var round []Change
			orgs := map[string]bool{}
			for _, c := range e.todo {
				if c.Object != nil && !tried[c] && !orgs[c.Org] {
					tried[c], orgs[c.Org] = true, true
					round = append(round, Change{Org: c.Org, Object: c.Object})
				}
			}
			if len(round) == 0 {
				break
			}
			failed = append(failed, e.tryAll(round, e.editObject)...)
		}
		if len(failed) > 0 && len(e.done) > before {
			continue // what hindered it may be gone
		}
		for _, f := range failed {
			e.leave(&f.change, e.placeOf(&f), reason(f.err))
		}
		return
	}
}

// editObject has an org declare an object otherwise.
func (e *editor) editObject(c *Change) error {
	own, err := e.own(c.Org)
	if err != nil {
		return err
	}
	o, want := e.declared(c.Org, c.Object.Ref), c.Object
	if o == nil && !want.Absent && !want.Present {
		return &unsayable{e.orgs[c.Org].Pos, "the manifests don't declare it"}
	}
	if o != nil {
		spots := e.spots()
		if want.Absent || want.Present {
			if n := e.at(o.Pos); n != nil && spots[spot{o.Pos, ""}] == 1 {
				return e.editEntry(n, want)
			}
		} else if rest, err := e.editFields(o, want, spots); err != nil || len(rest.Fields) == 0 {
			return err
		} else {
			want = rest
		}
	}
	return e.override(own.node, o, want)
}

// editFields edits the fields that no other org has, where they stand, and returns what
// is left.
func (e *editor) editFields(o *objects.Object, want *Object, spots map[spot]int) (*Object, error) {
	rest := &Object{Ref: want.Ref}
	for _, f := range want.Fields {
		pos, ok := o.Places[f.Path]
		n := e.at(pos)
		if !ok || n == nil {
			rest.Fields = append(rest.Fields, f)
			continue
		}
		if v := variable(n); v != nil {
			return nil, &unsayable{v.Pos(), "the value has variables"}
		}
		if spots[spot{pos, f.Path}] > 1 {
			rest.Fields = append(rest.Fields, f)
			continue
		}
		e.editValue(n, want.Ref, f.Path, f.After)
	}
	return rest, nil
}

// isVariable matches a text with a variable.
var isVariable = regexp.MustCompile(`(^|[^$])(\$\$)*\$\{`)

// variable returns the first text of a value that has a variable; nil if none has.
func variable(n *strictyaml.Node) *strictyaml.Node {
	t := n.Target()
	if t.IsScalar() && isVariable.MatchString(t.Text()) {
		return n
	}
	for _, item := range t.Items() {
		if v := variable(item); v != nil {
			return v
		}
	}
	for _, key := range t.Keys() {
		if v := variable(t.Get(key)); v != nil {
			return v
		}
	}
	return nil
}

// plainOf is the opposite of [state.Escape], of a value in a manifest.
func plainOf(v *strictyaml.Value) any {
	switch x := v.V.(type) {
	case strictyaml.Number:
		f, _ := x.Float()
		return f
	case string:
		return strings.ReplaceAll(x, "$$", "$")
	case []*strictyaml.Value:
		all := make([]any, len(x))
		for i, item := range x {
			all[i] = plainOf(item)
		}
		return all
	case strictyaml.Map[*strictyaml.Value]:
		all := make(map[string]any, len(x))
		for _, e := range x {
			all[e.Key] = plainOf(e.V)
		}
		return all
	default:
		return x
	}
}

// editValue has a value say another one. Items of a list, and keys of a mapping, that
// stay are left alone.
func (e *editor) editValue(n *strictyaml.Node, ref objects.Ref, path string, v any) {
	n.Unshare()
	switch x := v.(type) {
	case []any:
		if n.IsList() && e.editItems(n, ref, path, x) {
			return
		}
	case map[string]any:
		if n.IsMapping() && len(x) > 0 && e.editKeys(n, ref, path, x) {
			return
		}
	}
	n.Replace(state.Escape(v))
}

// editItems edits the items of a list, and reports whether that says what is wanted: the
// order of the list may matter.
func (e *editor) editItems(n *strictyaml.Node, ref objects.Ref, path string, wanted []any) bool {
	normal := func(item any) any { return normalItem(ref, path, item) }
	left := make([]any, len(wanted))
	for i, w := range wanted {
		left[i] = normal(w)
	}
	add := slices.Clone(wanted)
	items := n.Items()
	keep := make([]bool, len(items))
	result := []any{}
	for i, item := range items {
		have := normal(plainOf(item.Value()))
		j := slices.IndexFunc(left, func(w any) bool { return reflect.DeepEqual(w, have) })
		if keep[i] = j >= 0; keep[i] {
			left, add = slices.Delete(left, j, j+1), slices.Delete(add, j, j+1)
			result = append(result, have)
		}
	}
	result = append(result, left...)
	f := ref.Kind.FieldAt(ref.Type, path)
	if f == nil || !f.Set {
		for i, w := range wanted {
			if !reflect.DeepEqual(normal(w), result[i]) {
				return false
			}
		}
	}
	for i := range add {
		add[i] = state.Escape(add[i])
	}
	n.SetValues(keep, add)
	return true
}

// normalItem returns an item of a list of an object in normal form.
func normalItem(ref objects.Ref, path string, item any) any {
	names := objects.SplitPath(path)
	body := map[string]any{}
	if ref.Type != "" && ref.Kind.Typed {
		body[keyType] = ref.Type
	}
	var v any = ref.Kind.Normalize(set(body, names, []any{item}), nil)
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	if l, ok := v.([]any); ok && len(l) == 1 {
		return l[0]
	}
	return item
}

// editKeys edits the keys of a mapping, and reports whether it did.
func (e *editor) editKeys(n *strictyaml.Node, ref objects.Ref, path string, wanted map[string]any) bool {
	var gone []string
	for _, key := range n.Keys() {
		if _, ok := wanted[key]; !ok {
			gone = append(gone, key)
		}
	}
	kept := slices.DeleteFunc(n.Keys(), func(key string) bool { return slices.Contains(gone, key) })
	if len(kept) == 0 || slices.Contains(n.Keys(), "<<") {
		return false
	}
	slices.Reverse(kept)
	n.Remove(gone...)
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		inner := path + "." + strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(key)
		if below := n.Get(key); below != nil {
			if !reflect.DeepEqual(plainOf(below.Value()), wanted[key]) {
				e.editValue(below, ref, inner, wanted[key])
			}
			continue
		}
		n.Add(key, strictyaml.Flow(state.Escape(wanted[key])), kept...)
	}
	return true
}

// editEntry has the entry of an object declare it absent or present, with its fields.
func (e *editor) editEntry(n *strictyaml.Node, want *Object) error {
	n = n.Target()
	n.Unshare()
	path := strings.Split(want.Ref.Kind.Key, ".")
	if want.Absent {
		keepOnly(n, path[0], keyType)
		for below, rest := n.Get(path[0]), path[1:]; len(rest) > 0 && below != nil; below, rest = below.Get(rest[0]), rest[1:] {
			keepOnly(below.Target(), rest[0])
		}
		n.Add(keyAbsent, "true", path[0])
		return nil
	}
	if n.Get(keyAbsent) != nil {
		n.Remove(keyAbsent)
	}
	return setFields(e, n, want)
}

// keepOnly removes all other keys of a mapping.
func keepOnly(n *strictyaml.Node, keys ...string) {
	var gone []string
	for _, key := range n.Keys() {
		if !slices.Contains(keys, key) {
			gone = append(gone, key)
		}
	}
	if len(gone) > 0 {
		n.Remove(gone...)
	}
}

// setFields sets fields in the entry of an object.
func setFields(e *editor, n *strictyaml.Node, want *Object) error {
	tree := map[string]any{}
	for _, f := range want.Fields {
		tree = set(tree, objects.SplitPath(f.Path), f.After)
	}
	return e.lay(n, want.Ref, "", tree)
}

// lay lays values over those of a mapping: what the mapping has besides stays.
func (e *editor) lay(n *strictyaml.Node, ref objects.Ref, path string, tree map[string]any) error {
	var behind []string
	for _, key := range n.Keys() {
		if key != keyAbsent {
			behind = append(behind, key)
		}
	}
	slices.Reverse(behind)
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		inner := strings.TrimPrefix(path+"."+key, ".")
		below := n.Get(key)
		if below == nil {
			n.Add(key, strictyaml.Flow(state.Escape(tree[key])), behind...)
			continue
		}
		if v := variable(below); v != nil {
			return &unsayable{v.Pos(), "the value has variables"}
		}
		m, ok := tree[key].(map[string]any)
		if !ok || !below.IsMapping() {
			e.editValue(below, ref, inner, tree[key])
			continue
		}
		if err := e.lay(below, ref, inner, m); err != nil {
			return err
		}
	}
	return nil
}

// find returns the entry of an object in an org's own configuration; nil if there is
// none. name is how its name is written, before variables are replaced.
func (e *editor) find(org *strictyaml.Node, ref objects.Ref, name string) *strictyaml.Node {
	conf := org.Find(keyConfiguration)
	if conf == nil {
		return nil
	}
	if ref.Kind.Setting {
		if settings := conf.Find(objects.Settings); settings != nil {
			return settings.Find(ref.Kind.Name)
		}
		return nil
	}
	list := conf.Find(parentOf(ref).Kind.Name)
	if ref.Kind.Parent != nil {
		policy := e.find(org, parentOf(ref), ref.Parent)
		if policy == nil {
			return nil
		}
		list = policy.Find(keyRules)
	}
	if list == nil {
		return nil
	}
	for _, item := range list.Items() {
		if entry := item.Target(); entry.IsMapping() && isEntry(entry, ref, name) {
			return entry
		}
	}
	return nil
}

// isEntry reports whether an entry is that of an object.
func isEntry(n *strictyaml.Node, ref objects.Ref, name string) bool {
	if ref.Kind.Typed {
		if typ := n.Find(keyType); typ == nil || typ.Text() != ref.Type {
			return false
		}
	}
	for _, key := range strings.Split(ref.Kind.Key, ".") {
		if n = n.Find(key); n == nil {
			return false
		}
	}
	return n.Text() == name || normalName(ref.Kind, n.Text()) == ref.Name
}

// normalName returns a name in a manifest in the form in which objects are compared.
func normalName(k *objects.Kind, name string) string {
	return k.KeyOf(set(nil, strings.Split(k.Key, "."), strings.ReplaceAll(name, "$$", "$")))
}

// written returns how the name of an object is written where it is declared.
func (e *editor) written(o *objects.Object, ref objects.Ref) string {
	if o != nil {
		if n := e.at(o.Places[ref.Kind.Key]); n != nil && n.Text() != "" {
			return n.Text()
		}
	}
	name, _ := state.Escape(ref.Name).(string)
	return name
}

// field is a key of a new entry, with its value as YAML of one line.
type field struct{ key, value string }

// override adds what an org declares of an object to its own configuration.
func (e *editor) override(org *strictyaml.Node, o *objects.Object, want *Object) error {
	ref := want.Ref
	name := e.written(o, ref)
	if n := e.find(org, ref, name); n != nil {
		return e.editEntry(n, want)
	}
	tree := map[string]any{}
	for _, f := range want.Fields {
		tree = set(tree, objects.SplitPath(f.Path), state.Escape(f.After))
	}
	if want.Absent {
		tree = map[string]any{keyAbsent: true}
	}
	if ref.Kind.Setting {
		return configure(org, objects.Settings, nil, field{ref.Kind.Name, strictyaml.Flow(tree)})
	}
	entry := newEntry(ref, name, tree)
	if ref.Kind.Parent == nil {
		return configure(org, ref.Kind.Name, entry, field{})
	}
	policy := parentOf(ref)
	written := e.written(e.declared(strings.ToLower(org.Find(keyDomain).Text()), policy), policy)
	n := e.find(org, policy, written)
	switch {
	case n == nil:
		return configure(org, policy.Kind.Name, append(newEntry(policy, written, nil), field{keyRules, "[" + lineOf(entry) + "]"}), field{})
	case n.Get(keyRules) == nil:
		n.Add(keyRules, "["+lineOf(entry)+"]")
		return nil
	}
	return addEntry(n.Get(keyRules), entry)
}

// newEntry returns an entry with what tells which object it is, and more.
func newEntry(ref objects.Ref, name string, tree map[string]any) []field {
	path := strings.Split(ref.Kind.Key, ".")
	tree = set(tree, path, name)
	order := []string{path[0]}
	if ref.Kind.Typed {
		tree[keyType] = ref.Type
		order = []string{keyType, path[0]}
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		if !slices.Contains(order, key) {
			order = append(order, key)
		}
	}
	all := make([]field, len(order))
	for i, key := range order {
		all[i] = field{key, strictyaml.Flow(tree[key])}
	}
	return all
}

// lines returns the keys of an entry, one on each line.
func lines(entry []field) []string {
	all := make([]string, len(entry))
	for i, f := range entry {
		all[i] = strictyaml.Scalar(f.key) + ": " + f.value
	}
	return all
}

// lineOf returns an entry on one line, and linesOf on several if it is long.
func lineOf(entry []field) string { return "{" + strings.Join(lines(entry), ", ") + "}" }

func linesOf(entry []field) []string {
	const widest = 100
	if line := lineOf(entry); len(line) <= widest {
		return []string{line}
	}
	return lines(entry)
}

// addEntry adds an entry to a list.
func addEntry(list *strictyaml.Node, entry []field) error {
	switch {
	case !list.IsList() || list.Shared():
		return &unsayable{list.Pos(), "an alias repeats this list elsewhere"}
	case list.InFlow():
		list.AddItem([]string{lineOf(entry)})
	default:
		list.AddItem(linesOf(entry))
	}
	return nil
}

// configure adds an entry to a list of an org's configuration, or a setting to its
// settings, and what it takes for that.
func configure(org *strictyaml.Node, key string, entry []field, setting field) error {
	line, below := "["+lineOf(entry)+"]", []string(nil)
	if setting.key != "" {
		line, below = lineOf([]field{setting}), lines([]field{setting})
	} else {
		for i, l := range linesOf(entry) {
			below = append(below, []string{"- ", "  "}[min(i, 1)]+l)
		}
	}
	conf := org.Get(keyConfiguration)
	switch {
	case conf == nil && org.Find(keyConfiguration) != nil:
		return &unsayable{org.Pos(), "its configuration is merged into it"}
	case conf == nil:
		org.Unshare()
		if org.InFlow() {
			org.Add(keyConfiguration, "{"+strictyaml.Scalar(key)+": "+line+"}")
			return nil
		}
		all := []string{key + ":"}
		for _, l := range below {
			all = append(all, "  "+l)
		}
		org.AddBelow(keyConfiguration, all)
		return nil
	case !conf.IsMapping() || conf.Shared():
		return &unsayable{conf.Pos(), "an alias repeats this configuration elsewhere"}
	}
	list := conf.Get(key)
	switch {
	case list == nil && conf.InFlow():
		conf.Add(key, line)
	case list == nil:
		conf.AddBelow(key, below)
	case setting.key == "":
		return addEntry(list, entry)
	case !list.IsMapping():
		return &unsayable{list.Pos(), "an alias repeats these settings elsewhere"}
	default:
		list.Add(setting.key, setting.value)
	}
	return nil
}
