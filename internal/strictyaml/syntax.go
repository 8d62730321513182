package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// syntaxError converts yaml.v3's error about text into one with the position of
// the problem.
//
// yaml.v3 doesn't return that position. Its messages name a line, which may be
// that of the problem, that of the construct around it, or one less than either,
// depending on which part of the parser fails and whether the line is the first.
// So the text is parsed once more, byte by byte and below one more line: how far
// the parser reads shows where the problem is, and the line in its message is
// then always that of the construct.
//
// No message repeats the text, which may not be YAML at all but a token.
func syntaxError(file string, text []byte, err error) *Error {
	const above = "#\n"
	r := &byteReader{data: append([]byte(above), knownVersion(text)...)}
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
		return cut(place(file, text, at), "this alias has no anchor before it")
	}
	if p, ok := parserProblems[msg]; ok && strings.Contains(p.msg, "%YAML") {
		return cut(place(file, text, max(bytes.LastIndex(read, []byte("%YAML")), 0)), "not valid YAML: %s", p.msg)
	} else if ok {
		last := len(bytes.TrimRight(read, " \t\r\n"))
		pos := firstWord(file, text, lineOffset(text, place(file, read, last).Line))
		if p.around != "" && line > 0 && line < pos.Line {
			return cut(pos, "not valid YAML: %s, in the %s that begins on line %d", p.msg, p.around, line)
		}
		return cut(pos, "not valid YAML: %s", p.msg)
	}
	// The scanner's line is one more than the parser's.
	start := lineOffset(text, line-1)
	if at := tabIndent(text, read, start, msg); at >= 0 {
		return cut(place(file, text, at), "not valid YAML: tabs are not allowed for indentation: use spaces")
	}
	if human, ok := scannerProblems[msg]; ok {
		msg = human
	}
	return cut(firstWord(file, text, start), "not valid YAML: %s", msg)
}

// parserProblems explains the messages of yaml.v3's parser, which works on words
// and knows the construct around them. It sees a problem one word late at worst.
var parserProblems = map[string]struct{ msg, around string }{
	"did not find expected key":              {`expected "key: value" here (check indentation and quotes)`, "mapping"},
	"did not find expected '-' indicator":    {`expected "- item" here (check the indentation)`, "list"},
	"did not find expected ',' or ']'":       {"expected , or ] here", "list"},
	"did not find expected ',' or '}'":       {"expected , or } here", "mapping"},
	"did not find expected node content":     {"expected a value here", ""},
	"did not find expected <document start>": {"expected a new document (---) here", ""},
	"found duplicate %YAML directive":        {"a second %YAML directive", ""},
	"found duplicate %TAG directive":         {"a second %TAG directive of the same handle", ""},
	"found incompatible YAML document":       {"only %YAML 1.1 and 1.2 are supported", ""},
	"found undefined tag handle":             {"a tag's handle is not defined here", ""},
}

// Messages of yaml.v3's scanner, which works on characters.
const (
	badColon   = "mapping values are not allowed in this context"
	badStart   = "found character that cannot start any token"
	badTab     = "found a tab character that violates indentation"
	badTabText = "found a tab character where an indentation space is expected" // of a block text
)

// scannerProblems explains messages of the scanner.
var scannerProblems = map[string]string{
	badColon:                              `": " is not allowed here (check the indentation, or quote the text)`,
	badStart:                              "a text can't begin with this character: quote it",
	"could not find expected ':'":         `expected ": " after this key`,
	"found unexpected end of stream":      "the quoted text that begins on this line is not closed",
	"found unexpected document indicator": "the quoted text that begins on this line is not closed before the next document",
	"found unknown escape character":      `unknown escape in double quotes (a backslash itself is \\)`,
}

var yamlMessage = regexp.MustCompile(`(?s)^(?:yaml: )?(?:line (\d+): )?(.*)`)

// splitMessage returns the line that a message of yaml.v3 names, 0 if none, and
// the message without it.
func splitMessage(err error) (line int, msg string) {
	m := yamlMessage.FindStringSubmatch(err.Error())
	line, _ = strconv.Atoi(m[1])
	return line, strings.Join(strings.Fields(m[2]), " ")
}

// lineOffset returns where a line begins, or the nearest line that there is.
func lineOffset(text []byte, line int) int {
	start := 0
	for i, c := range text {
		if line <= 1 {
			break
		}
		if c == '\n' || c == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			line, start = line-1, i+1
		}
	}
	return start
}

// firstWord returns the position of the first word of the line at start.
func firstWord(file string, text []byte, start int) Pos {
	line := text[start:]
	return place(file, text, start+len(line)-len(bytes.TrimLeft(line, " ")))
}

// indentation matches what may stand before the first word of a line, up to a
// tab.
var indentation = regexp.MustCompile(`^[ ?:-]*\t`)

// tabIndent returns the offset of the tab that the scanner's msg is about, or -1
// if there is none. The scanner has read no further than read, and names the
// line that begins at start.
func tabIndent(text, read []byte, start int, msg string) int {
	switch msg {
	case badTab, badTabText:
		// The line is that of the text before the tab.
		last := bytes.LastIndexByte(read, '\t')
		start = bytes.LastIndexAny(read[:max(last, 0)], "\r\n") + 1
	case badColon, badStart:
	default:
		return -1
	}
	tab := start + len(indentation.Find(text[start:])) - 1
	const ahead = 4 // characters are read beyond the one in question
	if tab < start || msg == badStart && utf8.RuneCount(text[min(tab, len(read)):len(read)]) > ahead {
		return -1
	}
	return tab
}

// byteReader reads one byte at a time and counts them.
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
