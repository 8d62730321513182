package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// What commands print and how they exit is not enough: the demo looks at the
// simulator itself.
func TestCommandsThatOnlyClaim(t *testing.T) {
	for _, tt := range []struct {
		name  string
		exits map[string]int
		says  string
	}{
		{"wrong exit code", map[string]int{"diff": exitOK}, "reconciler diff ended with 0 instead of 2"},
		{"nothing applied", map[string]int{"diff": exitDifferences}, "the account is not what was applied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := Run(t.Context(), Options{
				Out: &out,
				Command: func(_ context.Context, out io.Writer, args ...string) int {
					fmt.Fprintln(out, "Declared change", linkedOrg, lifecycle, "cannot be undone")
					return tt.exits[args[0]]
				},
			})
			if err == nil || err.Error() != tt.says || strings.Contains(out.String(), "really happened") {
				t.Errorf("%v:\n%s", err, out.String())
			}
		})
	}
}

func TestStoppedDemo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, Options{Out: io.Discard, Command: func(context.Context, io.Writer, ...string) int {
		cancel()
		return 1
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
