package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Okta's own words stand in the error, and a hint beside it.
func TestErrorsAndHints(t *testing.T) {
	key := newKeyPair(t)
	say := func(status int, code, desc string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, status, code, desc)
			return true
		}
	}
	write := func(text string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			io.WriteString(w, text)
			return true
		}
	}
	tests := []struct {
		name      string
		setup     func(*fake)
		opt       func(*Options)
		err, hint string
	}{
		{name: "wrong key", setup: func(f *fake) { f.public = newKeyPair(t).Public() },
			err: "HTTP 401 invalid_client: The client_assertion signature is invalid.", hint: "not the other half"},
		{name: "wrong kid", opt: func(o *Options) { o.KeyID = "other" },
			err: "The client_assertion JWT kid is invalid.", hint: "check keyID"},
		{name: "wrong client", opt: func(o *Options) { o.ClientID = "other" },
			err: "Invalid value for 'client_id' parameter.", hint: "check clientID"},
		{name: "other host name", opt: func(o *Options) {
			o.OrgURL, _ = url.Parse(strings.Replace(o.OrgURL.String(), "127.0.0.1", "localhost", 1))
		},
			err: "The audience claim", hint: "orgURL must be"},
		{name: "clock behind", opt: func(o *Options) {
			now := o.Now
			o.Now = func() time.Time { return now().Add(-10 * time.Minute) }
		}, err: "is expired", hint: "clock is 10m0s behind Okta's"},
		{name: "clock ahead", opt: func(o *Options) {
			now := o.Now
			o.Now = func() time.Time { return now().Add(time.Hour) }
		}, err: "too far in the future", hint: "clock is 1h0m0s ahead of Okta's"},
		{name: "clock wrong, and more", setup: func(f *fake) { f.answer = say(401, "invalid_client", "") }, opt: func(o *Options) {
			now := o.Now
			o.Now = func() time.Time { return now().Add(10 * time.Minute) }
		}, err: "HTTP 401 invalid_client", hint: "ahead of Okta's: set it (NTP); or check clientID"},
		{name: "time, clock good", setup: func(f *fake) { f.answer = say(401, "invalid_client", "The client_assertion token is expired.") },
			err: "expired", hint: "compare this machine's clock"},
		{name: "replayed", setup: func(f *fake) { f.answer = say(401, "invalid_client", "The client_assertion was already used.") },
			err: "already used", hint: "used twice"},
		{name: "unknown scope", setup: func(f *fake) { f.answer = say(400, "invalid_scope", "One or more scopes are not configured.") },
			err: "HTTP 400 invalid_scope: One or more", hint: "grant okta.accounts.read to the app"},
		{name: "scope narrower", setup: func(f *fake) {
			f.answer = write(`{"token_type":"bearer","access_token":"x","scope":"okta.logs.read"}`)
		}, err: `only "okta.logs.read" was granted`, hint: "grant okta.accounts.read to the app"},
		{name: "wrong grant", setup: func(f *fake) { f.answer = say(400, "unauthorized_client", "") },
			err: "unauthorized_client", hint: "API Services app"},
		{name: "refused by Aerial", setup: func(f *fake) { f.answer = say(400, "access_denied_by_aerial", "") },
			err: "access_denied_by_aerial", hint: "Okta Aerial refuses the app: grant okta.accounts.read"},
		{name: "role refused by Aerial", setup: func(f *fake) { f.answer = say(400, "aerial_admin_access_denied", "") },
			err: "aerial_admin_access_denied", hint: "administrator role"},
		{name: "not the Aerial org", setup: func(f *fake) { f.answer = say(400, "invalid_client_aerial_authorization_server", "") },
			err: "invalid_client_aerial_authorization_server", hint: "orgURL must be the Aerial org"},
		{name: "proof refused", setup: func(f *fake) { f.answer = say(400, "invalid_dpop_proof", "no") },
			err: "invalid_dpop_proof: no", hint: "DPoP proof"},
		{name: "nonce without nonce", setup: func(f *fake) { f.answer = say(400, "use_dpop_nonce", "") },
			err: "use_dpop_nonce", hint: "DPoP proof"},
		{name: "not bound", opt: func(o *Options) { o.DPoP = true }, setup: func(f *fake) {
			f.answer = write(`{"token_type":"Bearer","access_token":"x"}`)
		}, err: `of type "Bearer", asked was for "DPoP"`, hint: "set dpop to false"},
		{name: "bound unasked", setup: func(f *fake) { f.answer = write(`{"token_type":"DPoP","access_token":"x"}`) },
			err: `of type "DPoP", asked was for "Bearer"`, hint: "set dpop to true"},
		{name: "no token", setup: func(f *fake) { f.answer = write(`{"token_type":"Bearer"}`) }, err: "no access token"},
		{name: "odd token", setup: func(f *fake) { f.answer = write(`{"token_type":"Bearer","access_token":"a\nb"}`) }, err: "characters"},
		{name: "not JSON", setup: func(f *fake) { f.answer = write(`<html>`) }, err: "not the JSON of a token", hint: "proxy"},
		{name: "too long", setup: func(f *fake) { f.answer = write(strings.Repeat(" ", maxAnswer+1)) }, err: "over 1048576 bytes"},
		{name: "redirect", setup: func(f *fake) {
			f.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Location", "https://other.okta.com/login?fromURI=x")
				w.WriteHeader(302)
				return true
			}
		}, err: `HTTP 302 redirected to "https://other.okta.com"`, hint: "set orgURL"},
		{name: "not Okta", setup: func(f *fake) {
			f.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				http.Error(w, "404 page not found", 404)
				return true
			}
		}, err: "HTTP 404 Not Found", hint: "no token endpoint"},
		{name: "blocked", setup: func(f *fake) {
			f.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("X-Okta-Request-Id", "req1")
				w.WriteHeader(403)
				io.WriteString(w, `{"errorCode":"E0000006","errorSummary":"You do not have permission","errorId":"oae1"}`)
				return true
			}
		}, err: "HTTP 403 E0000006 You do not have permission (errorId oae1)", hint: "a proxy, or a network zone"},
		{name: "forbidden", setup: func(f *fake) {
			f.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(403); return true }
		}, err: "HTTP 403 Forbidden", hint: "a proxy, or a network zone"},
		{name: "busy", setup: func(f *fake) {
			f.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Retry-After", "90")
				w.WriteHeader(429)
				return true
			}
		}, err: "HTTP 429 Too Many Requests", hint: "try again in 1m30s"},
		{name: "broken", setup: func(f *fake) {
			f.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Retry-After", "60")
				w.WriteHeader(503)
				return true
			}
		}, err: "HTTP 503 Service Unavailable", hint: "status.okta.com"},
		{name: "several lines", setup: func(f *fake) { f.answer = say(400, "bad\nthing", "one\r\ntwo\x1b[31m") },
			err: "HTTP 400 bad thing: one two [31m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, key)
			if tt.setup != nil {
				tt.setup(f)
			}
			_, err := f.client(key, tt.opt).Token(context.Background(), readScope)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q\nwant   %q", err, tt.err)
			}
			if hint := e.Hint(); !strings.Contains(hint, tt.hint) || (tt.hint == "") != (hint == "") {
				t.Errorf("hint %q\nwant  %q", hint, tt.hint)
			}
			for _, s := range f.seen {
				if s != "" && strings.Contains(fmt.Sprintf("%v %+v %#v", err, e, e), s) {
					t.Errorf("the error holds a secret")
				}
			}
		})
	}
}

