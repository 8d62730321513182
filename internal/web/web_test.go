package web

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaits(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		after, reset         string
		wantAfter, wantReset time.Duration
	}{
		{"", "", 0, 0},
		{"3", "1795262460", 3 * time.Second, time.Minute},
		{"-3", "1795262399", 0, 0},
		{"99999999999999", "x", 24 * time.Hour, 0},
		{"Sat, 21 Nov 2026 12:00:30 GMT", "", 30 * time.Second, 0},
		{"Sat, 21 Nov 2026 11:00:30 GMT", "-1", 0, 0},
		{"soon", "99999999999999999999", 0, 0},
		{"Sat, 21 Nov 2099 12:00:00 GMT", "9223372036854775807", 24 * time.Hour, 24 * time.Hour},
		{"1.5", "-9223372036854775808", 0, 0},
	}
	for _, tt := range tests {
		h := http.Header{}
		h.Set("Retry-After", tt.after)
		h.Set("X-Rate-Limit-Reset", tt.reset)
		if after, reset := RetryAfter(h, now), Reset(h, now); after != tt.wantAfter || reset != tt.wantReset {
			t.Errorf("%q, %q: got %v and %v", tt.after, tt.reset, after, reset)
		}
	}
	h := http.Header{"Date": {"Sat, 21 Nov 2026 12:00:00 GMT"}}
	if at := ServerTime(h); !at.Equal(now) {
		t.Errorf("got %v", at)
	}
	if at := ServerTime(http.Header{"Date": {"today"}}); time.Since(at) > time.Minute {
		t.Errorf("got %v", at)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if err := Sleep(ctx, time.Minute); err != context.DeadlineExceeded || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"https://acme.okta.com", "https://ACME.okta.com:443/api?x#y", true},
		{"HTTP://acme.okta.com:80", "http://acme.okta.com", true},
		{"https://acme.okta.com.", "https://acme.okta.com", true},
		{"http://[::1]:8080", "http://[::1]:8080/x", true},
		{"https://acme.okta.com", "http://acme.okta.com", false},
		{"https://acme.okta.com:80", "https://acme.okta.com", false},
		{"https://acme.okta.com", "https://acme.okta.com:8443", false},
		{"https://acme.okta.com", "https://acme.okta.com.evil.example", false},
		{"https://acme.okta.com", "https://acme.okta.com@evil.example", false},
		{"https://acme.okta.com", "https:acme.okta.com", false},
		{"", "", false},
		{"https://.", "https://.", false},
		{"", "https://acme.okta.com", false},
	} {
		a, _ := url.Parse(tt.a)
		b, _ := url.Parse(tt.b)
		if OriginOf(a).Has(b) != tt.same || OriginOf(b).Has(a) != tt.same {
			t.Errorf("%q and %q: want %v", tt.a, tt.b, tt.same)
		}
	}
	if OriginOf(nil).Has(nil) {
		t.Error("nowhere is somewhere")
	}
	for in, out := range map[string]string{
		"http://[::1]:8080/x?y":              "http://[::1]:8080",
		"https://user:pw@ACME.okta.com.:443": "https://acme.okta.com",
		"mailto:x":                           "nowhere",
	} {
		u, _ := url.Parse(in)
		if got := OriginOf(u).String(); got != out {
			t.Errorf("%q: got %q, want %q", in, got, out)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "127.0.0.1.example": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: got %v", host, got)
		}
	}
}
