package org

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"reconciler/internal/okta/objects"
)

// inProcess answers requests without any connection.
type inProcess struct{ h http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.h.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// BenchmarkRead reads an org with 200 network zones, the answers apart.
func BenchmarkRead(b *testing.B) {
	list := zones(0, 200)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/zones" {
			reply(200, list)(w, r)
			return
		}
		reply(200, fmt.Sprintf(`{"id":%q,"pipeline":"idx"}`, acme.OrgID))(w, r)
	})
	c, err := New(Options{
		URL: "http://{domain}", Transport: inProcess{h},
		Credentials: func(objects.Target) (Credentials, error) {
			return Credentials{Token: func() (string, error) { return "00token", nil }}, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		live, err := c.Read(b.Context(), acme, reads("networkZones"))
		if err != nil || len(live.Objects) != 200 {
			b.Fatal(err)
		}
	}
}