// Errors of the way there.
func TestTransportErrors(t *testing.T) {
	key := newKeyPair(t)
	get := func(orgURL string, rt http.RoundTripper) *Error {
		t.Helper()
		u, _ := url.Parse(orgURL)
		c, err := New(Options{OrgURL: u, ClientID: clientID, KeyID: keyID, Keys: keys,
			Key: func(context.Context) (Key, error) { return key, nil }, HTTP: rt})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Token(context.Background(), readScope)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		return e
	}
	attempts := 0
	e := get("https://acme.invalid", roundTripper(func(*http.Request) (*http.Response, error) {
		attempts++
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "acme.invalid", IsNotFound: true}}
	}))
	if attempts != 1 || !strings.Contains(e.Hint(), "no such host") || !strings.Contains(e.Error(), "acme.invalid") {
		t.Errorf("unknown host: %d attempts, %v, hint %q", attempts, e, e.Hint())
	}
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	rt := &http.Transport{}
	defer rt.CloseIdleConnections()
	if e = get(server.URL, rt); !strings.Contains(e.Hint(), "certificate is not trusted") {
		t.Errorf("untrusted: %v, hint %q", e, e.Hint())
	}
}

// A server that quotes what it was sent does not bring it into an error, a log
// or anything else that is printed.
func TestNoSecretAnywhere(t *testing.T) {
	key := newKeyPair(t)
	f := newFake(t, key)
	f.dpop, f.nonce = true, "n1"
	var logs bytes.Buffer
	c := f.client(key, func(o *Options) {
		o.Logger = slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	var printed strings.Builder
	echo := func(n int, w http.ResponseWriter, r *http.Request) bool {
		status := map[bool]int{true: 503, false: 400}[n%2 == 0]
		refuse(w, status, "bad "+r.Form.Get("client_assertion"), "you sent "+r.Form.Encode()+" and "+r.Header.Get("DPoP"))
		return true
	}
	for round := range 6 {
		f.mu.Lock()
		f.answer = nil
		if round%2 == 1 {
			f.answer = echo
		}
		f.mu.Unlock()
		f.clock.advance(2 * time.Hour)
		tok, err := c.Token(context.Background(), readScope)
		type nested struct {
			Token Token
			token Token
		}
		for _, v := range []any{tok, &tok, nested{tok, tok}, []Token{tok}, map[string]Token{"a": tok}, err} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
				fmt.Fprintf(&printed, verb+"\n", v)
			}
		}
		fmt.Fprintf(&printed, "%v %+v %#v\n", c, c, c)
		data, jerr := json.Marshal(nested{tok, tok})
		if jerr != nil {
			t.Error(jerr)
		}
		printed.Write(data)
		slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "token", tok, "err", err, "key", key)
	}
	all := printed.String() + logs.String()
	if len(f.seen) < 10 || !strings.Contains(all, "[token]") {
		t.Fatal("nothing was tested")
	}
	for _, s := range f.seen {
		if s == "" {
			continue
		}
		// A JWT's first part is only its header; the signature is the secret.
		for _, part := range []string{s, s[strings.LastIndex(s, ".")+1:]} {
			if strings.Contains(all, part) || strings.Contains(all, fmt.Sprintf("%x", part)) {
				t.Errorf("%q was printed", part)
			}
		}
	}
}

func TestTokenPrints(t *testing.T) {
	secret := "SECRET"
	tok := Token{Type: Bearer, Scopes: []string{"a", "b"}, Expires: time.Unix(0, 0), secret: &secret}
	if got, want := tok.String(), "Bearer token for a b until 1970-01-01T00:00:00Z"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Token{}).String(); got != "no token" || (Token{}).Secret() != "" {
		t.Errorf("got %q", got)
	}
}
