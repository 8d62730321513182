package forge

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"reconciler/internal/text"
)

const (
	// attemptTimeout bounds one attempt, to the end of the answer's body.
	attemptTimeout = 30 * time.Second
	// attempts and patience bound what one call may take. A limit that ends
	// later than that is an error at once.
	attempts = 4
	patience = 2 * time.Minute
	// secondaryWait is for a limit that doesn't say when it ends
	// (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
	secondaryWait = time.Minute
	// maxAnswer caps an answer: 100 comments of 65,536 characters fit.
	maxAnswer = 32 << 20
	maxHops   = 3
	// maxPages bounds what is read of a list.
	maxPages = 100
)

// caller makes calls of one API.
type caller struct {
	name      string // as people write it
	base      *url.URL
	transport http.RoundTripper
	userAgent string
	log       *slog.Logger

	// authorize puts what the API wants into the header, and gives the secret
	// that it put there. It is called for each attempt.
	authorize func(context.Context, http.Header) (secret string, err error)
	// hint gives advice on a refusal.
	hint func(*Error) string
}

// defaults fills in what may be left out.
func (c *caller) defaults() {
	if c.transport == nil {
		c.transport = http.DefaultTransport
	}
	if c.userAgent == "" {
		c.userAgent = "reconciler"
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
}

// request is one call.
type request struct {
	what   topic
	method string
	url    *url.URL
	body   any
	// once says that a repetition could make a second one of what was asked for.
	once bool
}

// path gives the URL of an endpoint; each segment is escaped.
func (c *caller) path(segments ...string) *url.URL {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	return c.base.JoinPath(escaped...)
}

func query(u *url.URL, pairs ...string) *url.URL {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	u.RawQuery = q.Encode()
	return u
}

// failed is an attempt that went wrong.
type failed struct {
	error
	temporary bool          // another attempt may go better
	open      bool          // the request may have taken effect all the same
	wait      time.Duration // what the server asked for; 0 if nothing
}

func (f *failed) Unwrap() error { return f.error }

// do makes a call, repeats it where that may help and does no harm, decodes the
// answer into into, unless that is nil, and gives the answer's header.
func (c *caller) do(ctx context.Context, r request, into any) (http.Header, error) {
	var body []byte
	if r.body != nil {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r.body); err != nil {
			return nil, err
		}
		body = b.Bytes()
	}
	var last error
	header, err := backoff.Retry(ctx, func() (http.Header, error) {
		header, err := c.attempt(ctx, r, body, into)
		last = err
		var f *failed
		switch {
		case err == nil:
			return header, nil
		case !errors.As(err, &f) || !f.temporary || f.open && r.once || f.wait > patience:
			return nil, backoff.Permanent(err)
		case f.wait > 0:
			return nil, &asked{err, &backoff.RetryAfterError{Duration: f.wait}}
		default:
			return nil, err
		}
	},
		backoff.WithBackOff(growing()), backoff.WithMaxTries(attempts), backoff.WithMaxElapsedTime(patience),
		backoff.WithNotify(func(error, time.Duration) {
			c.log.Warn("calling again", "forge", c.name, "error", last)
		}))
	if err == nil {
		return header, nil
	}
	return nil, c.finish(ctx, r, last)
}

// asked is a failure after which the server asked to wait.
type asked struct {
	error
	after *backoff.RetryAfterError
}

func (a *asked) Unwrap() []error { return []error{a.error, a.after} }

// finish gives the error of a call whose last attempt failed.
func (c *caller) finish(ctx context.Context, r request, last error) error {
	var f *failed
	if !errors.As(last, &f) {
		return last
	}
	err := f.error
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if f.open && r.once {
		return &uncertainError{err}
	}
	return err
}

