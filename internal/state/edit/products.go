package edit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// list is what an org, or the defaults of a file, say with a list of names.
type list struct {
	// node is the value that is written in the entry itself; nil if there is none.
	node *strictyaml.Node
	// names are those in force, and set reports whether anything says them.
	names []string
	set   bool
}

// listOf returns what an entry says. What is merged into it counts, and has no node.
func listOf(entry *strictyaml.Node, key string) list {
	l := list{node: entry.Get(key)}
	v := entry.Find(key)
	if v == nil {
		return l
	}
	l.set = true
	for _, item := range v.Items() {
		l.names = append(l.names, item.Text())
	}
	return l
}

// products are the lists that an org's products come from.
type products struct {
	entry
	domain                         string
	own, sets, defaults, defaultOf list
}

// lists returns the lists of an org.
func (w *workspace) lists(domain string) (products, error) {
	e, err := w.own(domain)
	if err != nil {
		return products{}, err
	}
	p := products{entry: e, domain: domain, own: listOf(e.node, keyProducts), sets: listOf(e.node, keySets)}
	if d := e.file.defaults(); d != nil {
		p.defaults, p.defaultOf = listOf(d, keyProducts), listOf(d, keySets)
	}
	return p, nil
}

// defaults returns the defaults of a file, or nil.
func (f *file) defaults() *strictyaml.Node {
	for _, doc := range f.patch.Documents() {
		if d := doc.Find(keyDefaults); d != nil && d.IsMapping() {
			return d
		}
	}
	return nil
}

// productSets returns the ids of the products of all sets, by their names.
func (w *workspace) productSets() map[string][]string {
	if w.sets != nil {
		return w.sets
	}
	members := map[string][]string{}
	for _, f := range w.files {
		for _, doc := range f.patch.Documents() {
			sets := doc.Find(keySets)
			if sets == nil {
				continue
			}
			for _, name := range sets.Keys() {
				members[name] = listOf(sets, name).names
			}
		}
	}
	all := map[string][]string{}
	var resolve func(name string, depth int) []string
	resolve = func(name string, depth int) []string {
		names, ok := members[name]
		if !ok || depth > len(members) {
			return []string{w.productID(name)}
		}
		var ids []string
		for _, m := range names {
			ids = append(ids, resolve(m, depth+1)...)
		}
		slices.Sort(ids)
		return slices.Compact(ids)
	}
	for name := range members {
		all[name] = resolve(name, 0)
	}
	w.sets = all
	return all
}

// productID returns the id of a product that manifests call by this name.
func (w *workspace) productID(name string) string {
	if id, ok := w.desired.Products[name]; ok {
		return id
	}
	return name
}

// choice is what an org's entry may say with one of its lists.
type choice struct {
	// keep leaves what is there, remove takes the key out. Otherwise the list is names.
	keep, remove bool
	names        []string
}

// in returns the list that is in force with the choice, and whether anything says it.
func (c choice) in(l list) ([]string, bool) {
	switch {
	case c.keep:
		return l.names, l.set
	case c.remove:
		return nil, false
	}
	return c.names, true
}

// cost returns how much has to be edited for a choice.
func (c choice) cost(l list) int {
	const key = 3 // of a new key
	switch {
	case c.keep:
		return 0
	case c.remove:
		return 2
	case l.node == nil:
		return key + len(c.names)
	case l.node.IsAlias():
		return key + len(c.names)
	}
	keep, add := divide(l.names, c.names)
	n := len(add)
	for _, k := range keep {
		if !k {
			n++
		}
	}
	return n
}

// divide returns which of the names stay, and which are added.
func divide(old, wanted []string) (keep []bool, add []string) {
	keep = make([]bool, len(old))
	for i, name := range old {
		keep[i] = slices.Contains(wanted, name)
	}
	for _, name := range wanted {
		if !slices.Contains(old, name) {
			add = append(add, name)
		}
	}
	return keep, add
}

// union returns the ids of an org's products, sorted; false if the lists contradict each
// other, or say nothing.
func (w *workspace) union(p *products, sets map[string][]string, own, ofSets choice) ([]string, bool) {
	names, set := own.in(p.own)
	setNames, setsSet := ofSets.in(p.sets)
	switch {
	case set && len(names) == 0 && len(setNames) > 0:
		return nil, false
	case !set && !setsSet:
		names, setNames = p.defaults.names, p.defaultOf.names
		if !p.defaults.set && !p.defaultOf.set {
			return nil, false
		}
	default:
		if !setsSet && (!set || len(names) > 0) {
			setNames = p.defaultOf.names
		}
		if !set {
			names = p.defaults.names
		}
	}
	ids := []string{}
	for _, name := range names {
		ids = append(ids, w.productID(name))
	}
	for _, name := range setNames {
		ids = append(ids, sets[name]...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), true
}

// within reports whether all ids are among the others.
func within(ids, others []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(others, id) })
}

