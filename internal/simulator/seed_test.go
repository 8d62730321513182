package simulator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"reconciler/internal/simulator"
)

func wantSeed(t *testing.T, got, want *simulator.Seed) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("seed (-want +got):\n%s", diff)
	}
}
