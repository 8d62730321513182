package rest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/text"
)

func TestError(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		line       string
	}{
		{"whole", `{"errorCode":"E0000001","errorSummary":"Api validation failed: subdomain","errorLink":"E0000001","errorId":"oae1","errorCauses":[{"errorSummary":"subdomain: taken"},{},{"errorSummary":"name: bad"}]}`, 400,
			"400 E0000001 Api validation failed: subdomain: subdomain: taken; name: bad (errorId oae1)"},
		{"no causes", `{"errorCode":"E0000007","errorSummary":"Not found: Resource not found","errorId":"oae2"}`, 404,
			"404 E0000007 Not found: Resource not found (errorId oae2)"},
		{"OAuth's", `{"error":"invalid_client","error_description":"Unknown client."}`, 401, "401 invalid_client: Unknown client. (request id req1)"},
		{"not JSON", "<html>\x1b[2J", 502, "502 Bad Gateway (request id req1)"},
		{"an array", `["errorCode"]`, 500, "500 Internal Server Error (request id req1)"},
		{"nothing", "", 599, "599 (request id req1)"},
		{"lines and escapes", `{"errorSummary":"a\nb\u001b[31mc","errorId":"1"}`, 400, "400 a b [31mc (errorId 1)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &Answer{Status: tt.status, Body: []byte(tt.body), Header: http.Header{"X-Okta-Request-Id": {"req1"}}}
			if line := newError(&Call{}, a).Error(); line != tt.line {
				t.Errorf("got  %s\nwant %s", line, tt.line)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for status, want := range map[int]struct{ refused, uncertain bool }{
		200: {false, true}, 307: {false, true}, 400: {true, false}, 401: {false, false}, 403: {true, false}, 404: {true, false},
		408: {false, true}, 409: {true, false}, 429: {false, false}, 500: {false, true}, 503: {false, true},
	} {
		e := &Error{Status: status}
		if e.Refused() != want.refused || e.uncertain() != want.uncertain {
			t.Errorf("%d: refused %v, uncertain %v", status, e.Refused(), e.uncertain())
		}
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
		if unsent(tt.err) != tt.unsent {
			t.Errorf("%v: want %v", tt.err, tt.unsent)
		}
	}
}

func TestErrorsKeepWhatTheyWrap(t *testing.T) {
	err := fmt.Errorf("creating: %w", Uncertain(text.WithHint(io.EOF, "look")))
	var uncertain interface{ Uncertain() bool }
	if !errors.Is(err, io.EOF) || text.Hint(err) != "look" || !errors.As(err, &uncertain) || !uncertain.Uncertain() {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff("creating: EOF; it may have taken effect all the same", err.Error()); d != "" {
		t.Error(d)
	}
	if Uncertain(nil) != nil {
		t.Error("no error is one")
	}
	if err := (&foreignError{fmt.Errorf("malformed answer\n00%s: %w", strings.Repeat("x", 40), io.EOF)}); err.Error() != "malformed answer [token]: EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

func TestWayHint(t *testing.T) {
	for _, tt := range []struct {
		err  error
		hint string // a part of it; empty for none
	}{
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, "certificate is not trusted"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, "no such host"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, "the server can't be reached"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, "the server can't be reached"},
		{&lateError{"30s"}, "does not answer"},
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
	if err == nil || err.Error() != "the test panicked: two lines" || !strings.Contains(text.Hint(err), "this is a bug") {
		t.Errorf("got %v", err)
	}
	if logged := buf.String(); !strings.Contains(logged, "level=ERROR") || !strings.Contains(logged, "TestRecover") {
		t.Errorf("logged %s", logged)
	}
}

func TestBudgetNumbers(t *testing.T) {
	var b budget
	now := time.Unix(1000, 0)
	take := func(want int) {
		t.Helper()
		n := 0
		for n < 1000 && b.take(now) {
			n++
		}
		if n != want {
			t.Errorf("%d retries, want %d", n, want)
		}
	}
	take(budgetSize)
	now = now.Add(5 * time.Second)
	take(5)
	b.success()
	b.success()
	take(2)
	now = now.Add(time.Hour)
	take(budgetSize)
	for range 1000 {
		b.success()
	}
	take(budgetSize)
}

func TestJudge(t *testing.T) {
	date := time.Unix(1_000_000, 0)
	for _, tt := range []struct {
		status  int
		headers string // name: value, by semicolons
		verdict verdict
		asked   time.Duration
	}{
		{429, "", limited, 0},
		{429, "Retry-After: 5", limited, 5 * time.Second},
		{429, "Retry-After: -5", limited, 0},
		{429, "Retry-After: 1.5", limited, 0},
		{429, "Retry-After: soon", limited, 0},
		{429, "Retry-After: 99999999999", limited, 24 * time.Hour},
		{429, "Retry-After: 99999999999999999999", limited, 0},
		{429, "X-Rate-Limit-Reset: 1000030", limited, 30 * time.Second},
		{429, "X-Rate-Limit-Reset: 1000030; Retry-After: 40", limited, 40 * time.Second},
		{429, "X-Rate-Limit-Reset: 1000030; Retry-After: 20", limited, 30 * time.Second},
		{429, "X-Rate-Limit-Reset: 999", limited, 0},
		{429, "X-Rate-Limit-Reset: -9223372036854775808", limited, 0},
		{429, "X-Rate-Limit-Reset: 1e9", limited, 0},
		{429, "X-Rate-Limit-Limit: 600; X-Rate-Limit-Remaining: 0; X-Rate-Limit-Reset: 1000001", limited, time.Second},
		{429, "X-Rate-Limit-Limit: 0; X-Rate-Limit-Remaining: 0; X-Rate-Limit-Reset: 1000060", busy, 0},
		{429, "X-Rate-Limit-Limit: 0; X-Rate-Limit-Remaining: 0; Retry-After: 1", busy, time.Second},
		{429, "X-Rate-Limit-Remaining: 0", limited, 0},
		{503, "Retry-After: 7", transient, 7 * time.Second},
		{500, "X-Rate-Limit-Reset: 1000060", transient, 0},
		{501, "Retry-After: 7", permanent, 0},
		{403, "Retry-After: 7", permanent, 0},
		{101, "", permanent, 0},
		{999, "", permanent, 0},
	} {
		h := http.Header{"Date": {date.UTC().Format(http.TimeFormat)}}
		for f := range strings.SplitSeq(tt.headers, "; ") {
			if name, value, ok := strings.Cut(f, ": "); ok {
				h.Set(name, value)
			}
		}
		if v, asked := judge(tt.status, h); v != tt.verdict || asked != tt.asked {
			t.Errorf("%d %q: got %d, %v, want %d, %v", tt.status, tt.headers, v, asked, tt.verdict, tt.asked)
		}
	}
}

func TestPacer(t *testing.T) {
	patient := &Policy{Repeat: Always, Attempts: 3, Backoff: time.Second, Failing: time.Minute, Throttled: 5 * time.Minute}
	once, counting, hasty := *patient, *patient, *patient
	once.Repeat, counting.Throttled = Never, 0
	hasty.Throttled, hasty.Failing = 0, 10*time.Second
	for _, tt := range []struct {
		name     string
		policy   *Policy
		failure  failure
		min, max time.Duration
		err      string
	}{
		{"backoff", patient, failure{verdict: transient}, time.Second / 2, time.Second, ""},
		{"asked for more", patient, failure{verdict: transient, asked: 7 * time.Second}, 7 * time.Second, 7 * time.Second, ""},
		{"asked for as much as there is", patient, failure{verdict: limited, asked: maxAsked}, maxAsked, maxAsked + spread, ""},
		{"asked for too much", patient, failure{verdict: limited, asked: time.Hour}, 0, 0, "x (not to be sent again until 23:10:05 UTC)"},
		{"asked for tomorrow", patient, failure{verdict: transient, asked: 2 * time.Hour}, 0, 0, "x (not to be sent again until 2000-01-02 00:10:05 UTC)"},
		{"asked for more than there is", patient, failure{verdict: limited, asked: time.Duration(1<<63 - 1)}, 0, 0, "x (not to be sent again for at least a day)"},
		{"asked for too much of a call that gives up sooner", &hasty, failure{verdict: limited, asked: 20 * time.Second}, 0, 0, "x (not to be sent again until 22:10:25 UTC)"},
		{"a guess of when there is room", patient, failure{verdict: busy, asked: time.Hour}, maxBusy, maxBusy, ""},
		{"slow", patient, failure{verdict: transient, took: time.Minute}, 0, 0, "x"},
		{"permanent", patient, failure{verdict: permanent}, 0, 0, "x"},
		{"not to be repeated", &once, failure{verdict: transient}, 0, 0, "x"},
		{"not to be repeated, limited", &once, failure{verdict: limited, asked: time.Second}, time.Second, time.Second + spread, ""},
		{"a limit counts", &counting, failure{verdict: limited, asked: 5 * time.Second}, 5 * time.Second, 5 * time.Second, ""},
		{"a limit that asks for too much counts", &counting, failure{verdict: limited, asked: time.Hour}, 0, 0, "x (not to be sent again until 23:10:05 UTC)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(22*time.Hour + 10*time.Minute + 4500*time.Millisecond) // of a day that begins at midnight, UTC
			var p pacer
			tt.failure.err = errors.New("x")
			wait, err := p.next(&tt.failure, tt.policy, &budget{})
			if wait < tt.min || wait > tt.max || fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
				t.Errorf("%s: %v, %v", tt.name, wait, err)
			}
		})
	}
}
