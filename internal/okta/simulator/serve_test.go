package simulator_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

func TestServe(t *testing.T) {
	s := simulatortest.New(t, simulatortest.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddFault(simulator.Fault{Path: "/api/v1/logs", Hang: true}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url := "http://" + l.Addr().String()
	resp, err := client.Get(url + "/x")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Errorf("got %s", resp.Status)
	}

	// A call that hangs does not keep it from stopping.
	hanging := make(chan error, 1)
	go func() {
		resp, err := client.Get(url + "/api/v1/logs")
		if err == nil {
			resp.Body.Close()
		}
		hanging <- err
	}()
	for len(s.Requests()) < 2 {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := <-hanging; err == nil {
		t.Error("the hanging call got an answer")
	}
	if _, err := client.Get(url); err == nil {
		t.Error("still serving")
	}
}

func TestServeFails(t *testing.T) {
	s := simulatortest.New(t, simulatortest.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

func TestCheckListen(t *testing.T) {
	tests := []struct{ address, err string }{
		{"127.0.0.1:8080", ""},
		{"127.0.0.1:0", ""},
		{"127.1.2.3:80", ""},
		{"[::1]:8080", ""},
		{"localhost:8080", ""},
		{":8080", "loopback only"},
		{"0.0.0.0:8080", "loopback only; use 127.0.0.1:8080"},
		{"[::]:8080", "loopback only"},
		{"192.0.2.1:8080", "loopback only"},
		{"okta.com:443", "loopback only"},
		{"127.0.0.1", "want HOST:PORT"},
		{"127.0.0.1:http", "port \"http\""},
		{"127.0.0.1:70000", "port \"70000\""},
		{"", "want HOST:PORT"},
	}
	for _, tt := range tests {
		err := simulator.CheckListen(tt.address)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: got %v, want %q", tt.address, err, tt.err)
		}
	}
}

// Each call takes the latency, also those that fail.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulatortest.New(t, simulatortest.Config{Options: simulator.Options{Latency: 50 * time.Millisecond}})
		f := &fixture{s, t, newClock(), "ES256"}
		f.clock.now = time.Now()
		took := func(call func()) time.Duration {
			begin := time.Now()
			call()
			return time.Since(begin)
		}
		var token string
		for i, call := range []func(){
			func() { token = f.token(scopeRead) },
			func() { f.aerial(token, "GET", "/api/v1/orgs", "") },
			func() { f.aerial("x", "GET", "/api/v1/orgs", "") },
			func() { f.send("GET", "/x", "") },
		} {
			if got := took(call); got != 50*time.Millisecond {
				t.Errorf("call %d took %s", i, got)
			}
		}
		f.Fault(t, "GET /api/v1/accounts delay=2s")
		if got := took(func() { f.aerial(token, "GET", "/api/v1/accounts", "") }); got != 2050*time.Millisecond {
			t.Errorf("took %s", got)
		}
	})
}

// Mounted under a prefix, it speaks of the URL that the client called.
func TestPrefix(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 30})
	srv := httptest.NewServer(http.StripPrefix("/okta", f.Simulator))
	defer srv.Close()
	f.URL, f.Client = srv.URL+"/okta", srv.Client()
	token := f.token(scopeRead)
	r := f.aerial(token, "GET", "/api/v1/orgs?limit=20", "")
	next := links(t, r)["next"]
	if !strings.HasPrefix(next, srv.URL+"/okta/"+f.AccountID+"/api/v1/orgs?") {
		t.Fatalf("next is %q", next)
	}
	wantStatus(t, f.send("GET", next, "", "Authorization", "Bearer "+token), 200)
}

func TestRequests(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 3})
	token := f.token(scopeManage)
	f.aerial(token, "GET", "/api/v1/orgs?limit=3", "")
	f.aerial(token, "PUT", "/api/v1/accounts", `{"name":"A"}`)
	f.asParent("POST", "/api/v1/orgs", creation("acme-x"))
	f.send("GET", "/x", "")
	type line struct {
		n            int
		method, path string
		query, body  string
		client       string
		status       int
		aerial       bool
	}
	base := "/" + f.AccountID
	want := []line{
		{1, "POST", "/oauth2/v1/token", "", "", f.Credentials.ClientID, 200, false},
		{2, "GET", base + "/api/v1/orgs", "limit=3", "", f.Credentials.ClientID, 200, true},
		{3, "PUT", base + "/api/v1/accounts", "", `{"name":"A"}`, f.Credentials.ClientID, 200, true},
		{4, "POST", "/api/v1/orgs", "", creation("acme-x"), "SSWS acme.okta.com", 201, false},
		{5, "GET", "/x", "", "", "", 404, false},
	}
	all := f.Requests()
	if len(all) != len(want) {
		t.Fatalf("got %d requests", len(all))
	}
	for i, r := range all {
		if got := (line{r.N, r.Method, r.Path, r.Query, r.Body, r.Client, r.Status, r.Aerial}); got != want[i] {
			t.Errorf("got %+v, want %+v", got, want[i])
		}
	}
	if w := f.Writes(); len(w) != 2 || w[0].N != 3 || w[1].N != 4 {
		t.Errorf("writes: %+v", w)
	}
	f.ResetRequests()
	f.send("GET", "/x", "")
	if all := f.Requests(); len(all) != 1 || all[0].N != 6 {
		t.Errorf("got %+v", all)
	}
}

// Everything at once, for the race detector.
func TestRace(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 20})
	token := f.token(scopeManage)
	domain := f.Orgs()[10].Domain
	f.Fault(t, "GET /api/v1/orgs probability=0.2 status=500")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				switch i {
				case 0:
					f.Dump()
				case 1:
					f.SetOrgProducts(domain, []string{"P000052"}, "eve@acme.example")
				case 2:
					f.Requests()
					f.RevokeTokens()
				case 3:
					f.ClearFaults()
					f.AddFault(simulator.Fault{Cut: true, Probability: 0.1})
				case 4:
					f.aerial(token, "PUT", "/api/v1/orgs/"+f.orgID(domain)+"/products", `[]`)
				case 5:
					f.asParent("GET", "/api/v1/logs", "")
				default:
					f.aerial(token, "GET", "/api/v1/orgs", "")
					f.post(f.form(scopeRead))
				}
			}
		})
	}
	wg.Wait()
}

// A request that breaks off in its middle is not carried out, even if what
// came of it makes sense.
func TestBrokenRequest(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 3})
	token := f.token(scopeManage)
	domain := f.Orgs()[6].Domain
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT /%s/api/v1/orgs/%s/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[]",
		f.AccountID, f.orgID(domain), token)
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, conn)
	conn.Close()
	if o, _ := f.Org(domain); len(o.Products) == 0 {
		t.Error("half a request took effect")
	}
	if w := f.Writes(); len(w) != 1 || w[0].Status != 0 {
		t.Errorf("writes: %+v", w)
	}
}
