package simulator_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// A call must cost little next to what is measured with the simulator.
func BenchmarkCalls(b *testing.B) {
	s := start(b, simulatortest.Config{Orgs: 1000})
	bearer := "Bearer " + s.token(scopeRead)
	for name, path := range map[string]string{
		"page":     "/api/v1/orgs?limit=100",
		"products": "/api/v1/orgs/" + s.orgID(simulator.DefaultParent) + "/products",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest("GET", "/"+s.AccountID+path, nil)
				r.Header.Set("Authorization", bearer)
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}

// Reading the configuration of a fleet for the first time, and then again.
func BenchmarkFleet(b *testing.B) {
	const zone, group = `{"type":"DYNAMIC","name":"Zone %d","asns":["%d"]}`, `{"profile":{"name":"Group %d","description":"%d"}}`
	some := func(n int, form string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(form, i, i))
		}
		return strings.Join(all, ",")
	}
	seed := simulator.DefaultSeed(1000)
	for i := range seed.Orgs {
		seed.Orgs[i].Status = "ACTIVE"
		seed.Orgs[i].Tokens = []string{fmt.Sprintf("00token%d", i)}
		seed.Orgs[i].Configuration = fmt.Sprintf(`{"networkZones":[%s],"groups":[%s]}`, some(100, zone), some(100, group))
	}
	orgs := seed.Orgs
	for b.Loop() {
		s := simulatortest.New(b, simulatortest.Config{Seed: seed})
		for range 2 {
			for _, o := range orgs {
				for _, path := range []string{"zones?limit=200", "groups", "policies?type=PASSWORD&expand=rules"} {
					r := httptest.NewRequest("GET", "/org/"+o.Domain+"/api/v1/"+path, nil)
					r.Header.Set("Authorization", "SSWS "+o.Tokens[0])
					w := httptest.NewRecorder()
					s.ServeHTTP(w, r)
					if w.Code != 200 {
						b.Fatal(w.Body)
					}
				}
			}
		}
	}
}
