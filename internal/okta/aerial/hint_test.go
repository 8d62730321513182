package aerial

import (
	"strings"
	"testing"
)

// TestLinkHint: an org that can't be found while it is linked says nothing about
// the config, which the same run has read the account with.
func TestLinkHint(t *testing.T) {
	_, err := newClient(t, play(reply(404, "{}")), nil).LinkOrg(t.Context(), "", "acme-new.okta.com", "ok1", yes)
	hint := hintOf(err)
	for _, cause := range []string{"renamed or deleted", "id or cell may be wrong", "hasn't settled"} {
		if !strings.Contains(hint, cause) {
			t.Errorf("hint = %q, want something about %q", hint, cause)
		}
	}
	if strings.Contains(hint, testKeys.AccountID) || strings.Contains(hint, testKeys.URL) {
		t.Errorf("hint = %q", hint)
	}
	_, err = newClient(t, play(reply(404, "{}")), nil).Account(t.Context())
	if h := hintOf(err); !strings.Contains(h, testKeys.AccountID) {
		t.Errorf("the account's hint = %q", h)
	}
}
