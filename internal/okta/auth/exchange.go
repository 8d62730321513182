package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

const (
	// maxAttempts and retryBudget bound one token call. No attempt starts
	// after the budget is spent. The waits are up to 0.25, 0.5, 1 and 2 s.
	maxAttempts = 5
	retryBudget = 30 * time.Second
	firstWait   = 250 * time.Millisecond

	// maxAnswer is far more than any token needs.
	maxAnswer = 1 << 20

	// maxRounds is how often one token is asked for: without DPoP, then with it
	// because Okta requires it, then with a nonce, then with a newer one.
	maxRounds = 4

	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// fetch gets a new token. It runs as a goroutine of its own, and so a panic
// becomes the error of all who wait.
func (c *Client) fetch(ctx context.Context, scopes []string) (_ Token, err error) {
	defer rest.Recover(c.log, "getting a token", &err)
	for round := 1; ; round++ {
		x := &exchange{Client: c, scopes: scopes}
		token, err := x.do(ctx)
		if err == nil {
			c.log.Debug("got a token", "token", token)
			return token, nil
		}
		if round == maxRounds || !x.adapt(err) {
			return Token{}, err
		}
	}
}

// exchange is one token call: what was sent last, and what is known of the
// answer to it.
type exchange struct {
	*Client
	scopes []string
	base   http.RoundTripper

	sent   time.Time
	proved bool          // the request carried a DPoP proof
	nonced bool          // the answer carried a DPoP nonce
	skew   time.Duration // how far the local clock is ahead of Okta's
}

// do makes the call. It changes nothing at Okta and may be repeated, each time
// with a new assertion and a new proof.
func (x *exchange) do(ctx context.Context) (Token, error) {
	var body []byte
	caller := x.caller.As(func(base http.RoundTripper) http.RoundTripper {
		x.base = base
		return x
	})
	err := caller.Do(ctx, &rest.Call{
		Method: http.MethodPost, Endpoint: "token", URL: x.tokenURL,
		Policy: rest.Policy{
			Repeat: rest.Always, Timeout: x.opt.Timeout, MaxBody: maxAnswer,
			Attempts: maxAttempts, Backoff: firstWait, Failing: retryBudget, Passing: x.opt.Passing,
		},
		ContentType: "application/x-www-form-urlencoded",
		MaySend:     x.form,
		Read: func(a *rest.Answer) error {
			body = a.Body
			return a.Cut
		},
	})
	var unsent *rest.UnsentError
	if errors.As(err, &unsent) {
		return Token{}, unsent.Err
	}
	var token Token
	if err == nil {
		token, err = x.parse(body)
	}
	if err != nil {
		return Token{}, x.failed(err)
	}
	return token, nil
}

// form returns the body of a token request, with an assertion of its own.
func (x *exchange) form(ctx context.Context) ([]byte, error) {
	assertion, err := x.assertion(ctx)
	if err != nil {
		return nil, err
	}
	return []byte(url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {strings.Join(x.scopes, " ")},
		"client_assertion_type": {assertionType},
		"client_assertion":      {assertion},
	}.Encode()), nil
}

// RoundTrip puts a DPoP proof on the request, if there has to be one, and notes
// what the head of the answer tells.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	if x.dpop.Load() {
		proof, err := x.prover.proof(http.MethodPost, x.tokenURL, "", x.opt.Now())
		if err != nil {
			return nil, err
		}
		req = clone(req)
		req.Header.Set(dpopHeader, proof)
		x.proved = true
	}
	x.sent = x.opt.Now()
	resp, err := x.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x.nonced = x.prover.learn(x.tokenURL, resp.Header)
	x.skew = 0
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// A Date is cut to the second, so it is half a second late on average.
		local := x.sent.Add(x.opt.Now().Sub(x.sent) / 2)
		x.skew = local.Sub(date.Add(500 * time.Millisecond)).Round(time.Second)
	}
	return resp, nil
}

// adapt reports whether the next exchange does what Okta asks for in refusing
// this one: to use DPoP, or a nonce. Neither is a failure.
func (x *exchange) adapt(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Refusal == nil {
		return false
	}
	r := e.Refusal
	asked := r.Status == http.StatusBadRequest || r.Status == http.StatusUnauthorized
	named := r.Code == "invalid_dpop_proof" || r.Code == "use_dpop_nonce" || strings.Contains(strings.ToLower(r.Summary), "dpop")
	if !x.proved && asked && named {
		if !x.dpop.Swap(true) {
			x.log.Info("the app requires DPoP: using it from now on")
		}
		return true
	}
	return r.Code == "use_dpop_nonce" && x.nonced
}

// parse reads a token response (RFC 6749 section 5.1).
func (x *exchange) parse(body []byte) (Token, error) {
	var a struct {
		Type   string          `json:"token_type"`
		Token  string          `json:"access_token"`
		Scope  string          `json:"scope"`
		Expiry json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Token{}, text.WithHint(errors.New("the answer is not the JSON of a token"),
			"check that "+x.opt.Keys.OrgURL+" is the URL of an Okta org, and that no proxy answers in its place")
	}
	asked, hint := Bearer, "set "+x.opt.Keys.DPoP+" to true"
	if x.proved {
		asked, hint = DPoP, "the server does not bind tokens for this app: set "+x.opt.Keys.DPoP+" to false"
	}
	granted := normalize(strings.Fields(a.Scope))
	if len(granted) == 0 {
		granted = x.scopes // no word of it means what was asked for
	}
	switch {
	case a.Token == "":
		return Token{}, errors.New("the answer holds no access token")
	case strings.ContainsFunc(a.Token, notOfToken):
		return Token{}, errors.New("the access token holds characters that no token may have")
	case !strings.EqualFold(a.Type, asked):
		return Token{}, text.WithHint(fmt.Errorf("the token is of type %q, asked was for %q", text.Clean(a.Type), asked), hint)
	}
	for _, s := range x.scopes {
		if !slices.Contains(granted, s) {
			return Token{}, text.WithHint(fmt.Errorf("only %q was granted", text.Clean(strings.Join(granted, " "))), strings.ReplaceAll(grantHint, "{scopes}", s))
		}
	}
	life := lifetime(a.Expiry)
	return Token{
		Type:    asked,
		Scopes:  granted,
		Expires: x.sent.Add(life),
		renew:   x.sent.Add(life - min(renewMargin, life/10)),
		secret:  &a.Token,
	}, nil
}

// notOfToken reports whether no token may hold r.
func notOfToken(r rune) bool { return r <= ' ' || r > '~' }

// lifetime reads expires_in, which should be a number of seconds and, from
// some servers, is a string, a fraction, nothing or nonsense.
func lifetime(raw json.RawMessage) time.Duration {
	sec, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || !(sec > 0) { // NaN too
		return defaultLife
	}
	if sec > maxLife.Seconds() {
		return maxLife
	}
	return max(time.Duration(sec*float64(time.Second)), minLife)
}
