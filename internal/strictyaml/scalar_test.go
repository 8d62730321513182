package strictyaml

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestScalar(t *testing.T) {
	tests := []struct{ s, wanted string }{
		{"acme-emea.okta.com", "acme-emea.okta.com"},
		{"00oy0itaI2Yi7XGGE0g3", "00oy0itaI2Yi7XGGE0g3"},
		{"Acme Holdings", "Acme Holdings"},
		{"", `""`},
		{" x", `" x"`},
		{"x ", `"x "`},
		{"017", `"017"`},
		{"1.0", `"1.0"`},
		{"1e3", `"1e3"`},
		{"2024-01-01", `"2024-01-01"`},
		{"yes", `"yes"`},
		{"NULL", `"NULL"`},
		{"true", `"true"`},
		{"a: b", `"a: b"`},
		{"a #b", `"a #b"`},
		{"Zürich", `"Zürich"`},
		{"a\n\x1b", `"a\n\x1b"`},
		{`a"b\`, `"a\"b\\"`},
	}
	for _, tt := range tests {
		if got := Scalar(tt.s); got != tt.wanted {
			t.Errorf("Scalar(%q) = %s, want %s", tt.s, got, tt.wanted)
		}
	}
}

// What Scalar writes reads back as it was, in any place.
func TestScalarRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.ToValidUTF8(rapid.String().Draw(t, "s"), "")
		q := Scalar(s)
		docs, err := Decode[paint]("f", []byte("name: "+q+"\ntags: ["+q+", "+q+"]\nenv: {"+q+": "+q+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		p := docs[0]
		if p.Name != s || len(p.Tags) != 2 || p.Tags[1] != s || p.Env[s] != s {
			t.Fatalf("%q was read as %+v", s, p)
		}
	})
}