// fit returns the names of a list whose products are all wanted.
func (w *workspace) fit(names, wanted []string) []string {
	fit := []string{}
	for _, name := range names {
		if slices.Contains(wanted, w.productID(name)) {
			fit = append(fit, name)
		}
	}
	return fit
}

func fitSets(names []string, sets map[string][]string, wanted []string) []string {
	fit := []string{}
	for _, name := range names {
		if within(sets[name], wanted) {
			fit = append(fit, name)
		}
	}
	return fit
}

// withSets returns set names with those more that cover the most of the missing ids, as
// long as one covers several.
func withSets(names []string, sets map[string][]string, wanted, have []string) []string {
	names, have = slices.Clone(names), slices.Clone(have)
	for {
		best, most := "", 1
		for _, name := range slices.Sorted(maps.Keys(sets)) {
			n := 0
			for _, id := range sets[name] {
				if !slices.Contains(have, id) {
					n++
				}
			}
			if n > most && within(sets[name], wanted) {
				best, most = name, n
			}
		}
		if best == "" {
			return names
		}
		names, have = append(names, best), append(have, sets[best]...)
	}
}

// editProducts has an org's entry say other products, in the way that edits the least.
func (w *workspace) editProducts(c *Change) error {
	p, err := w.lists(c.Org)
	if err != nil {
		return err
	}
	wanted := with(w.orgs[c.Org].Products, c.Enable, c.Disable)
	own, ofSets, ok := w.choose(&p, wanted)
	if !ok {
		return &unsayable{w.orgs[c.Org].Pos, "no list of this org can say it"}
	}
	w.choice(&p, keySets, p.sets, ofSets)
	w.choice(&p, keyProducts, p.own, own)
	return nil
}

// choose returns what the lists of an org have to say so that it has just the wanted
// products.
func (w *workspace) choose(p *products, wanted []string) (own, ofSets choice, found bool) {
	sets := w.productSets()
	have := w.orgs[p.domain].Products
	setNames := p.sets.names
	if !p.sets.set {
		setNames = p.defaultOf.names
	}
	fitting := fitSets(setNames, sets, wanted)
	var covered []string
	for _, name := range fitting {
		covered = append(covered, sets[name]...)
	}
	owns := []choice{{keep: true}, {remove: true}, {names: w.fit(p.own.names, wanted)}, {names: w.fit(p.defaults.names, wanted)}, {names: []string{}}}
	setsOf := []choice{{keep: true}, {remove: true}, {names: fitting}, {names: withSets(fitting, sets, wanted, append(covered, w.kept(have, wanted)...))}, {names: withSets(fitting, sets, wanted, covered)}, {names: []string{}}}
	best := -1
	for _, o := range owns {
		for _, s := range setsOf {
			if o.remove && p.own.node == nil || s.remove && p.sets.node == nil {
				continue
			}
			o, ok := w.complete(p, sets, o, s, wanted)
			if !ok {
				continue
			}
			if n := o.cost(p.own) + s.cost(p.sets); best < 0 || n < best {
				best, own, ofSets = n, o, s
			}
		}
	}
	return own, ofSets, best >= 0
}

// kept returns the ids that stay.
func (w *workspace) kept(have, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(have), func(id string) bool { return !slices.Contains(wanted, id) })
}

// complete adds to the own products of a choice what is missing, and reports whether the
// org then has just what is wanted.
func (w *workspace) complete(p *products, sets map[string][]string, own, ofSets choice, wanted []string) (choice, bool) {
	have, ok := w.union(p, sets, own, ofSets)
	if ok && slices.Equal(have, wanted) {
		return own, true
	}
	if own.remove {
		return own, false
	}
	names, set := own.in(p.own)
	if !set {
		names = p.defaults.names
	}
	own = choice{names: slices.Clone(names)}
	setNames, set := ofSets.in(p.sets)
	if !set {
		setNames = p.defaultOf.names
	}
	have = nil
	for _, name := range names {
		have = append(have, w.productID(name))
	}
	for _, name := range setNames {
		have = append(have, sets[name]...)
	}
	for _, id := range minus(wanted, have) {
		own.names = append(own.names, w.productName(id))
	}
	have, ok = w.union(p, sets, own, ofSets)
	return own, ok && slices.Equal(have, wanted)
}

