package report

import (
	"fmt"
	"io"
	"testing"

	"reconciler/internal/diff"
)

// BenchmarkObjects writes a plan of 200,000 changes, of which most are the same in all
// orgs, in each format.
func BenchmarkObjects(b *testing.B) {
	const orgs, each = 1000, 200
	var p diff.Plan
	for i := range orgs {
		org, id := fmt.Sprintf("acme-%05d.okta.com", i), fmt.Sprintf("00o%05d000000000000g", i)
		for k := range each {
			description := "A group"
			if k%10 == 0 {
				description = org
			}
			p.Changes = append(p.Changes, object(org, id, diff.UpdateObject, "groups", fmt.Sprintf("Group %d", k), field("profile.description", "", description)))
		}
	}
	plan := withObjects(newPlan(orgs, 0, p), orgs*each, 0, 0, 0)
	for _, f := range []Format{Text, JSON, Markdown, HTML} {
		b.Run(string(f), func(b *testing.B) {
			for b.Loop() {
				if err := Write(io.Discard, f, Data{Plan: plan}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
