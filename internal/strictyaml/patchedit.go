package strictyaml

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Flow returns a value as YAML on one line: nil, a bool, a float64, a string, a []any or
// a map[string]any.
func Flow(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return Scalar(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = Flow(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		items := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			items = append(items, Scalar(key)+": "+Flow(v[key]))
		}
		return "{" + strings.Join(items, ", ") + "}"
	default:
		panic("strictyaml.Flow: not a value of JSON")
	}
}

// like returns s as a scalar that is quoted as another one is.
func like(s string, n *yaml.Node) string {
	switch {
	case n == nil || n.Kind != yaml.ScalarNode:
		return Scalar(s)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return strconv.Quote(s)
	case n.Style&yaml.SingleQuotedStyle != 0 && strconv.Quote(s) == `"`+s+`"`:
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return Scalar(s)
}

// Replace takes a value of the forms of [Flow] in the place of this one. A text stays
// quoted as it is, the anchor stays, and comments in what is replaced move in front of
// the line.
func (n *Node) Replace(v any) {
	p, at := n.patch, n.patch.begin(n.node)
	end := p.end(n.node)
	words := Flow(v)
	if s, ok := v.(string); ok {
		words = like(s, n.node)
	}
	if !n.IsScalar() && !n.IsAlias() && !p.inBrackets(n.node) {
		p.replaceBlock(n, words)
		return
	}
	if kept := p.comments(at, end, n.node); len(kept) > 0 {
		p.above(at, kept)
	}
	p.replace(at, end, words)
}

// above puts comments on lines of their own before the line of a place.
func (p *Patch) above(at int, comments []remark) {
	line := p.lineStart(at)
	margin := p.data[line:at]
	margin = margin[:len(margin)-len(bytes.TrimLeft(margin, " "))]
	p.replace(line, line, p.remarks(string(margin), comments))
}

// replaceBlock replaces a list or mapping in block style behind its key; its comments
// stay below, on lines of their own.
func (p *Patch) replaceBlock(n *Node, words string) {
	from, to := p.begin(n.node), p.end(n.node)
	first, stop := p.lineStart(from), p.lineEnd(to)
	if strings.TrimSpace(p.margin(from)) != "" { // behind a dash
		p.replace(from, to, words)
		return
	}
	p.replace(first, p.nextLine(to), p.remarks(p.margin(from), p.comments(first, stop, n.node)))
	p.behindKey(n, words)
}

// behindKey writes on the line of the key of a value.
func (p *Patch) behindKey(n *Node, words string) {
	key := n.parent.node.Content[2*n.index]
	at := p.skip(p.end(key), "") + 1 // behind the colon
	if n.node.Anchor != "" {
		at = p.start(n.node) + 1 + len(n.node.Anchor)
	}
	p.replace(at, at, " "+words)
}

// remarks returns comments as lines: those that had one of their own as they were, and
// the others with a margin.
func (p *Patch) remarks(margin string, all []remark) string {
	var b strings.Builder
	for _, r := range all {
		if r.own {
			b.WriteString(r.margin + r.text + p.eol)
		} else {
			b.WriteString(margin + r.text + p.eol)
		}
	}
	return b.String()
}

// element is an item of a list, or a key with its value.
type element struct {
	from, to int
	nodes    []*yaml.Node
}

// elements returns the parts of a collection. An item in block style begins at its dash.
func (p *Patch) elements(n *yaml.Node) []element {
	var all []element
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			all = append(all, element{p.start(k), p.pairEnd(k, v), []*yaml.Node{k, v}})
		}
		return all
	}
	for _, item := range n.Content {
		from := p.start(item)
		if !p.inBrackets(n) {
			from = bytes.LastIndexByte(p.data[:from], '-')
		}
		all = append(all, element{from, p.end(item), []*yaml.Node{item}})
	}
	return all
}

// SetItems keeps the items of a list for which keep is set, and adds texts behind them,
// quoted as the others are.
func (n *Node) SetItems(keep []bool, add []string) {
	var model *yaml.Node
	if len(n.node.Content) > 0 {
		model = n.node.Content[len(n.node.Content)-1]
	}
	words := make([]string, len(add))
	for i, s := range add {
		words[i] = like(s, model)
	}
	n.setItems(keep, words)
}

// SetValues is SetItems with values of the forms of [Flow].
func (n *Node) SetValues(keep []bool, add []any) {
	words := make([]string, len(add))
	for i, v := range add {
		words[i] = Flow(v)
	}
	n.setItems(keep, words)
}