// choice edits one of the lists of an org.
func (w *workspace) choice(p *products, key string, l list, c choice) {
	switch {
	case c.keep:
	case c.remove:
		l.node.Unshare()
		p.node.Remove(key)
	case l.node == nil:
		p.node.Unshare()
		p.node.Add(key, strictyaml.Flow(anyList(c.names)), after(key)...)
	case l.node.IsAlias():
		l.node.Unshare()
		l.node.Replace(anyList(c.names))
	default:
		l.node.Unshare()
		keep, add := divide(l.names, c.names)
		l.node.SetItems(keep, add)
	}
}

func anyList(names []string) []any {
	all := make([]any, len(names))
	for i, name := range names {
		all[i] = name
	}
	return all
}

// after returns the keys of an org behind the first of which a new key stands.
func after(key string) []string {
	order := []string{keyDomain, "id", "cell", keyStatus, keySets, keyProducts, "productPolicy", "mode", "protected", "labels", "owner", keyBaselines, "vars", "access", keyConfiguration}
	i := slices.Index(order, key)
	before := slices.Clone(order[:max(i, 0)])
	slices.Reverse(before)
	return before
}

// editStatus has an org's entry say another status.
func (w *workspace) editStatus(c *Change) error {
	e, err := w.own(c.Org)
	if err != nil {
		return err
	}
	e.node.Unshare()
	if n := e.node.Get(keyStatus); n != nil {
		n.Unshare()
		n.Replace(string(c.Status))
		return nil
	}
	e.node.Add(keyStatus, string(c.Status), after(keyStatus)...)
	return nil
}

// sharedStatus edits a status that several orgs have from one place.
func (e *editor) sharedStatus() {
	sharers := map[state.Pos][]*state.DesiredOrg{}
	for i := range e.desired.Orgs {
		o := &e.desired.Orgs[i]
		sharers[o.Places.At(keyStatus)] = append(sharers[o.Places.At(keyStatus)], o)
	}
	changes := map[state.Pos][]Change{}
	for _, c := range e.todo {
		if c.Status != "" {
			pos := e.orgs[c.Org].Places.At(keyStatus)
			changes[pos] = append(changes[pos], Change{Org: c.Org, Status: c.Status})
		}
	}
	for _, pos := range places(changes) {
		all := changes[pos]
		same := !slices.ContainsFunc(all, func(c Change) bool { return c.Status != all[0].Status })
		e.share(pos, all, len(sharers[pos]), same, "the status", func(n *strictyaml.Node) error {
			n.Replace(string(all[0].Status))
			return nil
		})
	}
}

// places returns the places of changes in their order.
func places[T any](all map[state.Pos]T) []state.Pos {
	return slices.SortedFunc(maps.Keys(all), state.Pos.Compare)
}

// share edits a place that several orgs share, if they are all to change in the same way.
// If not, or if that isn't possible, a note says so, and the orgs stay to be edited.
func (e *editor) share(pos state.Pos, all []Change, sharers int, same bool, what string, edit func(*strictyaml.Node) error) {
	if sharers < 2 {
		return
	}
	if len(all) == sharers && same {
		err := e.try(all, func() error {
			n := e.at(pos)
			if n == nil {
				return fmt.Errorf("nothing was found at %s", pos)
			}
			return edit(n)
		})
		if err == nil {
			e.finish(all)
			e.note(pos, "%s of %s: edited in the one place that they share", what, text.Plural(sharers, "org"))
			return
		}
	}
	if same && len(all) == sharers {
		e.note(pos, "%s: edited at %s, because more hangs on the place that they share", what, orgsOf(all))
		return
	}
	e.note(pos, "%s comes from a place that %s share, and not all of them change in the same way: edited at %s", what, text.Plural(sharers, "org"), orgsOf(all))
}

// orgsOf returns the orgs of changes: the one, or how many.
func orgsOf(all []Change) string {
	if len(all) == 1 {
		return all[0].Org
	}
	return text.Plural(len(all), "org")
}

// sharedProducts edits lists of products that several orgs share.
func (e *editor) sharedProducts() {
	e.sharedRemovals()
	e.sharedAdditions()
}

// sharedRemovals takes products out of lists.
func (e *editor) sharedRemovals() {
	type product struct {
		pos state.Pos
		id  string
	}
	changes := map[product][]Change{}
	for _, c := range e.todo {
		for _, id := range c.Disable {
			key := product{e.orgs[c.Org].ProductPos.At(id), id}
			changes[key] = append(changes[key], Change{Org: c.Org, Disable: []string{id}})
		}
	}
	keys := slices.SortedFunc(maps.Keys(changes), func(a, b product) int { return -a.pos.Compare(b.pos) })
	for _, key := range keys { // from behind, so that the places stay where they are
		sharers := 0
		for i := range e.desired.Orgs {
			if e.desired.Orgs[i].ProductPos.At(key.id) == key.pos {
				sharers++
			}
		}
		e.share(key.pos, changes[key], sharers, true, "product "+e.productName(key.id), func(n *strictyaml.Node) error {
			items := n.Parent().Items()
			keep := make([]bool, len(items))
			for i, item := range items {
				keep[i] = item != n
			}
			n.Parent().SetItems(keep, nil)
			return nil
		})
	}
}

