package diff_test

import (
	"testing"

	"reconciler/internal/diff"
)

func BenchmarkCompute(b *testing.B) {
	for _, tt := range []struct {
		name    string
		drifted int // each so many-th org
	}{{"in sync", 0}, {"each tenth differs", 10}, {"all differ", 1}} {
		b.Run(tt.name, func(b *testing.B) {
			desired, actual := fleet(10_000)
			for i := range desired.Orgs {
				if tt.drifted > 0 && i%tt.drifted == 0 {
					desired.Orgs[i].Products = []string{"P000052", "P000131"}
				}
			}
			for b.Loop() {
				if _, err := diff.Compute(desired, actual, diff.Options{Account: account}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
