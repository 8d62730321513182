package simulator_test

import (
	"net/http/httptest"
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
