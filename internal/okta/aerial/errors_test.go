package aerial

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/okta/rest"
)

// TestHints: the hint is found however deep the error is wrapped, names the
// config's keys, and is not part of the error.
func TestHints(t *testing.T) {
	for _, tt := range []struct {
		err  *Error
		hint string // a part of it; empty for none
	}{
		{&Error{Status: 401}, "aerial.auth"},
		{&Error{Status: 403, Method: "GET"}, "okta.accounts.read"},
		{&Error{Status: 403, Method: "PUT"}, "okta.accounts.manage"},
		{&Error{Status: 404, Endpoint: "orgs/{id}/products"}, "does not manage an org"},
		{&Error{Status: 404, Endpoint: "orgs"}, "aerial.accountID"},
		{&Error{Status: 429}, "aerial.concurrency"},
		{&Error{Status: 308}, "aerial.url"},
		{&Error{Status: 500, Body: rest.Body{ID: "oae1"}}, "errorId"},
		{&Error{Status: 502}, "proxy"},
		{&Error{Status: 400}, ""},
	} {
		wrapped := fmt.Errorf("outer: %w", &UncertainError{Err: fmt.Errorf("inner: %w", tt.err)})
		var h interface{ Hint() string }
		if !errors.As(wrapped, &h) {
			t.Fatalf("%v has no hint", wrapped)
		}
		hint := h.Hint()
		if !strings.Contains(hint, tt.hint) || tt.hint == "" && hint != "" {
			t.Errorf("%v: hint = %q, want something about %q", tt.err, hint, tt.hint)
		}
		if hint != "" && strings.Contains(wrapped.Error(), hint) || strings.Contains(hint, "\n") {
			t.Errorf("%v: hint = %q", wrapped, hint)
		}
	}
}

func TestRefused(t *testing.T) {
	for status, refused := range map[int]bool{
		200: false, 307: false, 400: true, 401: false, 403: true, 404: true, 408: false, 409: true, 429: false, 500: false, 503: false,
	} {
		if (&Error{Status: status}).Refused() != refused {
			t.Errorf("%d: want %v", status, refused)
		}
	}
}

func TestAlreadyRequested(t *testing.T) {
	said := Error{Endpoint: "orgs/{id}/deletionRequest", Status: 400, Body: rest.Body{Causes: []string{"The deletion of the org has Already been requested"}}}
	if !said.AlreadyRequested() {
		t.Error("not recognized")
	}
	for _, change := range []func(*Error){
		func(e *Error) { e.Endpoint = "orgs" },
		func(e *Error) { e.Status = 500 },
		func(e *Error) { e.Causes = []string{"status: The org must be INACTIVE"} },
	} {
		e := said
		change(&e)
		if e.AlreadyRequested() {
			t.Errorf("taken for it: %+v", e)
		}
	}
}