func (n *Node) setItems(keep []bool, words []string) {
	p := n.patch
	if p.inBrackets(n.node) || len(n.node.Content) == 0 {
		p.setFlow(n.node, keep, words)
		return
	}
	all := p.elements(n.node)
	last := lastKept(keep)
	if last < 0 && len(words) == 0 {
		p.replaceBlock(n, "[]")
		return
	}
	margin := strings.Repeat(" ", p.column(all[0].from))
	var lines strings.Builder
	for _, w := range words {
		lines.WriteString(p.eol + margin + "- " + w)
	}
	for i, e := range all {
		if !keep[i] {
			p.removeLines(e, all, i)
		}
	}
	switch {
	case lines.Len() == 0:
	case last >= 0:
		p.below(all[last].to, p.column(all[0].from), lines.String())
	default: // nothing is left of the lines: the new ones stand where the first was
		first := p.lineStart(all[0].from)
		p.replace(first, first, strings.TrimPrefix(lines.String(), p.eol)+p.eol)
	}
}

// column returns how many characters stand before a place on its line.
func (p *Patch) column(at int) int { return len([]rune(p.margin(at))) }

func lastKept(keep []bool) int {
	for i, k := range slices.Backward(keep) {
		if k {
			return i
		}
	}
	return -1
}

// removeLines removes a part of a block. Its comments stay, on lines of their own.
func (p *Patch) removeLines(e element, all []element, i int) {
	margin := p.margin(e.from)
	if strings.TrimSpace(margin) == "" {
		p.replace(p.lineStart(e.from), p.nextLine(e.to), p.remarks(margin, p.comments(e.from, p.lineEnd(e.to), e.nodes...)))
		return
	}
	// Behind a dash: what follows takes its place.
	next := p.lineEnd(e.to)
	if i+1 < len(all) {
		next = all[i+1].from
	}
	var b strings.Builder
	for _, c := range p.comments(e.from, next, e.nodes...) {
		b.WriteString(c.text + p.eol + strings.Repeat(" ", p.column(e.from)))
	}
	p.replace(e.from, next, b.String())
}

// setFlow changes a collection in brackets.
func (p *Patch) setFlow(n *yaml.Node, keep []bool, words []string) {
	all := p.elements(n)
	last := lastKept(keep)
	text := strings.Join(words, ", ")
	if last < 0 {
		for _, e := range all {
			p.removeFlow(e)
		}
		at := p.begin(n) + 1
		p.replace(at, at, text)
		return
	}
	for i, e := range all[:last] {
		if !keep[i] {
			p.removeFlow(e)
		}
	}
	if text != "" {
		text = ", " + text
	}
	from, to := all[last].to, all[len(all)-1].to
	if !bytes.ContainsAny(p.data[from:to], "\r\n") {
		p.replace(from, to, text)
		return
	}
	p.replace(from, from, text)
	for _, e := range all[last+1:] {
		p.removeFlow(e)
	}
	if !p.commaBehind(to) { // and so none behind the one that is the last now
		comma := p.skip(from, "")
		p.replace(comma, comma+1, "")
	}
}

func (p *Patch) commaBehind(at int) bool {
	at = p.skip(at, "")
	return at < len(p.data) && p.data[at] == ','
}

// removeFlow removes a part of a collection in brackets, with the comma behind it, and
// the line if nothing else is on it.
func (p *Patch) removeFlow(e element) {
	from, to := e.from, e.to
	if p.commaBehind(to) {
		to = p.skip(to, "") + 1
	}
	kept := p.comments(from, to, e.nodes...)
	stop := p.lineEnd(to)
	rest := bytes.TrimLeft(p.data[to:stop], " \t")
	margin := p.margin(from)
	first := strings.TrimSpace(margin) == ""
	switch {
	case first && len(rest) == 0:
		p.replace(p.lineStart(from), p.nextLine(to), p.remarks(margin, kept))
		return
	case first && rest[0] == '#':
		p.replace(from, stop-len(rest), "")
	case len(rest) > 0 && rest[0] != '#' && rest[0] != ']' && rest[0] != '}':
		p.replace(from, stop-len(rest), "")
	default: // the last one of its line: the space before it goes as well
		if before := strings.TrimRight(margin, " \t"); strings.HasSuffix(before, ",") {
			from = p.lineStart(from) + len(before)
		}
		p.replace(from, to, "")
	}
	if len(kept) > 0 {
		p.above(from, kept)
	}
}

