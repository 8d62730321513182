package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Patch is a YAML text in which single values, keys and items are changed. Every other
// byte stays as it is: comments, quotes, indentation, blank lines and line breaks, in
// block style and in flow style. The comments of what is removed stay as well.
type Patch struct {
	file   string
	data   []byte
	eol    string
	starts []int // of the lines
	docs   []*Node
	nodes  map[*yaml.Node]*Node
	places map[Pos]*Node
	spans  []span
	// moved are the values whose anchors were moved.
	moved map[*Node]bool
}

// span replaces a part of the text.
type span struct {
	from, to int
	text     string
	// below is set for lines that are added below another one, which may be removed.
	below bool
}

// Node is a value of a Patch: of a document, a key or an item of a list.
type Node struct {
	patch  *Patch
	node   *yaml.Node
	parent *Node
	// index is the place among the items of the parent, or that of the key among its
	// keys.
	index int
	// aliases is how many aliases lead here.
	aliases int
}

// NewPatch begins to change a text that Decode accepts.
func NewPatch(file string, data []byte) (*Patch, error) {
	docs, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	p := &Patch{file: file, data: data, eol: "\n", nodes: map[*yaml.Node]*Node{}, places: map[Pos]*Node{}}
	at := len(data) - len(withoutMark(data))
	for _, line := range splitLines(string(data[at:])) {
		if len(p.starts) == 0 && strings.HasSuffix(line, "\r\n") {
			p.eol = "\r\n"
		}
		p.starts = append(p.starts, at)
		at += len(line)
	}
	p.starts = append(p.starts, at)
	for _, doc := range docs {
		p.docs = append(p.docs, p.add(doc, nil, 0))
	}
	for n := range p.nodes {
		if n.Kind == yaml.AliasNode && p.nodes[n.Alias] != nil {
			p.nodes[n.Alias].aliases++
		}
	}
	return p, nil
}

func (p *Patch) add(n *yaml.Node, parent *Node, index int) *Node {
	wrapped := &Node{patch: p, node: n, parent: parent, index: index}
	p.nodes[n] = wrapped
	if pos := wrapped.Pos(); p.places[pos] == nil {
		p.places[pos] = wrapped
	}
	for i, c := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			p.add(c, wrapped, i)
		case n.Kind == yaml.MappingNode && i%2 == 1:
			p.add(c, wrapped, i/2)
		}
	}
	return wrapped
}

// Documents returns the documents that aren't empty.
func (p *Patch) Documents() []*Node { return p.docs }

// At returns the value at a position, or nil. Of several that begin there it is the
// outermost.
func (p *Patch) At(pos Pos) *Node { return p.places[pos] }

// Bytes returns the changed text. It is an error if two changes are about the same
// place.
func (p *Patch) Bytes() ([]byte, error) {
	spans := slices.Clone(p.spans)
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var b bytes.Buffer
	at := 0
	for _, s := range spans {
		if s.from < at && s.text == "" { // both take something away
			at = max(at, s.to)
			continue
		}
		if s.from < at && s.below {
			b.WriteString(strings.TrimPrefix(s.text, p.eol) + p.eol)
			continue
		}
		if s.from < at {
			return nil, errors.New("two changes of one text overlap")
		}
		b.Write(p.data[at:s.from])
		b.WriteString(s.text)
		at = s.to
	}
	b.Write(p.data[at:])
	return b.Bytes(), nil
}

// Changed reports whether there is any change.
func (p *Patch) Changed() bool { return len(p.spans) > 0 }

// Reset forgets all changes.
func (p *Patch) Reset() { p.spans, p.moved = nil, nil }

func (p *Patch) replace(from, to int, text string) {
	p.spans = append(p.spans, span{from: from, to: to, text: text})
}

// below adds lines, each with a line break before it, below the line of a place, and
// below the comments that follow it further to the right than column.
func (p *Patch) below(at, column int, text string) {
	end := p.lineEnd(at)
	for line := p.nextLine(end); line < len(p.data); line = p.nextLine(line) {
		stop := p.lineEnd(line)
		words := bytes.TrimLeft(p.data[line:stop], " ")
		if len(bytes.TrimSpace(words)) == 0 {
			continue
		}
		if words[0] != '#' || stop-line-len(words) <= column {
			break
		}
		end = stop
	}
	p.spans = append(p.spans, span{from: end, to: end, text: text, below: true})
}

// Pos returns the position of the value, as decoding has it.
func (n *Node) Pos() Pos { return Pos{n.patch.file, n.node.Line, n.node.Column} }

// IsAlias reports whether the value is an alias, such as *name.
func (n *Node) IsAlias() bool { return n.node.Kind == yaml.AliasNode }

// IsList reports whether the value is a list.
func (n *Node) IsList() bool { return n.node.Kind == yaml.SequenceNode }

// IsMapping reports whether the value is a mapping.
func (n *Node) IsMapping() bool { return n.node.Kind == yaml.MappingNode }

// IsScalar reports whether the value is a text, a number, a boolean or null.
func (n *Node) IsScalar() bool { return n.node.Kind == yaml.ScalarNode }

// Shared reports whether the value stands in other places too, because an alias leads to
// it or to what it is in.
func (n *Node) Shared() bool {
	for ; n != nil; n = n.parent {
		if n.aliases > 0 {
			return true
		}
	}
	return false
}

// Target returns the value that an alias leads to; of another value itself.
func (n *Node) Target() *Node {
	if n.IsAlias() {
		return n.patch.nodes[n.node.Alias]
	}
	return n
}

// Parent returns what the value is in; nil for a document.
func (n *Node) Parent() *Node { return n.parent }

// Key returns the key of the value, "" if it has none.
func (n *Node) Key() string {
	if n.parent == nil || !n.parent.IsMapping() {
		return ""
	}
	return n.parent.node.Content[2*n.index].Value
}

// Get returns the value of a key that is written in the mapping itself; nil if there is
// none.
func (n *Node) Get(key string) *Node {
	if !n.IsMapping() {
		return nil
	}
	if i := keyIndex(n.node, key); i >= 0 {
		return n.patch.nodes[n.node.Content[i+1]]
	}
	return nil
}

// Find returns the value of a key of the mapping, or of one that is merged into it,
// with aliases followed; nil if there is none.
func (n *Node) Find(key string) *Node {
	if v := valueOf(n.node, key, 0); v != nil {
		return n.patch.nodes[v]
	}
	return nil
}

// Keys returns the keys that are written in the mapping itself.
func (n *Node) Keys() []string {
	if !n.IsMapping() {
		return nil
	}
	return Block{node: n.node}.Keys()
}

// Items returns the items of a list, with aliases not followed.
func (n *Node) Items() []*Node {
	if !n.IsList() {
		return nil
	}
	all := make([]*Node, len(n.node.Content))
	for i, c := range n.node.Content {
		all[i] = n.patch.nodes[c]
	}
	return all
}

// Text returns the text of a scalar as it is meant; "" of another value.
func (n *Node) Text() string {
	if t := n.Target(); t.IsScalar() {
		return t.node.Value
	}
	return ""
}

// Value returns the value as Decode reads it.
func (n *Node) Value() *Value {
	d := decoder{file: n.patch.file, inside: map[*yaml.Node]bool{}}
	v := new(Value)
	d.any(n.node, v, subject{})
	return v
}
