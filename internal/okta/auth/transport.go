package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"reconciler/internal/okta/rest"
	"reconciler/internal/web"
)

// ErrOrigin is what an error wraps when a request would have carried a
// credential to another place than the one it is for. Nothing was sent.
var ErrOrigin = errors.New("refused to send a credential to another origin")

// bound is a RoundTripper that sends requests to one origin only.
type bound struct {
	origin web.Origin
	send   func(*http.Request) (*http.Response, error)
}

// RoundTrip refuses a request to any other origin. The error names no more than
// the two origins: a path or a query may hold something secret.
func (b *bound) RoundTrip(req *http.Request) (*http.Response, error) {
	if !b.origin.Has(req.URL) {
		closeBody(req)
		return nil, fmt.Errorf("%w: it is for %q, the request goes to %q", ErrOrigin, b.origin, web.OriginOf(req.URL))
	}
	resp, err := b.send(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp.Request = req // which carries no credential
	return resp, nil
}

// closeBody does what a RoundTripper owes to a request that it doesn't send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// Transport returns a RoundTripper that puts a token with the given scopes on
// each request to origin (its scheme, host and port count) and sends it by
// base; nil means web.Default.
//
// A request to any other origin is refused with ErrOrigin and not sent, so
// that neither a redirect nor a link leads a token away. After a 401 the request
// is sent once more with a renewed token before the caller sees it, and up to
// three times with a DPoP nonce that the server asks for; a request with a body
// only if it has GetBody. Repeating is safe for any method: a 401 did nothing.
func (c *Client) Transport(base http.RoundTripper, origin *url.URL, scopes ...string) http.RoundTripper {
	t := &tokenTransport{client: c, base: cmp.Or(base, web.Default), scopes: normalize(scopes)}
	return &bound{web.OriginOf(origin), t.send}
}

type tokenTransport struct {
	client *Client
	base   http.RoundTripper
	scopes []string
}

// maxNonces is how many nonces one request is repeated with. A server may change
// its nonce just while one is being answered; one that never takes any must not
// be asked forever.
const maxNonces = 3

func (t *tokenTransport) send(req *http.Request) (*http.Response, error) {
	out := clone(req)
	renewed, nonces := false, 0
	for {
		token, err := t.token(req.Context())
		if err == nil {
			err = t.authorize(out, token)
		}
		if err != nil {
			closeBody(out)
			return nil, err
		}
		resp, err := t.base.RoundTrip(out)
		if err != nil {
			return nil, err
		}
		learned := t.client.prover.learn(req.URL, resp.Header)
		if resp.StatusCode != http.StatusUnauthorized {
			return resp, nil
		}
		wantsNonce := token.Type == DPoP && asksNonce(resp.Header)
		switch {
		case wantsNonce && (nonces == maxNonces || !learned), !wantsNonce && renewed:
			return resp, nil
		case wantsNonce:
			nonces++
		default:
			t.client.reject(token, t.scopes)
			renewed = true
		}
		out = clone(req)
		if req.Body != nil && req.Body != http.NoBody {
			if req.GetBody == nil {
				return resp, nil
			}
			if out.Body, err = req.GetBody(); err != nil {
				drain(resp)
				return nil, fmt.Errorf("repeating the request's body: %w", err)
			}
		}
		drain(resp)
	}
}

// maxAsks is how often one send is asked for because asking took so long that the
// token had to be renewed.
const maxAsks = 3

// token gets a token and asks whether the request may be sent. Only the proof is
// made after that: what is read while asking may bring a new nonce.
func (t *tokenTransport) token(ctx context.Context) (token Token, err error) {
	for range maxAsks {
		if token, err = t.client.Token(ctx, t.scopes...); err != nil {
			return token, err
		}
		if err = rest.MaySend(ctx); err != nil || token.fresh(t.client.opt.Now()) {
			return token, err
		}
	}
	return token, nil
}

// authorize puts the token, and for DPoP a fresh proof, on the request.
func (t *tokenTransport) authorize(req *http.Request, token Token) error {
	req.Header.Set("Authorization", token.Type+" "+token.Secret())
	if token.Type != DPoP {
		return nil
	}
	proof, err := t.client.prover.proof(cmp.Or(req.Method, http.MethodGet), req.URL, token.Secret(), t.client.opt.Now())
	if err != nil {
		return err
	}
	req.Header.Set(dpopHeader, proof)
	return nil
}

// clone copies the request, because a RoundTripper must not change its own.
func clone(req *http.Request) *http.Request {
	out := req.Clone(req.Context())
	if out.Header == nil {
		out.Header = http.Header{}
	}
	return out
}

// drain reads what is left of a short answer, so that its connection can be
// used again, and closes it.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

// SSWS returns a RoundTripper that puts an Okta API token on each request to
// origin and sends it by base; nil means web.Default. token is
// called for each request; its error is returned as it is, and must hold no
// secret. A request to any other origin is refused with ErrOrigin.
func SSWS(base http.RoundTripper, origin *url.URL, token func(context.Context) (string, error)) http.RoundTripper {
	base = cmp.Or(base, web.Default)
	return &bound{web.OriginOf(origin), func(req *http.Request) (*http.Response, error) {
		secret, err := apiToken(req.Context(), token)
		if err != nil {
			return nil, err
		}
		out := clone(req)
		out.Header.Set("Authorization", "SSWS "+secret)
		return base.RoundTrip(out)
	}}
}

func apiToken(ctx context.Context, read func(context.Context) (string, error)) (string, error) {
	if read == nil {
		return "", errors.New("no API token")
	}
	token, err := read(ctx)
	if err != nil {
		return "", err
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return "", errors.New("the API token is empty")
	case strings.ContainsFunc(token, notOfToken):
		return "", errors.New("the API token holds spaces or other characters that no token has: is it the right file?")
	}
	return token, nil
}
