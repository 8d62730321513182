package forge

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

// topic is what a call is about; hints depend on it.
type topic int

const (
	anyTopic topic = iota
	aboutComments
	aboutStatus
	aboutUser
	aboutApp
)

// situation is what the hint about a refusal depends on.
type situation struct {
	status int
	topic  topic
}

// failure is why an attempt failed.
type failure struct {
	error
	temporary bool          // another attempt may succeed
	open      bool          // the request may have taken effect
	wait      time.Duration // set by the server; 0 if it set none
	refused   string        // the token, where it is the reason
}

// Unwrap returns the error, and the wait as backoff takes it.
func (f *failure) Unwrap() []error {
	if f.wait == 0 {
		return []error{f.error}
	}
	return []error{f.error, &backoff.RetryAfterError{Duration: f.wait}}
}

// uncertainError is a creation that may or may not have taken effect.
type uncertainError struct{ error }

func (e *uncertainError) Error() string {
	return e.error.Error() + "; it may have taken effect all the same"
}

func (e *uncertainError) Unwrap() error { return e.error }

// refusal is an answer with another status than success.
type refusal struct {
	*call
	status  int
	message string // the server's; empty where the answer is not the API's
	page    bool   // the answer was not JSON
	limited bool   // by a rate limit
}

// Error returns all of it on one line.
func (r *refusal) Error() string {
	status := strconv.Itoa(r.status)
	// GitLab's message begins with the status.
	reason := strings.TrimPrefix(cmp.Or(r.message, http.StatusText(r.status)), status+" ")
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s: %s %s", r.name, r.request.Method, r.request.URL.Path, status, reason))
}

// denied reports whether an error is the refusal of what isn't allowed or not
// visible to this token, which no retry changes.
func denied(err error) bool {
	var r *refusal
	return errors.As(err, &r) && !r.limited && (r.status == http.StatusForbidden || r.status == http.StatusNotFound)
}

// errorf returns an error about a call that got no answer, or none that can be
// read.
func (k *call) errorf(format string, args ...any) error {
	return fmt.Errorf("%s at %s: %s %s: %w", k.name, k.base.Host, k.request.Method, k.request.URL.Path, fmt.Errorf(format, args...))
}

// unanswered returns the failure of an attempt that got no whole answer; ctx is
// the attempt's.
func (k *call) unanswered(ctx context.Context, err error) *failure {
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	f := &failure{error: k.errorf("%w", err), temporary: true, open: true}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && k.ctx.Err() == nil:
		f.error = k.errorf("no answer within %v", attemptTimeout)
	case errors.As(err, new(*web.ProxyError)):
		f = &failure{error: text.WithHint(f.error, web.ProxyHint)}
	case errors.As(err, &cert):
		f = &failure{error: text.WithHint(f.error, "the server's certificate is not trusted here: add its authority to those in the config, in SSL_CERT_FILE or in the system's roots")}
	case errors.As(err, &dns) && dns.IsNotFound:
		f = &failure{error: text.WithHint(f.error, "there is no such host: check the URL of the API, and that this machine's DNS works")}
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		f = &failure{error: text.WithHint(f.error, "the server can't be reached: check the URL of the API, DNS, firewall and proxy"), temporary: true}
	}
	return f
}

// refused returns the failure of a request whose answer isn't a success.
func (k *call) refused(resp *http.Response, data []byte, token string) *failure {
	r := &refusal{call: k, status: resp.StatusCode, page: !isJSON(resp.Header) && len(data) > 0}
	if !r.page {
		r.message = message(data, token)
	}
	wait, limited := limit(resp, r.message)
	r.limited = limited
	switch {
	case limited:
		hint := fmt.Sprintf("the limit ends in %v: try again then", wait.Round(time.Second))
		return &failure{error: text.WithHint(r, hint), temporary: true, wait: wait}
	case r.status >= 500:
		wait = web.RetryAfter(resp.Header, web.ServerTime(resp.Header))
		return &failure{error: text.WithHint(r, "the server has trouble: try again later"), temporary: true, open: true, wait: wait}
	default:
		hint := cmp.Or(r.hints[situation{r.status, r.topic}], r.hints[situation{r.status, anyTopic}])
		if r.page {
			hint = cmp.Or(r.pageHint, hint)
		}
		f := &failure{error: text.WithHint(r, hint)}
		if r.status == http.StatusUnauthorized {
			f.refused = token
		}
		return f
	}
}

// secondaryWait is for a rate limit whose end is not in the answer, such as GitHub's
// secondary ones.
const secondaryWait = time.Minute

// limit reports whether an answer is the refusal of a rate limit, which has no
// effect, and returns how long to wait then. GitHub uses both 403 and 429.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
// https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/
func limit(resp *http.Response, message string) (time.Duration, bool) {
	now := web.ServerTime(resp.Header)
	wait := web.RetryAfter(resp.Header, now)
	exhausted := resp.Header.Get("X-RateLimit-Remaining") == "0"
	limited := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusForbidden &&
		(wait > 0 || exhausted || strings.Contains(strings.ToLower(message), "rate limit"))
	if wait == 0 && exhausted && resp.Header.Get("X-RateLimit-Reset") != "" {
		wait = time.Second + web.Reset(resp.Header, now)
	}
	return cmp.Or(wait, secondaryWait), limited
}

func isJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// message returns the reason in a refusal. GitHub's has a message and a list of
// errors, which are objects or strings; GitLab's message is a string, a list or
// an object of lists, and OAuth's are error and error_description.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
// https://docs.gitlab.com/api/rest/troubleshooting/
func message(data []byte, token string) string {
	var body map[string]any
	if json.Unmarshal(data, &body) != nil {
		return ""
	}
	var reasons []string
	for _, key := range []string{"message", "error", "error_description", "errors"} {
		if s := flat(body[key]); s != "" && !slices.Contains(reasons, s) {
			reasons = append(reasons, s)
		}
	}
	return text.Clean(strings.Join(reasons, ": "), token)
}

// flat returns the text of one part of a refusal.
func flat(v any) string {
	var parts []string
	switch v := v.(type) {
	case string:
		return v
	case []any:
		for _, e := range v {
			parts = append(parts, flat(e))
		}
	case map[string]any:
		if m := flat(v["message"]); m != "" {
			return m
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if k != "resource" {
				parts = append(parts, k+" "+flat(v[k]))
			}
		}
	}
	return strings.Join(parts, ", ")
}
