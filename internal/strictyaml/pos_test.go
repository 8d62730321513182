package strictyaml

import "testing"

func TestVisible(t *testing.T) {
	for _, tt := range []struct{ text, wanted string }{
		{"", ""},
		{`orgs/größe "1" 100%\.yaml`, `orgs/größe "1" 100%\.yaml`},
		{"a\nb\r.yaml", `a\nb\r.yaml`},
		{"\x1b[31m\x00\xff\u202e\u0085\ufffd", `\x1b[31m\x00\xff\u202e\u0085` + "\ufffd"},
	} {
		if got := Visible(tt.text); got != tt.wanted {
			t.Errorf("Visible(%q) = %s, wanted %s", tt.text, got, tt.wanted)
		}
		if again := Visible(tt.wanted); again != tt.wanted {
			t.Errorf("%s becomes %s", tt.wanted, again)
		}
	}
	err := &Error{Pos: Pos{"a\n::error::b.yaml", 3, 7}, Msg: "wrong"}
	if got := err.Error(); got != `a\n::error::b.yaml:3:7: wrong` {
		t.Errorf("%q", got)
	}
	err.Pos = Pos{File: "orgs\r"}
	if got := err.Error(); got != `orgs\r: wrong` {
		t.Errorf("of a folder: %q", got)
	}
}
