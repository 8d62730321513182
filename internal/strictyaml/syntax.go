package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// syntaxError turns yaml.v3's error about text into one of ours.
//
// yaml.v3 keeps the place of the problem to itself. Its messages name a line,
// which may be that of the problem, that of the construct around it, or one
// less than either, depending on which part of the parser complains and whether
// the line is the first. So the text is parsed once more, by single bytes and
// below one more line: how far the parser reads tells where the problem is, and
// the line in its message is then always that of the construct.
func syntaxError(file string, text []byte, err error) *Error {
	const above = "#\n"
	r := &byteReader{data: append([]byte(above), text...)}
	again := err
	for dec := yaml.NewDecoder(r); ; {
		if _, e := next(dec); e != nil {
			if !errors.Is(e, io.EOF) {
				again = e
			}
			break
		}
	}
	read := text[:max(r.read-len(above), 0)]
	line, msg := splitMessage(again)

	if name, ok := strings.CutPrefix(msg, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		at := max(bytes.LastIndex(read, []byte("*"+name)), 0)
		return cut(place(file, text, at), "alias *%s has no anchor before it", short(name))
	}
	if p, ok := parserProblems[msg]; ok {
		last := len(bytes.TrimRight(read, " \t\r\n"))
		pos := lineStart(file, text, place(file, read, last).Line)
		if p.around != "" && line > 0 && line < pos.Line {
			return cut(pos, "not valid YAML: %s, in the %s that begins on line %d", p.msg, p.around, line)
		}
		return cut(pos, "not valid YAML: %s", p.msg)
	}
	// The scanner's line is one more than the parser's.
	pos := lineStart(file, text, line-1)
	if human, ok := scannerProblems[msg]; ok {
		msg = human
	}
	if tab := tabIndent(text, pos); tab > 0 {
		pos.Column, msg = tab, "a tab can't indent: use spaces"
	}
	return cut(pos, "not valid YAML: %s", msg)
}

// parserProblems are the complaints of yaml.v3's parser, which works on words
// and knows the construct around them. It sees a problem one word late at worst.
var parserProblems = map[string]struct{ msg, around string }{
	"did not find expected key":              {`expected "key: value" by here (check indentation and quotes)`, "mapping"},
	"did not find expected '-' indicator":    {`expected "- item" by here (check the indentation)`, "list"},
	"did not find expected ',' or ']'":       {"expected , or ] by here", "list"},
	"did not find expected ',' or '}'":       {"expected , or } by here", "mapping"},
	"did not find expected node content":     {"expected a value by here", ""},
	"did not find expected <document start>": {"expected a new document (---) by here", ""},
	"found duplicate %YAML directive":        {"a second %YAML directive", ""},
	"found duplicate %TAG directive":         {"a second %TAG directive of the same handle", ""},
	"found incompatible YAML document":       {"only %YAML 1.1 and 1.2 are supported", ""},
	"found undefined tag handle":             {"a tag's handle is not defined by here", ""},
}

// scannerProblems are the complaints of yaml.v3's scanner, which works on
// characters.
var scannerProblems = map[string]string{
	"mapping values are not allowed in this context": `": " is not allowed here (check the indentation, or quote the text)`,
	"found character that cannot start any token":    "a text can't begin with this character: quote it",
	"could not find expected ':'":                    `expected ": " after this key`,
	"found unexpected end of stream":                 "the quoted text that begins on this line is not closed",
	"found unexpected document indicator":            "the quoted text that begins on this line is not closed before the next document",
	"found unknown escape character":                 `unknown escape in double quotes (a backslash itself is \\)`,
}

var yamlMessage = regexp.MustCompile(`(?s)^(?:yaml: )?(?:line (\d+): )?(.*)`)

// splitMessage takes the line out of a message of yaml.v3; 0 when it has none.
func splitMessage(err error) (line int, msg string) {
	m := yamlMessage.FindStringSubmatch(err.Error())
	line, _ = strconv.Atoi(m[1])
	return line, strings.Join(strings.Fields(m[2]), " ")
}

// lineStart gives the place of the first word of a line, or of the nearest line
// that there is.
func lineStart(file string, text []byte, line int) Pos {
	p := Pos{file, 1, 1}
	start := 0
	for i, c := range text {
		if p.Line >= line {
			break
		}
		if c == '\n' || c == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			p.Line, start = p.Line+1, i+1
		}
	}
	p.Column += len(text[start:]) - len(bytes.TrimLeft(text[start:], " "))
	return p
}

// tabIndent gives the column of the tab with which the word at p is indented, or 0.
func tabIndent(text []byte, p Pos) int {
	rest := text
	for range p.Line - 1 {
		i := bytes.IndexAny(rest, "\r\n")
		if i < 0 {
			return 0
		}
		if rest[i] == '\r' && i+1 < len(rest) && rest[i+1] == '\n' {
			i++
		}
		rest = rest[i+1:]
	}
	if i := p.Column - 1; i < len(rest) && rest[i] == '\t' {
		return p.Column
	}
	return 0
}

// byteReader gives one byte at a time and counts them.
type byteReader struct {
	data []byte
	read int
}

func (r *byteReader) Read(p []byte) (int, error) {
	if r.read == len(r.data) {
		return 0, io.EOF
	}
	p[0] = r.data[r.read]
	r.read++
	return 1, nil
}