// attempt sends a request once. Its error is a *failed, except where nothing
// was sent because there was nothing to send it with.
func (c *caller) attempt(ctx context.Context, r request, body []byte, into any) (http.Header, error) {
	within, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	header := http.Header{"User-Agent": {c.userAgent}, "Accept": {"application/json"}}
	secret, err := c.authorize(within, header)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(within, r, body, header)
	if err != nil {
		if errors.Is(within.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, &failed{error: c.lost(r, "no answer within "+attemptTimeout.String(), nil), temporary: true, open: true}
		}
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	c.log.Debug("called", "forge", c.name, "method", r.method, "path", r.url.Path, "status", resp.StatusCode)
	good := resp.StatusCode >= 200 && resp.StatusCode < 300
	switch {
	case err != nil:
		return nil, &failed{error: c.lost(r, "the answer broke off", err), temporary: true, open: true}
	case len(data) > maxAnswer:
		return nil, &failed{error: c.lost(r, fmt.Sprintf("the answer is longer than %d MiB", maxAnswer>>20), nil), open: true}
	case !good:
		return nil, c.refusal(r, resp, data, secret)
	case into == nil:
		return resp.Header, nil
	case !isJSON(resp.Header):
		return nil, &failed{error: text.WithHint(c.lost(r, "the answer is not JSON", nil), c.hint(&Error{topic: r.what, page: true})), open: true}
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, &failed{error: c.lost(r, "the answer is not the JSON that it should be", nil), open: true}
	}
	return resp.Header, nil
}

// send sends a request and follows redirections, which a repository that was
// renamed answers with. The token goes to the origin that it is for and to no
// other; a write is only sent on where that keeps it a write (307 and 308).
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
func (c *caller) send(ctx context.Context, r request, body []byte, header http.Header) (*http.Response, error) {
	at := r.url
	for hop := 0; ; hop++ {
		req, err := http.NewRequestWithContext(ctx, r.method, at.String(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := c.transport.RoundTrip(req)
		if err != nil {
			return nil, c.notSent(r, err)
		}
		location := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode > 399 || location == "" {
			return resp, nil
		}
		resp.Body.Close()
		next, err := at.Parse(location)
		switch {
		case err != nil:
			return nil, &failed{error: c.lost(r, "redirected to something that is no URL", nil)}
		case next.Scheme != c.base.Scheme || next.Host != c.base.Host:
			return nil, &failed{error: text.WithHint(
				c.lost(r, fmt.Sprintf("redirected to %q, where the token must not go", next.Scheme+"://"+next.Host), nil),
				"if that is the right place, set it as the URL of the API")}
		case hop == maxHops:
			return nil, &failed{error: c.lost(r, "redirected again and again", nil)}
		case r.method != http.MethodGet && resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect:
			return nil, &failed{error: text.WithHint(
				c.lost(r, fmt.Sprintf("redirected with %d, which would turn the %s into a GET", resp.StatusCode, r.method), nil),
				"was the repository renamed or moved? set its new name")}
		}
		at = next
	}
}

// notSent gives the failure of a request that got no answer.
func (c *caller) notSent(r request, err error) *failed {
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	lost := c.lost(r, "", err)
	switch untrusted := errors.As(err, &cert); {
	case untrusted:
		return &failed{error: text.WithHint(lost, "the server's certificate is not trusted here: add its authority to the system's roots, or name it in SSL_CERT_FILE or, for the daemon, in git.auth.caFile")}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &failed{error: text.WithHint(lost, "there is no such host: check the URL of the API, and that this machine's DNS works")}
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return &failed{error: text.WithHint(lost, "there is no way to the server: check the URL of the API, DNS, firewall and proxy"), temporary: true}
	default:
		return &failed{error: lost, temporary: true, open: true}
	}
}

// lost gives the error of a call that got no answer, or none that can be read.
func (c *caller) lost(r request, what string, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s at %s: %s %s: %s", c.name, c.base.Host, r.method, r.url.Path, what)
	case what == "":
		return fmt.Errorf("%s at %s: %s %s: %w", c.name, c.base.Host, r.method, r.url.Path, err)
	default:
		return fmt.Errorf("%s at %s: %s %s: %s: %w", c.name, c.base.Host, r.method, r.url.Path, what, err)
	}
}

// refusal gives the failure of a request that was answered with something else
// than success.
func (c *caller) refusal(r request, resp *http.Response, data []byte, secret string) *failed {
	e := &Error{
		Forge: c.name, Method: r.method, Path: r.url.Path, Status: resp.StatusCode,
		topic: r.what, page: !isJSON(resp.Header),
	}
	if !e.page {
		e.Message = message(data, secret)
	}
	f := &failed{error: e}
	wait, limited := limit(resp, e.Message)
	switch {
	case limited:
		f.temporary, f.wait, e.limited = true, wait, true
		e.hint = "the limit ends in " + wait.Round(time.Second).String() + ": try again then"
	case e.Status >= 500:
		f.temporary, f.open, f.wait = true, true, retryAfter(resp.Header)
		e.hint = "the server has trouble: try again later"
	default:
		e.hint = c.hint(e)
	}
	return f
}

// limit says whether an answer is the refusal of a rate limit, which is sent
// instead of doing anything, and how long to wait then. GitHub uses both 403
// and 429, and its secondary limits need not say when they end:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
// GitLab: https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/
func limit(resp *http.Response, message string) (time.Duration, bool) {
	wait := retryAfter(resp.Header)
	exhausted := resp.Header.Get("X-RateLimit-Remaining") == "0"
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
	case resp.StatusCode == http.StatusForbidden && (wait > 0 || exhausted || strings.Contains(strings.ToLower(message), "rate limit")):
	default:
		return 0, false
	}
	if wait == 0 && exhausted {
		if at, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			wait = time.Second + min(max(0, time.Unix(at, 0).Sub(serverTime(resp.Header))), 24*time.Hour)
		}
	}
	if wait == 0 {
		wait = secondaryWait
	}
	return wait, true
}

// retryAfter reads the Retry-After header (RFC 9110, section 10.2.3); 0 if it
// says nothing that makes sense, and never more than a day.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), 24*60*60)) * time.Second
	}
	if date, err := http.ParseTime(v); err == nil {
		return min(max(0, date.Sub(serverTime(h))), 24*time.Hour)
	}
	return 0
}

// serverTime is the time of an answer by the server's clock, where it tells.
func serverTime(h http.Header) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}

func isJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}
