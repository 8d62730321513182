package diff_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
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

// BenchmarkObjects makes, seals, writes and reads a plan in which all objects of a
// fleet differ.
func BenchmarkObjects(b *testing.B) {
	const orgs, each = 1000, 200
	desired, actual := fleet(orgs)
	var live []*objects.LiveObject
	var declared []*objects.Object
	for i := range each {
		name := fmt.Sprintf("Zone %03d", i)
		live = append(live, alive("networkZones", name, zone("BLOCKLIST", "ACTIVE", "192.0.2.0/24")))
		declared = append(declared, declare("networkZones", name, zone("BLOCKLIST", "ACTIVE", "192.0.2.0/24", "198.51.100.0/24")))
	}
	for i := range desired.Orgs {
		withConfig(&desired.Orgs[i], declared...)
	}
	b.Run("compare", func(b *testing.B) {
		for b.Loop() {
			for i := range desired.Orgs {
				if c := diff.CompareConfiguration(nil, &desired.Orgs[i], live1(live...), prefixes([]string{"203.0.113.0/24"})); len(c.Head.Differences) != each {
					b.Fatal(c)
				}
			}
		}
	})
	all := map[string]*diff.Configuration{}
	for i := range desired.Orgs {
		all[desired.Orgs[i].Domain] = diff.CompareConfiguration(nil, &desired.Orgs[i], live1(live...), nil)
	}
	opts := diff.Options{Account: account, Guards: wide, Configuration: func(domain string) *diff.Configuration { return all[domain] }}
	plan, err := diff.Compute(desired, actual, opts)
	if err != nil || len(plan.Changes) != orgs*each {
		b.Fatal(err)
	}
	b.Run("compute", func(b *testing.B) {
		for b.Loop() {
			if _, err := diff.Compute(desired, actual, opts); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := (diff.JSON{Indent: "  "}).Write(io.Discard, plan); err != nil {
				b.Fatal(err)
			}
		}
	})
	var file bytes.Buffer
	if err := (diff.JSON{Indent: "  "}).Write(&file, plan); err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := diff.ReadPlan(bytes.NewReader(file.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
}
