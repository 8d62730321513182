package forge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// attemptTimeout bounds one attempt, to the end of the answer's body.
	attemptTimeout = 30 * time.Second
	// attempts and patience bound a request with its retries. A rate limit that
	// ends later than that is an error at once.
	attempts = 4
	patience = 2 * time.Minute
	// maxAnswer bounds an answer: 100 comments of 65,536 characters fit.
	maxAnswer = 32 << 20
	maxHops   = 3
	// maxListed bounds how many entries of a list are read.
	maxListed = 10_000
)

// caller is the transport below a client library. It adds the credentials,
// retries where that can do no harm, and passes on only redirects and JSON: all
// else is an error, so that no library has to word one.
type caller struct {
	Options
	name           string // such as "GitHub"
	base           *url.URL
	header, scheme string // that the token is sent in
	hints          map[situation]string
	pageHint       string // for answers that are not JSON
}

// setDefaults checks and completes the options.
func (c *caller) setDefaults(defaultURL string) error {
	var err error
	c.base, err = baseURL(c.URL, defaultURL)
	c.HTTP = cmp.Or(c.HTTP, web.Default)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return err
}

// baseURL parses the root of an API, and makes it end with a slash. A token must
// not cross a network unencrypted.
func baseURL(raw, defaultURL string) (*url.URL, error) {
	raw = cmp.Or(raw, defaultURL)
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the URL of the API is not a URL") // err quotes it, credentials and all
	}
	switch {
	case u.User != nil:
		return nil, errors.New("the URL of the API must not hold credentials")
	case u.Host == "":
		return nil, fmt.Errorf("the URL of the API must be a whole URL such as %s, not %q", defaultURL, raw)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the URL of the API must have neither query nor fragment: %q", raw)
	case u.Scheme != "https" && (u.Scheme != "http" || !web.IsLoopback(u.Hostname())):
		return nil, fmt.Errorf("the URL of the API must start with https://, not %q: a token goes with each request", u.Scheme+":")
	}
	return u.JoinPath("/"), nil
}

// token returns the token. It rejects what can't be one before that reaches a
// header, whose error would be less clear.
func (c *caller) token(ctx context.Context) (string, error) {
	t, err := c.Token(ctx)
	t = strings.TrimSpace(t)
	switch {
	case err != nil:
		return "", err
	case t == "":
		return "", errors.New("the token is empty")
	case strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New("the token has characters that no token has, such as a line break")
	}
	return t, nil
}

// httpClient returns the client that a library sends with.
func (c *caller) httpClient() *http.Client {
	return &http.Client{Transport: c, CheckRedirect: c.checkRedirect}
}

// call is one call of a library's method. The context carries it to RoundTrip.
type call struct {
	*caller
	ctx     context.Context
	topic   topic
	once    bool          // a repetition could create a second one of the same
	request *http.Request // the first; those after it follow redirects
	failure *failure      // of the last attempt; libraries wrap or replace it
	renewed bool          // a token was refused, and another one requested
}

type callKey struct{}

// begin returns a call, and the context for the library's method.
func (c *caller) begin(ctx context.Context, t topic) (context.Context, *call) {
	k := &call{caller: c, ctx: ctx, topic: t}
	return context.WithValue(ctx, callKey{}, k), k
}

func callOf(req *http.Request) *call { return req.Context().Value(callKey{}).(*call) }

// end returns the error of a call whose method returned err.
func (k *call) end(err error) error {
	if err == nil || k.request == nil { // then nothing was sent
		return err
	}
	f := k.failure
	if f == nil {
		f = &failure{error: k.errorf("the answer is not the JSON that it should be"), open: true}
	}
	err = f.error
	if cause := context.Cause(k.ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if f.open && k.once {
		return &uncertainError{err}
	}
	return err
}

// RoundTrip sends a request, and retries where that may help and can do no harm.
func (c *caller) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close() // attempts read copies
	}
	k := callOf(req)
	k.request = cmp.Or(k.request, req)
	return backoff.Retry(req.Context(), func() (*http.Response, error) {
		resp, f := k.attempt(req)
		if f != nil && f.refused != "" && c.Refused != nil && !k.renewed {
			k.renewed = true
			c.Refused(f.refused)
			resp, f = k.attempt(req)
		}
		k.failure = f
		switch {
		case f == nil:
			return resp, nil
		case !f.temporary || f.open && k.once || f.wait > patience:
			return nil, backoff.Permanent(f)
		default:
			return nil, f
		}
	},
		backoff.WithBackOff(growing()), backoff.WithMaxTries(attempts), backoff.WithMaxElapsedTime(patience),
		backoff.WithNotify(func(err error, wait time.Duration) {
			c.Logger.Warn("retrying", "forge", c.name, "wait", wait.Round(time.Millisecond), "error", err)
		}))
}

