package text

import (
	"encoding/pem"
	"errors"
	"testing"
)

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"a":                           "a",
		"\xef\xbb\xbfabc":             "abc",
		"\xef\xbb\xbf\xef\xbb\xbfabc": "\xef\xbb\xbfabc",
		"\xff\xfea\x00b\x00":          "UTF-16",
		"\xfe\xff\x00a\x00b":          "UTF-16",
		"a\x00b\x00":                  "UTF-16",
		"\x00a\x00b":                  "UTF-16",
		"\x00\x00\x00\x00":            "\x00\x00\x00\x00",
		"ünï":                         "ünï",
	} {
		got, err := Decode([]byte(in))
		if errors.Is(err, ErrUTF16) {
			got = []byte("UTF-16")
		}
		if string(got) != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPEM(t *testing.T) {
	const wanted = "-----BEGIN X-----\nAAAA\nAAAA\n-----END X-----\n"
	for _, in := range []string{
		wanted,
		"  -----BEGIN X-----\n  AAAA\n  AAAA\n  -----END X-----\n",
		"\t-----BEGIN X-----\r\n\tAAAA\r\n\tAAAA\r\n\t-----END X-----",
		`-----BEGIN X-----\nAAAA\nAAAA\n-----END X-----\n`,
		`-----BEGIN X-----\r\nAAAA\r\nAAAA\r\n-----END X-----` + "\n",
		"-----BEGIN X----- AAAA AAAA -----END X-----",
		" -----BEGIN X-----  AAAA\tAAAA -----END X----- \n",
		"-----BEGIN X-----AAAAAAAA-----END X-----\r\n",
		"text around it\n-----BEGIN X----- AAAA AAAA -----END X-----\n-----BEGIN Y----- BBBB -----END Y-----\n",
	} {
		b, _ := pem.Decode(PEM([]byte(in)))
		if b == nil || b.Type != "X" || len(b.Bytes) != 6 {
			t.Errorf("%q: got %v", in, b)
		}
	}
	if got := PEM([]byte(" {\n }")); string(got) != " {\n }" {
		t.Errorf("got %q of what is no PEM", got)
	}
}
