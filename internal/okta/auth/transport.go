package auth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"reconciler/internal/web"
)

// Transport gives a RoundTripper that puts a token with the given scopes on
// each request to origin (its scheme, host and port count) and sends it by
// base; nil means http.DefaultTransport.
//
// A request to any other origin is refused with ErrOrigin and not sent, so
// that neither a redirect nor a link leads a token away. An answer of 401 is
// given once to a renewed token before the caller sees it, and a DPoP nonce
// that the server asks for is sent, up to three; a request with a body is repeated only
// if it has GetBody. Repeating is safe for any method: a 401 did nothing.
func (c *Client) Transport(base http.RoundTripper, origin *url.URL, scopes ...string) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &tokenTransport{client: c, base: base, origin: web.OriginOf(origin), scopes: normalize(scopes)}
}

type tokenTransport struct {
	client *Client
	base   http.RoundTripper
	origin web.Origin
	scopes []string
}

// maxNonces is how many nonces one request is repeated with. A server may change
// its nonce just while one is being answered; one that never takes any must not
// be asked for ever.
const maxNonces = 3

func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkOrigin(t.origin, req.URL); err != nil {
		closeBody(req)
		return nil, err
	}
	out := clone(req)
	renewed, nonces := false, 0
	for {
		token, err := t.client.Token(req.Context(), t.scopes...)
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
		// The caller's own request, which carries no credential.
		resp.Request = req
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
		if out, err = again(req); err != nil {
			drain(resp)
			return nil, err
		}
		if out == nil {
			return resp, nil
		}
		drain(resp)
	}
}

// authorize puts the token, and for DPoP a fresh proof, on the request.
func (t *tokenTransport) authorize(req *http.Request, token Token) error {
	req.Header.Set("Authorization", token.Type+" "+token.Secret())
	if token.Type != DPoP {
		return nil
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	proof, err := t.client.prover.proof(method, req.URL, token.Secret(), t.client.opt.Now())
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

// again copies the request for another attempt; nil when its body can't be
// had a second time.
func again(req *http.Request) (*http.Request, error) {
	out := clone(req)
	if req.Body == nil || req.Body == http.NoBody {
		return out, nil
	}
	if req.GetBody == nil {
		return nil, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("repeating the request's body: %w", err)
	}
	out.Body = body
	return out, nil
}

// drain reads what is left of a short answer, so that its connection can be
// used again, and closes it.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

// SSWS gives a RoundTripper that puts an Okta API token on each request to
// origin and sends it by base; nil means http.DefaultTransport. token is
// called for each request; its error is given on as it is, and must hold no
// secret. A request to any other origin is refused with ErrOrigin.
func SSWS(base http.RoundTripper, origin *url.URL, token func() (string, error)) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &sswsTransport{base: base, origin: web.OriginOf(origin), token: token}
}

type sswsTransport struct {
	base   http.RoundTripper
	origin web.Origin
	token  func() (string, error)
}

func (t *sswsTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	out, err := t.authorize(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = req
	return resp, nil
}

func (t *sswsTransport) authorize(req *http.Request) (*http.Request, error) {
	if err := checkOrigin(t.origin, req.URL); err != nil {
		return nil, err
	}
	if t.token == nil {
		return nil, errors.New("no API token")
	}
	token, err := t.token()
	if err != nil {
		return nil, err
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return nil, errors.New("the API token is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the API token holds spaces or other characters that no token has: is it the right file?")
	}
	out := clone(req)
	out.Header.Set("Authorization", "SSWS "+token)
	return out, nil
}