// growing returns the waits between attempts where the server set none.
func growing() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = time.Second
	b.MaxInterval = 20 * time.Second
	b.Multiplier = 2
	return b
}

// attempt sends a request once, and reads the whole answer.
func (k *call) attempt(req *http.Request) (*http.Response, *failure) {
	ctx, cancel := context.WithTimeout(req.Context(), attemptTimeout)
	defer cancel()
	token, err := k.token(ctx)
	if err != nil {
		return nil, &failure{error: err}
	}
	out := req.Clone(ctx)
	if req.GetBody != nil {
		if out.Body, err = req.GetBody(); err != nil {
			return nil, &failure{error: err}
		}
	}
	out.Header.Set("User-Agent", web.UserAgent(ctx))
	out.Header.Set(k.header, k.scheme+token)
	resp, err := k.HTTP.RoundTrip(out)
	if err != nil {
		return nil, k.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	k.Logger.Debug("called", "forge", k.name, "method", req.Method, "path", req.URL.Path, "status", resp.StatusCode)
	if err != nil {
		return nil, k.unanswered(ctx, fmt.Errorf("the answer broke off: %w", err))
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, k.check(resp, data, token)
}

// redirects are the statuses of redirects that http.Client follows.
var redirects = []int{
	http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
}

// check returns why an answer is not fit for a library; nil if it is.
func (k *call) check(resp *http.Response, data []byte, token string) *failure {
	location := resp.Header.Get("Location")
	switch {
	case location != "" && slices.Contains(redirects, resp.StatusCode):
		if _, err := url.Parse(location); err != nil {
			return &failure{error: k.errorf("redirected to something that is no URL")}
		}
		return nil
	case len(data) > maxAnswer:
		return &failure{error: k.errorf("the answer is longer than %d MiB", maxAnswer>>20), open: true}
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return k.refused(resp, data, token)
	case !isJSON(resp.Header):
		return &failure{error: text.WithHint(k.errorf("the answer is not JSON"), k.pageHint), open: true}
	case !json.Valid(data):
		return &failure{error: k.errorf("the answer is not the JSON that it should be"), open: true}
	}
	return nil
}

// checkRedirect reports why a redirect is not followed; a repository that was
// renamed answers with one. The token is sent to the origin that it is for and
// to no other, and a write stays a write (307 and 308).
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
func (c *caller) checkRedirect(req *http.Request, via []*http.Request) error {
	k := callOf(req)
	var err error
	switch method := via[0].Method; {
	case !web.OriginOf(c.base).Has(req.URL):
		err = text.WithHint(k.errorf("redirected to %q, where the token must not go", web.OriginOf(req.URL)),
			"if that is the right place, set it as the URL of the API")
	case len(via) > maxHops:
		err = k.errorf("redirected again and again")
	case req.Method != method:
		err = text.WithHint(k.errorf("redirected with %d, which would turn the %s into a %s", req.Response.StatusCode, method, req.Method),
			"was the repository renamed or moved? set its new name")
	default:
		return nil
	}
	k.failure = &failure{error: err}
	return err
}

// paged returns the entries of a list that read reads page by page. Pages are
// counted rather than taken from an answer. A list of more than maxListed entries
// is an error, which calls them what.
func paged[T, U any](what string, size int, read func(page int) (entries []T, more bool, err error), convert func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		var none U
		for page := 1; page <= maxListed/size; page++ {
			entries, more, err := read(page)
			if err != nil {
				yield(none, err)
				return
			}
			for _, e := range entries {
				if !yield(convert(e), nil) {
					return
				}
			}
			if !more {
				return
			}
		}
		yield(none, fmt.Errorf("there are more than %d %s", maxListed, what))
	}
}
