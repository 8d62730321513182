package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"reconciler/internal/text"
)

// MaxSize is the size of the largest input that is read, in bytes.
const MaxSize = 10 << 20

const (
	// maxDirectives limits YAML directives (lines that begin with a percent
	// sign), each of which yaml.v3 compares with all others.
	maxDirectives = 100
	// maxMarks limits line breaks and characters that begin values. Each can
	// make yaml.v3 allocate some hundred bytes, so that ten megabytes of them
	// would take gigabytes before any other limit applies. A manifest of that
	// size has half as many.
	maxMarks = 1_000_000
	// byteOrderMark is what some editors put at the start of a file.
	byteOrderMark = "\uFEFF"
)

// parse returns the documents of a stream that are not empty; with a syntax
// error, those before it.
func parse(file string, data []byte) ([]*yaml.Node, *Error) {
	if err := checkText(file, data); err != nil {
		return nil, err
	}
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(knownVersion(data)))
	for {
		doc, err := next(dec)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, syntaxError(file, withoutMark(data), err)
		}
		if !empty(doc) {
			docs = append(docs, doc.Content[0])
		}
	}
}

// next reads one document. yaml.v3 turns most of its panics into errors, but not
// all.
func next(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML parser failed on it: %v", r)
		}
	}()
	doc = new(yaml.Node)
	err = dec.Decode(doc)
	return doc, err
}

// TopKeys returns the top-level keys of all documents of a text, as far as it
// can be parsed. They show what kind of file it is if it isn't the expected one.
func TopKeys(data []byte) []string {
	docs, _ := parse("", data)
	var keys []string
	for _, n := range docs {
		if n.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i < len(n.Content); i += 2 {
			if k := n.Content[i]; k.Kind == yaml.ScalarNode {
				keys = append(keys, k.Value)
			}
		}
	}
	return keys
}

// empty reports whether a document holds nothing but comments.
func empty(doc *yaml.Node) bool {
	if len(doc.Content) == 0 {
		return true
	}
	n := doc.Content[0]
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" && n.Style == 0 && n.Anchor == ""
}

// checkText rejects what can't be a handwritten text file. The parser would
// accept it, or be vague about where it is.
func checkText(file string, data []byte) *Error {
	if len(data) > MaxSize {
		return cut(Pos{file, 1, 1}, "the file is larger than %d MB: split it", MaxSize>>20)
	}
	if _, err := text.Decode(data); err != nil {
		return cut(Pos{file, 1, 1}, "the file is UTF-16: save it as UTF-8")
	}
	data = withoutMark(data)
	directives, marks := 0, 0
	for i := 0; i < len(data); {
		c := data[i]
		if beginsValue(data[i:]) {
			if marks++; marks > maxMarks {
				return cut(place(file, data, i), "the file has more than %d lines and values: split it", maxMarks)
			}
		}
		if c >= ' ' && c < 0x7f {
			if c == '%' && (i == 0 || data[i-1] == '\n' || data[i-1] == '\r') {
				if directives++; directives > maxDirectives {
					return cut(place(file, data, i), "too many YAML directives (lines that begin with %%)")
				}
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return cut(place(file, data, i), "byte 0x%02x is not UTF-8: save the file as UTF-8", c)
		}
		if !printable(r) {
			return cut(place(file, data, i), `character %U is not allowed: remove it, or write it as an escape in double quotes`, r)
		}
		i += size
	}
	return nil
}

// beginsValue reports whether text begins with what maxMarks counts.
func beginsValue(text []byte) bool {
	switch text[0] {
	case '\n', '\r', ',', '[', '{', '?':
		return true
	case '-':
		return len(text) > 1 && text[1] == ' '
	}
	return false
}

// cut returns an error after whose position the input was not read.
func cut(pos Pos, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...), Cut: true}
}

// printable reports whether r is allowed in a file. Unlike YAML, it rejects line
// breaks other than CR and LF: yaml.v3 counts them as lines, editors don't.
func printable(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return true
	case r < ' ', r >= 0x7f && r < 0xa0:
		return false
	case r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
		return false
	}
	return true
}

// yaml12 matches the directive of a document in YAML 1.2.
var yaml12 = regexp.MustCompile(`^%YAML[ \t]+1\.2[ \t\r\n]`)

// knownVersion returns data with the directive %YAML 1.1 in the place of each
// %YAML 1.2. The parser of yaml.v3 refuses that one, though it reads what YAML 1.2
// has: what the versions differ in, such as "yes" and "on", package strictyaml
// decides by itself.
func knownVersion(data []byte) []byte {
	if !bytes.Contains(data, []byte("%YAML")) {
		return data
	}
	out := make([]byte, 0, len(data))
	begins := true // no document has begun since the start, or the end of the last one
	for line := range bytes.Lines(data) {
		at := len(out)
		out = append(out, line...)
		mine := withoutMark(out[at:])
		switch {
		case bytes.HasPrefix(mine, []byte("...")):
			begins = true
		case begins && yaml12.Match(mine):
			mine[bytes.IndexByte(mine, '.')+1] = '1'
		case !bytes.HasPrefix(mine, []byte("%")) && !bytes.HasPrefix(mine, []byte("#")) && len(bytes.TrimSpace(mine)) > 0:
			begins = false
		}
	}
	return out
}

func withoutMark(data []byte) []byte { return bytes.TrimPrefix(data, []byte(byteOrderMark)) }

func place(file string, text []byte, offset int) Pos {
	line, start := 1, 0
	for i := 0; i < offset; i++ {
		if text[i] == '\n' || text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			line, start = line+1, i+1
		}
	}
	return Pos{file, line, utf8.RuneCount(text[start:offset]) + 1}
}