// Remove removes keys of the mapping, with their values. One at least has to stay.
func (n *Node) Remove(keys ...string) {
	p := n.patch
	keep := make([]bool, len(n.node.Content)/2)
	for i := range keep {
		keep[i] = !slices.Contains(keys, n.node.Content[2*i].Value)
	}
	if p.inBrackets(n.node) {
		p.setFlow(n.node, keep, nil)
		return
	}
	all := p.elements(n.node)
	for i, e := range all {
		if !keep[i] {
			p.removeLines(e, all, i)
		}
	}
}

// Add adds a key to the mapping, which doesn't have it: behind the first of the keys of
// after that it has, and else as the last one. value is YAML of one line.
func (n *Node) Add(key, value string, after ...string) { n.add(key, " "+value, after) }

// AddBelow is Add with lines of YAML, which stand below the key in a mapping in block
// style.
func (n *Node) AddBelow(key string, lines []string, after ...string) {
	margin := n.patch.eol + strings.Repeat(" ", n.patch.column(n.patch.start(n.node.Content[0]))+2)
	n.add(key, margin+strings.Join(lines, margin), after)
}

func (n *Node) add(key, value string, after []string) {
	p := n.patch
	text := Scalar(key) + ":" + value
	if len(n.node.Content) == 0 {
		at := p.begin(n.node) + 1
		p.replace(at, at, text)
		return
	}
	all := p.elements(n.node)
	at := all[len(all)-1].to
	for _, other := range after {
		if i := keyIndex(n.node, other); i >= 0 {
			at = all[i/2].to
			break
		}
	}
	if p.inBrackets(n.node) {
		p.replace(at, at, ", "+text)
		return
	}
	column := p.column(all[0].from)
	p.below(at, column, p.eol+strings.Repeat(" ", column)+text)
}

// InFlow reports whether the value is a list or mapping in flow style, as [a, b].
func (n *Node) InFlow() bool { return (n.IsList() || n.IsMapping()) && n.patch.inBrackets(n.node) }

// AddItem adds an item to a list: YAML of one line, or in block style of several.
func (n *Node) AddItem(lines []string) {
	p := n.patch
	keep := make([]bool, len(n.node.Content))
	for i := range keep {
		keep[i] = true
	}
	if p.inBrackets(n.node) || len(keep) == 0 {
		p.setFlow(n.node, keep, []string{lines[0]})
		return
	}
	all := p.elements(n.node)
	column := p.column(all[0].from)
	margin := p.eol + strings.Repeat(" ", column)
	p.below(all[len(all)-1].to, column, margin+"- "+strings.Join(lines, margin+"  "))
}

// Unshare has the aliases that lead to the value, or to what it is in, lead to a copy of
// it from now on, which stands in the place of the first of them. It does nothing for a
// value that isn't shared.
func (n *Node) Unshare() {
	for ; n != nil; n = n.parent {
		if n.aliases > 0 && !n.patch.moved[n] {
			n.moveAnchor()
		}
	}
}

func (n *Node) moveAnchor() {
	p := n.patch
	if p.moved == nil {
		p.moved = map[*Node]bool{}
	}
	p.moved[n] = true
	first := -1
	for other := range p.nodes {
		if other.Kind == yaml.AliasNode && other.Alias == n.node {
			if at := p.start(other); first < 0 || at < first {
				first = at
			}
		}
	}
	name := n.node.Anchor
	p.replace(first, first+1+len(name), "&"+name+" "+flowOf(n.Value()))
	at := bytes.Index(p.data[p.start(n.node):], []byte("&"+name)) + p.start(n.node)
	end := at + 1 + len(name)
	for end < len(p.data) && p.data[end] == ' ' {
		end++
	}
	p.replace(at, end, "")
}

// flowOf returns a value on one line.
func flowOf(v *Value) string {
	switch x := v.V.(type) {
	case Number:
		return string(x)
	case []*Value:
		items := make([]string, len(x))
		for i, item := range x {
			items[i] = flowOf(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case Map[*Value]:
		items := make([]string, len(x))
		for i, e := range x {
			items[i] = Scalar(e.Key) + ": " + flowOf(e.V)
		}
		return "{" + strings.Join(items, ", ") + "}"
	default:
		return Flow(v.V)
	}
}
