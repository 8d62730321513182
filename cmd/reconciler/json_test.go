package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// A terminal that shows JSON acts on nothing in it, and the data is the same.
func TestJSONHasNoHiddenCharacters(t *testing.T) {
	const name = "a\u202eb\u0085c\U000e0041<d>"
	var out strings.Builder
	if err := writeJSONList(&out, []string{name}); err != nil {
		t.Fatal(err)
	}
	if want := "[\n  \"a\\u202eb\\u0085c\\udb40\\udc41<d>\"\n]\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	var back []string
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil || len(back) != 1 || back[0] != name {
		t.Errorf("%q, %v", back, err)
	}
}
