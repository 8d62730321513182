package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Edit is a YAML text of which single keys are changed. All other lines stay as they
// are, comments included.
type Edit struct {
	lines   []string // each with its line break
	eol     string
	docs    []*yaml.Node
	changes []change
}

// change replaces the lines from up to, but not including, to.
type change struct {
	from, to int
	lines    []string
}

// Block is a mapping of an Edit, written in block style.
type Block struct {
	edit *Edit
	node *yaml.Node
}

// NewEdit begins to change a text that Decode accepts. The paths lead to the mappings
// that are going to be changed; "*" stands for each item of a list. If one of them is
// written in flow style, as {a: 1}, the whole text is written anew: comments stay, blank
// lines are lost.
func NewEdit(file string, data []byte, paths ...[]string) (*Edit, error) {
	docs, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	flow := false
	for _, doc := range docs {
		flow = unfold(doc, nil) || flow
		for _, path := range paths {
			flow = unfold(doc, path) || flow
		}
	}
	if flow {
		if data, docs, err = rewrite(file, docs); err != nil {
			return nil, err
		}
	}
	e := &Edit{lines: splitLines(string(data)), eol: "\n", docs: docs}
	if len(e.lines) > 0 && strings.HasSuffix(e.lines[0], "\r\n") {
		e.eol = "\r\n"
	}
	return e, nil
}

// unfold has the mappings and lists on a path written in block style, and reports
// whether one of them was not.
func unfold(n *yaml.Node, path []string) (changed bool) {
	if n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode {
		return false
	}
	if n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0 {
		n.Style &^= yaml.FlowStyle
		changed = true
	}
	if len(path) == 0 {
		return changed
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			if path[0] == "*" {
				changed = unfold(item, path[1:]) || changed
			}
		}
		return changed
	}
	if i := keyIndex(n, path[0]); i >= 0 {
		changed = unfold(n.Content[i+1], path[1:]) || changed
	}
	return changed
}

// rewrite writes the documents anew, and parses the result.
func rewrite(file string, docs []*yaml.Node) ([]byte, []*yaml.Node, *Error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	for _, doc := range docs {
		if err := enc.Encode(doc); err != nil {
			return nil, nil, &Error{Pos: Pos{file, 1, 1}, Msg: fmt.Sprintf("the file can't be written anew: %v", err)}
		}
	}
	if err := enc.Close(); err != nil {
		return nil, nil, &Error{Pos: Pos{file, 1, 1}, Msg: fmt.Sprintf("the file can't be written anew: %v", err)}
	}
	docs, err := parse(file, b.Bytes())
	return b.Bytes(), docs, err
}

// splitLines returns the lines of a text, each with its line break.
func splitLines(s string) []string {
	var all []string
	for s != "" {
		n := strings.IndexAny(s, "\r\n")
		switch {
		case n < 0:
			n = len(s)
		case strings.HasPrefix(s[n:], "\r\n"):
			n += 2
		default:
			n++
		}
		all, s = append(all, s[:n]), s[n:]
	}
	return all
}

// Documents returns the mappings that the documents are.
func (e *Edit) Documents() []Block {
	var all []Block
	for _, doc := range e.docs {
		if doc.Kind == yaml.MappingNode {
			all = append(all, Block{e, doc})
		}
	}
	return all
}

// Bytes returns the changed text. The changes must not overlap.
func (e *Edit) Bytes() ([]byte, error) {
	changes := slices.Clone(e.changes)
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.from, b.from) })
	var b bytes.Buffer
	at := 0
	copyTo := func(end int) {
		for ; at < end; at++ {
			b.WriteString(e.lines[at])
		}
	}
	for _, c := range changes {
		if c.from < at {
			return nil, errors.New("two changes of one text overlap")
		}
		copyTo(c.from)
		if n := b.Len(); n > 0 && b.Bytes()[n-1] != '\n' && b.Bytes()[n-1] != '\r' {
			b.WriteString(e.eol) // the last line had no line break
		}
		for _, line := range c.lines {
			b.WriteString(line + e.eol)
		}
		at = c.to
	}
	copyTo(len(e.lines))
	return b.Bytes(), nil
}