// addition is a list that several orgs share, and what can be added to it.
type addition struct {
	what  string
	node  *strictyaml.Node
	name  string
	ids   []string
	users []string
}

// sharedAdditions adds products to lists, as long as that makes all that share one of
// them change as they are to.
func (e *editor) sharedAdditions() {
	tried := map[string]bool{}
	for {
		all := e.additions()
		slices.SortStableFunc(all, func(a, b addition) int {
			return len(b.ids)*len(b.users) - len(a.ids)*len(a.users)
		})
		i := slices.IndexFunc(all, func(a addition) bool { return !tried[a.what+"\x00"+a.name] })
		if i < 0 {
			return
		}
		a := all[i]
		tried[a.what+"\x00"+a.name] = true
		changes := make([]Change, len(a.users))
		for i, domain := range a.users {
			for _, id := range a.ids {
				if c := e.wants(domain); slices.Contains(c.Enable, id) {
					changes[i].Enable = append(changes[i].Enable, id)
				}
			}
			changes[i].Org = domain
		}
		pos := a.node.Pos()
		err := e.try(changes, func() error {
			items := a.node.Items()
			keep := make([]bool, len(items))
			for i := range keep {
				keep[i] = true
			}
			a.node.SetItems(keep, []string{a.name})
			return nil
		})
		if err == nil {
			e.finish(changes)
			e.note(pos, "%s of %s: edited in the one place that they share, %s", a.name, text.Plural(len(a.users), "org"), a.what)
		}
	}
}

// wants returns what is still to be done for the products and the status of an org.
func (e *editor) wants(domain string) *Change {
	for _, c := range e.todo {
		if c.Org == domain && c.Object == nil {
			return c
		}
	}
	return &Change{}
}

// additions returns what can be added to shared lists.
func (e *editor) additions() []addition {
	enable := map[string][]string{}
	for _, c := range e.todo {
		if len(c.Enable) > 0 {
			enable[c.Org] = c.Enable
		}
	}
	if len(enable) < 2 {
		return nil
	}
	sets := e.productSets()
	usersOf := map[string][]string{}            // by the name of a set
	defaults := map[*file]map[string][]string{} // by file and key
	for i := range e.desired.Orgs {
		domain := e.desired.Orgs[i].Domain
		p, err := e.lists(domain)
		if err != nil {
			return nil
		}
		names := p.sets.names
		if defaults[p.file] == nil {
			defaults[p.file] = map[string][]string{}
		}
		if !p.sets.set && (!p.own.set || len(p.own.names) > 0) {
			names = p.defaultOf.names
			defaults[p.file][keySets] = append(defaults[p.file][keySets], domain)
		}
		if !p.own.set {
			defaults[p.file][keyProducts] = append(defaults[p.file][keyProducts], domain)
		}
		for _, name := range names {
			usersOf[name] = append(usersOf[name], domain)
		}
	}
	var all []addition
	add := func(a addition) {
		if a.node == nil || !a.node.IsList() || len(a.users) < 2 {
			return
		}
		for _, domain := range a.users {
			if !within(a.ids, slices.Concat(enable[domain], e.orgs[domain].Products)) || !slices.ContainsFunc(a.ids, func(id string) bool { return slices.Contains(enable[domain], id) }) {
				return
			}
		}
		all = append(all, a)
	}
	ids := map[string]bool{}
	for _, some := range enable {
		for _, id := range some {
			ids[id] = true
		}
	}
	for _, f := range e.files {
		d := f.defaults()
		if d == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(sets)) {
			if len(sets[name]) > 0 {
				add(addition{"the defaults of " + f.name, d.Find(keySets), name, sets[name], defaults[f][keySets]})
			}
		}
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			add(addition{"the defaults of " + f.name, d.Find(keyProducts), e.productName(id), []string{id}, defaults[f][keyProducts]})
		}
	}
	for _, f := range e.files {
		for _, doc := range f.patch.Documents() {
			node := doc.Find(keySets)
			if node == nil {
				continue
			}
			for _, name := range node.Keys() {
				for _, id := range slices.Sorted(maps.Keys(ids)) {
					add(addition{"the set " + strings.TrimSpace(name), node.Find(name), e.productName(id), []string{id}, usersOf[name]})
				}
			}
		}
	}
	return all
}
