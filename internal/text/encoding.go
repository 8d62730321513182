package text

import (
	"bytes"
	"errors"
	"regexp"
)

// byteOrderMark is what some editors and shells put at the start of a file.
var byteOrderMark = []byte("\xef\xbb\xbf")

// ErrUTF16 is the error for a file that holds no UTF-8 text: PowerShell's ">"
// writes UTF-16.
var ErrUTF16 = errors.New("it is UTF-16; save it as UTF-8")

// Decode returns the content of a text file without a byte order mark, or
// [ErrUTF16].
func Decode(data []byte) ([]byte, error) {
	if isUTF16(data) {
		return nil, ErrUTF16
	}
	return bytes.TrimPrefix(data, byteOrderMark), nil
}

// isUTF16 reports whether data begins with the mark of UTF-16 or, as text does that
// has none, with ASCII characters of two bytes.
func isUTF16(data []byte) bool {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return true
	}
	if len(data) < 4 {
		return false
	}
	zero := func(i int) bool { return data[i] == 0 }
	return zero(0) && !zero(1) && zero(2) && !zero(3) || !zero(0) && zero(1) && !zero(2) && zero(3)
}

// pemInOneLine matches a block whose line ends are blanks, in three parts. A block
// with headers doesn't match, as nothing says where each of them ends.
var pemInOneLine = regexp.MustCompile(`(-----BEGIN [A-Z0-9 ]+-----)([A-Za-z0-9+/= \t]+)(-----END [A-Z0-9 ]+-----)`)

// PEM returns a PEM as package pem reads it, which wants each line to begin at the
// left: without the blanks around lines that one has which was copied out of YAML.
// Environment variables often hold a PEM in one line, with its line ends written
// as \n, for a backslash occurs nowhere else in a PEM, or turned to blanks.
func PEM(data []byte) []byte {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return data
	}
	if !bytes.Contains(bytes.TrimSpace(data), []byte("\n")) {
		data = bytes.ReplaceAll(data, []byte(`\r`), nil)
		data = bytes.ReplaceAll(data, []byte(`\n`), []byte("\n"))
	}
	data = pemInOneLine.ReplaceAll(data, []byte("$1\n$2\n$3\n")) // package pem ignores blanks in $2
	var out []byte
	for line := range bytes.Lines(data) {
		out = append(append(out, bytes.TrimSpace(line)...), '\n')
	}
	return out
}
