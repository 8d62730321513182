package strictyaml

import "testing"

func TestErrorNamesFileVisibly(t *testing.T) {
	err := &Error{Pos: Pos{"a\n::error::b.yaml", 3, 7}, Msg: "wrong"}
	if got := err.Error(); got != `a\n::error::b.yaml:3:7: wrong` {
		t.Errorf("%q", got)
	}
	err.Pos = Pos{File: "orgs\r"}
	if got := err.Error(); got != `orgs\r: wrong` {
		t.Errorf("of a folder: %q", got)
	}
}
