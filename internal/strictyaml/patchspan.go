package strictyaml

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// start returns where a node begins: at its anchor or tag, if it has one.
func (p *Patch) start(n *yaml.Node) int {
	at := p.starts[min(n.Line, len(p.starts))-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(p.data[at:])
		at += size
	}
	return at
}

// begin returns where a node begins behind its anchor and its tag.
func (p *Patch) begin(n *yaml.Node) int {
	at := p.start(n)
	for at < len(p.data) && (p.data[at] == '&' || p.data[at] == '!') && n.Kind != yaml.AliasNode {
		for at < len(p.data) && !isSpace(p.data[at]) {
			at++
		}
		at = p.skip(at, "")
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// skip returns the place behind white space, comments, and characters of also.
func (p *Patch) skip(at int, also string) int {
	for at < len(p.data) {
		switch c := p.data[at]; {
		case isSpace(c) || bytes.IndexByte([]byte(also), c) >= 0:
			at++
		case c == '#' && (at == 0 || isSpace(p.data[at-1])):
			at = p.lineEnd(at)
		default:
			return at
		}
	}
	return at
}

// lineStart and lineEnd return where the line that has a place begins, and where it ends
// before its line break; nextLine is behind that.
func (p *Patch) lineStart(at int) int {
	i, found := slices.BinarySearch(p.starts, at)
	if !found {
		i--
	}
	return p.starts[max(i, 0)]
}

func (p *Patch) lineEnd(at int) int {
	for at < len(p.data) && p.data[at] != '\n' && p.data[at] != '\r' {
		at++
	}
	return at
}

func (p *Patch) nextLine(at int) int {
	at = p.lineEnd(at)
	if bytes.HasPrefix(p.data[at:], []byte("\r\n")) {
		return at + 2
	}
	return min(at+1, len(p.data))
}

// margin returns the characters of a line before a place.
func (p *Patch) margin(at int) string { return string(p.data[p.lineStart(at):at]) }

// end returns where a node ends.
func (p *Patch) end(n *yaml.Node) int {
	at := p.begin(n)
	switch n.Kind {
	case yaml.AliasNode:
		return at + 1 + len(n.Value)
	case yaml.ScalarNode:
		return p.scalarEnd(n, at)
	}
	opened := p.inBrackets(n)
	if len(n.Content) == 0 {
		return p.skip(at+1, "") + 1
	}
	end := p.contentEnd(n)
	if opened {
		return p.skip(end, ",") + 1
	}
	return end
}

// inBrackets reports whether a collection is in flow style. A pair in a flow list has no
// brackets of its own.
func (p *Patch) inBrackets(n *yaml.Node) bool {
	c := p.data[min(p.begin(n), len(p.data)-1)]
	return n.Style&yaml.FlowStyle != 0 && (c == '[' || c == '{')
}

// contentEnd returns where the last value of a collection ends.
func (p *Patch) contentEnd(n *yaml.Node) int {
	last := n.Content[len(n.Content)-1]
	if n.Kind == yaml.MappingNode {
		return p.pairEnd(n.Content[len(n.Content)-2], last)
	}
	return p.end(last)
}

// pairEnd returns where a key with its value ends. Nothing may stand behind the colon.
func (p *Patch) pairEnd(key, value *yaml.Node) int {
	if value.Kind == yaml.ScalarNode && value.Value == "" && value.Style == 0 && value.Anchor == "" {
		end := p.end(key)
		if colon := p.skip(end, ""); colon < len(p.data) && p.data[colon] == ':' {
			return colon + 1
		}
		return end
	}
	return p.end(value)
}

func (p *Patch) scalarEnd(n *yaml.Node, at int) int {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for at++; at < len(p.data) && p.data[at] != '"'; at++ {
			if p.data[at] == '\\' {
				at++
			}
		}
		return min(at+1, len(p.data))
	case n.Style&yaml.SingleQuotedStyle != 0:
		for at++; at < len(p.data); at++ {
			if p.data[at] != '\'' {
				continue
			}
			if at+1 < len(p.data) && p.data[at+1] == '\'' {
				at++
				continue
			}
			break
		}
		return min(at+1, len(p.data))
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return p.blockEnd(at)
	}
	return p.plainEnd(n.Value, at)
}

// plainEnd returns the end of a text without quotes, in which a line break is read as a
// space, and several are read as one less.
func (p *Patch) plainEnd(value string, at int) int {
	end := at
	for i := 0; i < len(value) && at < len(p.data); {
		if !isSpace(value[i]) || !isSpace(p.data[at]) {
			i, at = i+1, at+1
			end = at
			continue
		}
		for i < len(value) && isSpace(value[i]) {
			i++
		}
		for at < len(p.data) && isSpace(p.data[at]) {
			at++
		}
	}
	return end
}

// blockEnd returns the end of a text of lines, which begins with | or >: that of its last
// line that isn't blank.
func (p *Patch) blockEnd(at int) int {
	end, margin := p.lineEnd(at), -1
	for line := p.nextLine(at); line < len(p.data); line = p.nextLine(line) {
		stop := p.lineEnd(line)
		text := bytes.TrimLeft(p.data[line:stop], " ")
		indent := stop - line - len(text)
		switch {
		case len(bytes.TrimSpace(text)) == 0:
		case margin < 0 && indent == 0, indent < margin:
			return end
		default:
			if margin < 0 {
				margin = min(indent, p.blockMargin(at, indent))
			}
			end = stop
		}
	}
	return end
}

// blockMargin returns the indentation of a text of lines. With a digit behind its
// beginning, the first line may have more than the others.
func (p *Patch) blockMargin(at, indent int) int {
	for _, c := range p.data[at:min(at+3, len(p.data))] {
		if c >= '1' && c <= '9' {
			line := p.lineStart(at)
			return len(p.data[line:at]) - len(bytes.TrimLeft(p.data[line:at], " ")) + 1
		}
	}
	return indent
}

// remark is a comment of what is removed. margin is what stands before it on its line,
// and own is set if nothing else does.
type remark struct {
	text, margin string
	own          bool
}

// remark returns the comment that begins at a place.
func (p *Patch) remark(at, to int) remark {
	margin := p.margin(at)
	return remark{string(bytes.TrimSpace(p.data[at:to])), margin, len(bytes.TrimSpace([]byte(margin))) == 0}
}

// comments returns the comments between two places that no value holds. within are the
// values that stand there.
func (p *Patch) comments(from, to int, within ...*yaml.Node) []remark {
	var values []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			values = append(values, n)
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	for _, n := range within {
		walk(n)
	}
	var all []remark
	add := func(from, to int) { // where no value is
		for at := from; at < to; at++ {
			if p.data[at] == '#' && (at == 0 || isSpace(p.data[at-1])) {
				stop := min(p.lineEnd(at), to)
				all = append(all, p.remark(at, stop))
				at = stop
			}
		}
	}
	for _, n := range values {
		begin, end := p.begin(n), p.end(n)
		if begin < from {
			from = max(from, end)
			continue
		}
		add(from, min(begin, to))
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 { // a comment may stand behind the | or >
			stop := p.lineEnd(begin)
			if i := bytes.Index(p.data[begin:stop], []byte(" #")); i >= 0 {
				all = append(all, p.remark(begin+i+1, stop))
			}
		}
		from = max(from, end)
	}
	add(from, to)
	return all
}
