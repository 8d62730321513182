package aerial

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// BenchmarkObserve measures what reading a fleet costs in time and memory
// where the API answers at once and without a connection.
func BenchmarkObserve(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(strconv.Itoa(n)+" orgs", func(b *testing.B) {
			c, err := New(Options{URL: mustURL("http://aerial.test"), AccountID: testAccount, Transport: inProcess{written(n)}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				actual, err := c.Observe(b.Context(), nil)
				if err != nil || len(actual.Orgs) != n {
					b.Fatal(err)
				}
			}
		})
	}
}

// written is an API whose every answer is written down beforehand.
func written(n int) http.Handler {
	pages := make([]http.HandlerFunc, 0, n/100)
	for from := 0; from < n; from += 100 {
		orgs := make([]string, 0, 100)
		for i := from; i < from+100; i++ {
			orgs = append(orgs, fmt.Sprintf(`{"id":"00o%017d","accountId":"%s","name":"Org %d","cell":"ok1","region":"EMEA","domain":"acme-%d.okta.com","status":"ACTIVE","aerialOrg":false,"createdDate":"2023-12-08T20:15:18.000Z","createdBy":"x"}`, i, testAccount, i, i))
		}
		next := ""
		if from+100 < n {
			next = "?after=" + strconv.Itoa(from/100+1)
		}
		pages = append(pages, page("["+strings.Join(orgs, ",")+"]", next))
	}
	account := reply(200, accountBody)
	products := reply(200, `[{"id":"P000139","name":"IT Products - Lifecycle Management with 1 OIN App"},{"id":"P000052","name":"IT Products - SSO"},{"id":"P000131","name":"IT Products - MFA"}]`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/accounts"):
			account(w, r)
		case strings.HasSuffix(r.URL.Path, "/products"):
			products(w, r)
		default:
			after, _ := strconv.Atoi(r.URL.Query().Get("after"))
			pages[after](w, r)
		}
	})
}

// BenchmarkObserveLatency reads a thousand orgs from a simulator on loopback
// that takes 50 ms for each call, token included, and tells how near that comes
// to the least time that ten calls at once allow for pages and products.
func BenchmarkObserveLatency(b *testing.B) {
	const latency = 50 * time.Millisecond
	s := simulatortest.Start(b, simulatortest.Config{Orgs: 1000, Options: simulator.Options{Latency: latency}})
	pem, err := s.Credentials.PEM()
	if err != nil {
		b.Fatal(err)
	}
	base := BaseTransport(MaxConcurrency)
	defer base.CloseIdleConnections()
	calls := 0
	for b.Loop() {
		s.ResetRequests()
		u := mustURL(s.URL)
		tokens, err := auth.New(auth.Options{
			OrgURL: u, ClientID: s.Credentials.ClientID, KeyID: s.Credentials.KeyID, HTTP: base,
			Key: func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(pem) },
		})
		if err != nil {
			b.Fatal(err)
		}
		c, err := New(Options{URL: u, AccountID: s.AccountID, Transport: base, Auth: func(base http.RoundTripper) http.RoundTripper {
			return tokens.Transport(base, u, "okta.accounts.read")
		}})
		if err != nil {
			b.Fatal(err)
		}
		actual, err := c.Observe(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		calls = (len(actual.Orgs)+99)/100 + len(actual.Orgs)
		if n := len(s.Requests()); n != calls+3 || s.MaxInFlight() > MaxConcurrency {
			b.Fatalf("%d calls and %d at once, want %d and %d", n, s.MaxInFlight(), calls+3, MaxConcurrency)
		}
	}
	least := time.Duration(calls) * latency / MaxConcurrency
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/least.Seconds(), "×least")
}
