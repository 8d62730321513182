package reconcile

import (
	"errors"
	"testing"
	"time"

	"reconciler/internal/freeze"
)

// TestHoldIsAskedAnew: what is suspended holds from that moment on, however short
// ago it did not; that something is held may be known for a second.
func TestHoldIsAskedAnew(t *testing.T) {
	var suspensions []freeze.Suspension
	reads := 0
	var lost error
	newHolder := func() *holder {
		return &holder{mayWrite: func() error { return lost }, rules: func() *freeze.Rules {
			reads++
			return &freeze.Rules{Suspensions: suspensions}
		}}
	}
	h := newHolder()
	if why := h.why("acme.okta.com"); why != "" {
		t.Errorf("held: %q", why)
	}
	suspensions = []freeze.Suspension{{Owner: "ops", Reason: "incident", Since: time.Now()}}
	for range 100 {
		if why := h.why("acme.okta.com"); why == "" {
			t.Fatal("the suspension doesn't hold")
		}
	}
	suspensions, lost = nil, errors.New("another process took over")
	if why := h.why("acme.okta.com"); why == "" {
		t.Error("neither the suspension nor what is lost holds")
	}
	if why := newHolder().why("acme.okta.com"); why != lost.Error() {
		t.Errorf("lost: %q", why)
	}
	if reads > 3 {
		t.Errorf("read %d times", reads)
	}
}
