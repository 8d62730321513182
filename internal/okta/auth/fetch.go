package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// maxAttempts and retryBudget bound one token call. No attempt starts
	// after the budget is spent.
	maxAttempts = 5
	retryBudget = 30 * time.Second
	// Waits double from firstWait to maxWait, less up to a half by chance.
	firstWait = 250 * time.Millisecond
	maxWait   = 4 * time.Second

	// maxAnswer is far more than any token needs.
	maxAnswer = 1 << 20

	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// fetch gets a new token, with patience: a token call changes nothing at Okta
// and may be repeated, each time with a new assertion and a new proof. It runs
// as a goroutine of its own, and so a panic becomes the error of all who wait.
func (c *Client) fetch(ctx context.Context, scopes []string) (_ Token, err error) {
	defer rest.Recover(c.log, "getting a token", &err)
	start := time.Now()
	backoff := firstWait
	for attempt := 1; ; attempt++ {
		token, err := c.exchange(ctx, scopes)
		if err == nil {
			c.log.Debug("got a token", "org", c.tokenURL.Host, "token", token)
			return token, nil
		}
		var e *Error
		if !errors.As(err, &e) || !e.temporary || attempt == maxAttempts || ctx.Err() != nil {
			return Token{}, err
		}
		wait := backoff - rand.N(backoff/2)
		backoff = min(2*backoff, maxWait)
		wait = max(wait, e.RetryAfter)
		if time.Since(start)+wait > retryBudget {
			return Token{}, err
		}
		c.log.Warn("token call failed, trying again", "error", err, "attempt", attempt, "wait", wait.Round(time.Millisecond))
		if err := web.Sleep(ctx, wait); err != nil {
			return Token{}, err
		}
	}
}

// exchange makes one token call, with the further rounds that DPoP may need:
// turning it on because Okta requires it, then learning a nonce, then learning
// a newer one. None of these is a failure.
func (c *Client) exchange(ctx context.Context, scopes []string) (Token, error) {
	for round := 1; ; round++ {
		token, err := c.post(ctx, scopes)
		var e *Error
		if err == nil || round == 4 || !errors.As(err, &e) {
			return token, err
		}
		switch {
		case e.wantsDPoP():
			if !c.dpop.Swap(true) {
				c.log.Info("the app requires DPoP: using it from now on", "org", c.tokenURL.Host)
			}
		case e.Code == "use_dpop_nonce" && e.nonced:
			// The new nonce goes into the next proof.
		default:
			return Token{}, err
		}
	}
}

// post sends one token request and judges the answer.
func (c *Client) post(ctx context.Context, scopes []string) (Token, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opt.Timeout, errTimeout)
	defer cancel()
	assertion, err := c.assertion()
	if err != nil {
		return Token{}, err
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {strings.Join(scopes, " ")},
		"client_assertion_type": {assertionType},
		"client_assertion":      {assertion},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.tokenURL.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return Token{}, fmt.Errorf("token request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	e := &Error{URL: c.tokenURL.String(), Scopes: scopes}
	if c.dpop.Load() {
		proof, err := c.prover.proof(http.MethodPost, c.tokenURL, "", c.opt.Now())
		if err != nil {
			return Token{}, err
		}
		req.Header.Set(dpopHeader, proof)
		e.proved = true
	}

	sent := c.opt.Now()
	// The RoundTripper, not an http.Client: a redirect must not carry the
	// assertion elsewhere, and so none is followed.
	resp, err := c.opt.HTTP.RoundTrip(req)
	if err != nil {
		return Token{}, e.transport(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Token{}, e.transport(ctx, fmt.Errorf("reading the answer: %w", err))
	}
	if len(body) > maxAnswer {
		return Token{}, e.broken("", "the answer is longer than %d bytes", maxAnswer)
	}
	e.nonced = c.prover.learn(c.tokenURL, resp.Header)
	e.measure(resp.Header, sent, c.opt.Now())
	if resp.StatusCode != http.StatusOK {
		return Token{}, e.refused(resp, body)
	}
	return parseToken(e, body, sent)
}

// answer is a token response (RFC 6749 section 5.1).
type answer struct {
	Type   string          `json:"token_type"`
	Token  string          `json:"access_token"`
	Scope  string          `json:"scope"`
	Expiry json.RawMessage `json:"expires_in"`
}

// parseToken reads a token response that came with status 200; sent is when
// the request was sent, from which the token's life counts. e describes the
// request, for errors.
func parseToken(e *Error, body []byte, sent time.Time) (Token, error) {
	e.Status = http.StatusOK
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return Token{}, e.broken("check that orgURL is the URL of an Okta org, and that no proxy answers in its place", "the answer is not the JSON of a token")
	}
	asked := Bearer
	if e.proved {
		asked = DPoP
	}
	granted := normalize(strings.Fields(a.Scope))
	if len(granted) == 0 {
		granted = e.Scopes // no word of it means what was asked for (RFC 6749 section 5.1)
	}
	switch {
	case a.Token == "":
		return Token{}, e.broken("", "the answer holds no access token")
	case strings.ContainsFunc(a.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return Token{}, e.broken("", "the access token holds characters that no token may have")
	case !strings.EqualFold(a.Type, asked):
		return Token{}, e.broken(typeHint(e.proved), "the token is of type %q, asked was for %q", text.Clean(a.Type), asked)
	}
	for _, s := range e.Scopes {
		if !slices.Contains(granted, s) {
			return Token{}, e.broken(grantHint(s), "only %q was granted", text.Clean(strings.Join(granted, " ")))
		}
	}
	life := lifetime(a.Expiry)
	return Token{
		Type:    asked,
		Scopes:  granted,
		Expires: sent.Add(life),
		renew:   sent.Add(life - min(renewMargin, life/10)),
		secret:  &a.Token,
	}, nil
}

func typeHint(proved bool) string {
	if proved {
		return "the server does not bind tokens for this app: set dpop to false"
	}
	return "set dpop to true"
}

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
