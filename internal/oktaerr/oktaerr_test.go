package oktaerr

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

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
	} {
		if c := Clean(s); strings.Contains(c, ssws) || strings.Contains(c, jwt) || !strings.Contains(c, "[token]") {
			t.Errorf("%q became %q", s, c)
		}
	}
	for _, s := range []string{"00oy0itaI2Yi7XGGE0g3", "0200bs0617vvhv2v675mch1cukp", "E0000001", strings.Repeat("0", 43), "eyJ"} {
		if c := Clean(s); c != s {
			t.Errorf("%q became %q", s, c)
		}
	}
	if c := Clean(strings.Repeat("ä", 1000)); len([]rune(c)) != maxWords+1 {
		t.Errorf("%d characters are left", len([]rune(c)))
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
