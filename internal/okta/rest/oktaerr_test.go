package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		line       string
	}{
		{"whole", `{"errorCode":"E0000001","errorSummary":"Api validation failed: subdomain","errorLink":"E0000001","errorId":"oae1","errorCauses":[{"errorSummary":"subdomain: taken"},{},{"errorSummary":"name: bad"}]}`, 400,
			"400 E0000001 Api validation failed: subdomain: subdomain: taken; name: bad (errorId oae1)"},
		{"no causes", `{"errorCode":"E0000007","errorSummary":"Not found: Resource not found","errorId":"oae2"}`, 404,
			"404 E0000007 Not found: Resource not found (errorId oae2)"},
		{"not JSON", "<html>\x1b[2J", 502, "502 Bad Gateway"},
		{"an array", `["errorCode"]`, 500, "500 Internal Server Error"},
		{"nothing", "", 599, "599"},
		{"lines and escapes", `{"errorSummary":"a\nb\u001b[31mc"}`, 400, "400 a b [31mc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if line := Read([]byte(tt.body)).Line(tt.status); line != tt.line {
				t.Errorf("got  %s\nwant %s", line, tt.line)
			}
		})
	}
}

func TestCleanLeavesNoToken(t *testing.T) {
	ssws := "00QCjAl4MlV-WPXM" + strings.Repeat("x", 26)
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiIwb2ExIn0.c2ln-bmF0_dXJl"
	for _, s := range []string{
		ssws, "SSWS " + ssws, "token=" + ssws + ";", "'" + ssws + "'.", "(" + ssws + ") " + ssws,
		jwt, "Bearer " + jwt, `"` + jwt + `"`,
		"client_assertion%3D" + jwt + "%26x", "token%3d" + ssws + "%26x", "api_token_" + ssws, ssws + "_and_more", "xx" + jwt,
	} {
		if c := Clean(s); strings.Contains(c, ssws) || strings.Contains(c, jwt) || !strings.Contains(c, "[token]") {
			t.Errorf("%q became %q", s, c)
		}
	}
	for _, s := range []string{"00oy0itaI2Yi7XGGE0g3", "0200bs0617vvhv2v675mch1cukp", "E0000001", strings.Repeat("0", 41), "1" + strings.Repeat("0", 43), "eyJ", "honeyJar stays"} {
		if c := Clean(s); c != s {
			t.Errorf("%q became %q", s, c)
		}
	}
}

func TestClean(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{"", ""},
		{"  plain \t words\r\n", "plain words"},
		{"a\x00b\x1b[2Jc\u202ed", "a b [2Jc d"},
		{"Bearer eyJraWQiOiJ4IiwiYWxnIjoiUlMyNTYifQ.eyJzY3AiOlsi.c2ln!", "Bearer [token]!"},
		{"\xff\xfe", "\uFFFD\uFFFD"},
		{strings.Repeat("é", maxWords+1), strings.Repeat("é", maxWords) + "…"},
	} {
		if got := Clean(tt.in); got != tt.out || !utf8.ValidString(got) {
			t.Errorf("%q became %q, want %q", tt.in, got, tt.out)
		}
	}
}

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

func TestUnsent(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, tt := range []struct {
		err    error
		unsent bool
	}{
		{dial, true},
		{fmt.Errorf("get: %w", dial), true},
		{&net.OpError{Op: "proxyconnect", Err: errors.New("refused")}, true},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, false},
		{&net.OpError{Op: "write", Err: errors.New("broken pipe")}, false},
		{io.ErrUnexpectedEOF, false},
	} {
		if Unsent(tt.err) != tt.unsent {
			t.Errorf("%v: want %v", tt.err, tt.unsent)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestOnWire(t *testing.T) {
	_, err := Wire{failing{io.EOF}}.RoundTrip(nil)
	if err == nil || err.Error() != "EOF" || OnWire(fmt.Errorf("sending: %w", err)) != io.EOF {
		t.Errorf("got %v", err)
	}
	if err := OnWire(fmt.Errorf("no token: %w", io.EOF)); err != nil {
		t.Errorf("got %v for an error from above", err)
	}
	if OnWire(nil) != nil {
		t.Error("no error is one")
	}
}

func TestErrorsKeepWhatTheyWrap(t *testing.T) {
	err := fmt.Errorf("creating: %w", &UncertainError{WithHint(io.EOF, "look")})
	var hint interface{ Hint() string }
	var uncertain interface{ Uncertain() bool }
	if !errors.Is(err, io.EOF) || !errors.As(err, &hint) || hint.Hint() != "look" || !errors.As(err, &uncertain) || !uncertain.Uncertain() {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff("creating: EOF; it may have taken effect all the same", err.Error()); d != "" {
		t.Error(d)
	}
}

func TestWayHint(t *testing.T) {
	for _, tt := range []struct {
		err  error
		hint string // a part of it; empty for none
	}{
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, "certificate is not trusted"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, "no such host"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, "no way to the server"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, "no way to the server"},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, ""},
		{io.EOF, ""},
		{nil, ""},
	} {
		hint := WayHint(tt.err, "the.key")
		if !strings.Contains(hint, tt.hint) || (hint == "") != (tt.hint == "") || hint != "" && !strings.Contains(hint, "check the.key,") {
			t.Errorf("%v: hint = %q, want something about %q", tt.err, hint, tt.hint)
		}
	}
}

func TestRecover(t *testing.T) {
	var buf bytes.Buffer
	log := slog.New(slog.NewTextHandler(&buf, nil))
	run := func(f func() error) (err error) {
		defer Recover(log, "the test", &err)
		return f()
	}
	if err := run(func() error { return io.EOF }); err != io.EOF || buf.Len() > 0 {
		t.Errorf("without a panic: %v, logged %s", err, &buf)
	}
	err := run(func() error { panic("two\nlines") })
	var hint interface{ Hint() string }
	if err == nil || err.Error() != "the test panicked: two lines" || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "this is a bug") {
		t.Errorf("got %v", err)
	}
	if logged := buf.String(); !strings.Contains(logged, "level=ERROR") || !strings.Contains(logged, "TestRecover") {
		t.Errorf("logged %s", logged)
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
