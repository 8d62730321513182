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

	"reconciler/internal/text"

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
	err := fmt.Errorf("creating: %w", &UncertainError{text.WithHint(io.EOF, "look")})
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
