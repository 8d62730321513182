package text

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// VisibleJSON returns JSON with each character that isn't printable as an escape: the
// data is the same, and a terminal that shows it doesn't act on it. Such characters are
// only in strings, as JSON has no others outside of ASCII.
func VisibleJSON(data []byte) []byte {
	at := bytes.IndexFunc(data, hidden)
	if at < 0 {
		return data
	}
	out := make([]byte, at, len(data)+len(data)/16+64)
	copy(out, data)
	for data = data[at:]; len(data) > 0; {
		r, size := utf8.DecodeRune(data)
		if hidden(r) {
			out = appendEscape(out, r)
		} else {
			out = append(out, data[:size]...)
		}
		data = data[size:]
	}
	return out
}

// hidden reports whether a character isn't printable. Space between the parts of JSON is
// no part of a string; in these it is an escape already.
func hidden(r rune) bool {
	if r < utf8.RuneSelf {
		return r == 0x7f
	}
	return r == utf8.RuneError || !isPrint(r)
}

// appendEscape appends \uXXXX, twice for a character beyond U+FFFF.
func appendEscape(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	units := utf16.AppendRune(nil, r)
	for _, u := range units {
		out = append(out, '\\', 'u', digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15])
	}
	return out
}