func keyIndex(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// Items returns the mappings in the list that the key has.
func (b Block) Items(key string) []Block {
	i := keyIndex(b.node, key)
	if i < 0 || b.node.Content[i+1].Kind != yaml.SequenceNode {
		return nil
	}
	var all []Block
	for _, item := range b.node.Content[i+1].Content {
		if item.Kind == yaml.MappingNode {
			all = append(all, Block{b.edit, item})
		}
	}
	return all
}

// Child returns the mapping that the key has; false if there is none, or no keys are
// in it.
func (b Block) Child(key string) (Block, bool) {
	i := keyIndex(b.node, key)
	if i < 0 {
		return Block{}, false
	}
	n := b.node.Content[i+1]
	return Block{b.edit, n}, n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Style&yaml.FlowStyle == 0
}

// Text returns the text that the key has, here or in a mapping that is merged into this
// one; empty if there is none.
func (b Block) Text(key string) string {
	if n := valueOf(b.node, key, 0); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// Texts returns the texts in the list that the keys lead to, each here or in a mapping
// that is merged into this one, in block style or not; false if there is no such list.
func (b Block) Texts(keys ...string) ([]string, bool) {
	n := b.node
	for _, key := range keys {
		if n = valueOf(n, key, 0); n == nil {
			return nil, false
		}
	}
	if n.Kind != yaml.SequenceNode {
		return nil, false
	}
	var all []string
	for _, item := range n.Content {
		all = append(all, target(item).Value)
	}
	return all, true
}

// maxMerges bounds how deep mappings may be merged into each other.
const maxMerges = 20

// valueOf returns the value of a key, or nil.
func valueOf(n *yaml.Node, key string, depth int) *yaml.Node {
	n = target(n)
	if depth > maxMerges {
		return nil
	}
	if n.Kind == yaml.SequenceNode { // of a merge key
		for _, item := range n.Content {
			if v := valueOf(item, key, depth+1); v != nil {
				return v
			}
		}
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	if i := keyIndex(n, key); i >= 0 {
		return target(n.Content[i+1])
	}
	if i := keyIndex(n, mergeKey); i >= 0 {
		return valueOf(n.Content[i+1], key, depth+1)
	}
	return nil
}

// target returns the node that an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// Keys returns the keys that are written in the mapping itself.
func (b Block) Keys() []string {
	var all []string
	for i := 0; i+1 < len(b.node.Content); i += 2 {
		all = append(all, b.node.Content[i].Value)
	}
	return all
}

// Set sets the value of the key: it replaces the lines that it has, or adds it as the
// last one. The lines are those of the key with its value, as they stand at the left
// margin.
func (b Block) Set(key string, lines []string) {
	if i := keyIndex(b.node, key); i >= 0 {
		k := b.node.Content[i]
		at := k.Line - 1
		lines = b.indented(lines)
		lines[0] = b.edit.lines[at][:k.Column-1] + strings.TrimLeft(lines[0], " ")
		b.edit.replace(at, b.edit.valueEnd(k), lines)
		return
	}
	b.Append(lines)
}

// Append adds lines at the end of the mapping.
func (b Block) Append(lines []string) {
	end := b.end()
	b.edit.replace(end, end, b.indented(lines))
}

// Remove removes a key with its value. It must not be the only one.
func (b Block) Remove(key string) {
	i := keyIndex(b.node, key)
	if i < 0 {
		return
	}
	k := b.node.Content[i]
	at, end := k.Line-1, b.edit.valueEnd(k)
	prefix := b.edit.lines[at][:k.Column-1]
	if strings.TrimSpace(prefix) == "" || i+2 >= len(b.node.Content) {
		b.edit.replace(at, end, nil)
		return
	}
	// The next key takes the place behind the dash.
	next := b.node.Content[i+2]
	for end < next.Line-1 {
		end++
	}
	rest := strings.TrimRight(b.edit.lines[next.Line-1][next.Column-1:], "\r\n")
	b.edit.replace(at, end+1, []string{prefix + rest})
}

// RemoveComments removes the lines of comments in the mapping that begin with these
// words, unless they are in the value of one of the keys.
func (b Block) RemoveComments(words string, except ...string) {
	var kept [][2]int
	for _, key := range except {
		if i := keyIndex(b.node, key); i >= 0 {
			kept = append(kept, [2]int{b.node.Content[i].Line - 1, b.edit.valueEnd(b.node.Content[i])})
		}
	}
	for at := b.node.Line - 1; at < b.end(); at++ {
		inside := slices.ContainsFunc(kept, func(r [2]int) bool { return at >= r[0] && at < r[1] })
		if !inside && strings.HasPrefix(strings.TrimLeft(b.edit.lines[at], " \t"), "# "+words) {
			b.edit.replace(at, at+1, nil)
		}
	}
}

func (b Block) indented(lines []string) []string {
	margin := strings.Repeat(" ", max(0, b.node.Content[0].Column-1))
	all := make([]string, len(lines))
	for i, line := range lines {
		if all[i] = margin + line; line == "" {
			all[i] = ""
		}
	}
	return all
}

// replace notes a change.
func (e *Edit) replace(from, to int, lines []string) {
	e.changes = append(e.changes, change{from, to, lines})
}

// end returns the line behind the mapping and the comments that follow it at its
// margin.
func (b Block) end() int {
	k := b.node.Content[len(b.node.Content)-2]
	end := b.edit.valueEnd(k)
	for end < len(b.edit.lines) && marginOf(b.edit.lines[end]) == k.Column-1 && isComment(b.edit.lines[end]) {
		end++
	}
	return end
}

// valueEnd returns the line behind the value of a key: behind the last line that is
// further to the right.
func (e *Edit) valueEnd(k *yaml.Node) int {
	end := k.Line
	for at := k.Line; at < len(e.lines); at++ {
		line := e.lines[at]
		text, margin := strings.TrimSpace(line), marginOf(line)
		deeper := margin > k.Column-1
		switch {
		case text == "", isComment(line) && !deeper:
		case deeper, margin == k.Column-1 && continues(text):
			end = at + 1
		default:
			return end
		}
	}
	return end
}

// continues reports whether a line at the margin of a key belongs to the key's value: an
// item of a list, or the end of a bracket.
func continues(text string) bool {
	return text == "-" || strings.HasPrefix(text, "- ") || text[0] == ']' || text[0] == '}'
}

func isComment(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") }

func marginOf(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }
