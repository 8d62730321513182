package aerial

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/okta/rest"
)

// TestHints: the hint names the config's keys, and is one line.
func TestHints(t *testing.T) {
	c := &Client{keys: testKeys}
	for _, tt := range []struct {
		err  *rest.Error
		hint string // a part of it; empty for none
	}{
		{&rest.Error{Status: 401}, "aerial.auth"},
		{&rest.Error{Status: 403, Method: "GET"}, "okta.accounts.read"},
		{&rest.Error{Status: 403, Method: "PUT"}, "okta.accounts.manage"},
		{&rest.Error{Status: 404, Endpoint: "orgs/{id}/products"}, "does not manage an org"},
		{&rest.Error{Status: 404, Endpoint: "orgs"}, "aerial.accountID"},
		{&rest.Error{Status: 429}, "aerial.concurrency"},
		{&rest.Error{Status: 308}, "aerial.url"},
		{&rest.Error{Status: 500, ID: "oae1"}, "errorId"},
		{&rest.Error{Status: 502}, "proxy"},
		{&rest.Error{Status: 400}, ""},
	} {
		hint := c.hint(tt.err)
		if !strings.Contains(hint, tt.hint) || tt.hint == "" && hint != "" || strings.Contains(hint, "\n") {
			t.Errorf("%v: hint = %q, want something about %q", tt.err, hint, tt.hint)
		}
	}
}

func TestAlreadyRequested(t *testing.T) {
	marked := func(e rest.Error) bool {
		var m interface{ AlreadyRequested() bool }
		err := markRequested(fmt.Errorf("outer: %w", &e))
		var kept *rest.Error
		if !errors.As(err, &kept) {
			t.Errorf("lost what Okta says: %v", err)
		}
		return errors.As(err, &m) && m.AlreadyRequested()
	}
	said := rest.Error{Status: 400, Causes: []string{"The deletion of the org has Already been requested"}}
	if !marked(said) {
		t.Error("not recognized")
	}
	for _, change := range []func(*rest.Error){
		func(e *rest.Error) { e.Status = 500 },
		func(e *rest.Error) { e.Causes = []string{"status: The org must be INACTIVE"} },
	} {
		e := said
		change(&e)
		if marked(e) {
			t.Errorf("taken for it: %+v", e)
		}
	}
	if markRequested(nil) != nil {
		t.Error("no error is one")
	}
}
