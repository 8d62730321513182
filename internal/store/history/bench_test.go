package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"
)

// What a run notes of 20,000 orgs, 500 at a time: for the first time, and with a drift of
// each org that was seen before.
func BenchmarkFleet(b *testing.B) {
	const orgs, atOnce = 20_000, 500
	states, drift := make([]OrgState, orgs), make([]Drift, orgs)
	for i := range states {
		org := fmt.Sprintf("acme-%05d.okta.com", i)
		value := json.RawMessage(fmt.Sprintf(`{"products":["P000052","P000131"],"status":"ACTIVE","labels":{"number":"%d"}}`, i))
		states[i] = OrgState{Org: org, OrgID: fmt.Sprint("00o", i), Declared: value, Live: value}
		drift[i] = Drift{Org: org, Field: "status", Desired: json.RawMessage(`"ACTIVE"`), Actual: json.RawMessage(`"INACTIVE"`)}
	}
	for _, place := range []struct {
		name string
		at   func(testing.TB) location.Location
	}{
		{"folder", func(t testing.TB) location.Location { return location.Folder(t.TempDir()) }},
		{"postgres", postgrestest.New},
	} {
		b.Run(place.name+"/states", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				r := begin(b, newStore(b, place.at(b), Options{}), "r1")
				b.StartTimer()
				for some := range slices.Chunk(states, atOnce) {
					must(b, r.States(some))
				}
			}
		})
		b.Run(place.name+"/drift", func(b *testing.B) {
			r := begin(b, newStore(b, place.at(b), Options{}), "r1")
			_, err := r.Drift(drift, everything)
			must(b, err)
			for b.Loop() {
				_, err := r.Drift(drift, everything)
				must(b, err)
			}
		})
	}
}
