package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// The headers of a message. The signature is the HMAC, with SHA-256 and the receiver's
// secret, of the timestamp, a dot and the body.
const (
	headerID        = "X-Reconciler-Id"
	headerTimestamp = "X-Reconciler-Timestamp"
	headerSignature = "X-Reconciler-Signature"
)

const (
	// sendTimeout is how long a receiver may take for one message.
	sendTimeout = 10 * time.Second
	// maxAnswer is how much of its answer is read.
	maxAnswer = 2 << 10
	// maxSaid is how many characters of its answer an error has.
	maxSaid = 200
)

// sendError is why a message was not delivered.
type sendError struct {
	msg, hint string
	// kind is the part of msg that is the same each time: what a receiver answers, or the
	// port that a connection had, may differ from try to try.
	kind string
	// wait is how long the receiver asks to be left alone.
	wait time.Duration
	// message means that the receiver refuses this message, and may take others.
	message bool
}

func (e *sendError) Error() string { return e.msg }

// Hint returns what to do about it.
func (e *sendError) Hint() string { return e.hint }

// newClient returns a client that follows no redirects: a message goes to the place that
// the config names, and to no other.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = web.Default
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send sends a message once.
func (r *Receiver) send(ctx context.Context, client *http.Client, m *Message) *sendError {
	ctx, stop := context.WithTimeout(ctx, sendTimeout)
	defer stop()
	req, err := r.request(ctx, m)
	if err != nil {
		msg := text.Flat(err).Error()
		return &sendError{msg: msg, kind: msg, hint: text.Hint(err), message: errors.As(err, new(*templateError))}
	}
	resp, err := client.Do(req)
	if err != nil {
		return r.notReached(ctx, req.URL, err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return r.refused(req.URL, resp, answer)
}

func (r *Receiver) request(ctx context.Context, m *Message) (*http.Request, error) {
	u, err := r.url(ctx)
	if err != nil {
		return nil, err
	}
	secret, err := r.secret(ctx)
	if err != nil {
		return nil, err
	}
	body, err := r.body(m)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request can't be made") // the error may quote the URL
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", web.UserAgent(ctx))
	req.Header.Set(headerID, m.ID)
	if r.cfg.Type == config.Webhook {
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		req.Header.Set(headerTimestamp, stamp)
		if secret != nil {
			req.Header.Set(headerSignature, "sha256="+signature(secret, stamp, body))
		}
	}
	return req, nil
}

// signature returns the HMAC of a message in hexadecimal digits.
func signature(secret []byte, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// notReached describes why there was no answer, without the URL, of which the path is a
// secret.
func (r *Receiver) notReached(ctx context.Context, u *url.URL, err error) *sendError {
	hint := text.Hint(err)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	host := text.Visible(u.Host)
	if ctx.Err() != nil {
		msg := fmt.Sprintf("%s did not answer within %s", host, sendTimeout)
		return &sendError{msg: msg, kind: msg, hint: hint}
	}
	return &sendError{
		msg:  fmt.Sprintf("%s can't be reached: %s", host, text.Clean(err.Error(), secretsOf(u)...)),
		kind: fmt.Sprintf("%s can't be reached: %s", host, causeOf(err)),
		hint: hint,
	}
}

// causeOf returns the cause of a network error, without addresses.
func causeOf(err error) string {
	if errors.As(err, new(*net.DNSError)) {
		return "its name is not found"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// refused describes an answer that is no success.
func (r *Receiver) refused(u *url.URL, resp *http.Response, answer []byte) *sendError {
	e := &sendError{
		kind: strings.TrimSpace(fmt.Sprintf("%s answered %d %s", text.Visible(u.Host), resp.StatusCode, http.StatusText(resp.StatusCode))),
		wait: web.RetryAfter(resp.Header, web.ServerTime(resp.Header)),
	}
	e.msg = e.kind
	if said := text.OneLine(text.Clean(string(answer), secretsOf(u)...), maxSaid); said != "" {
		e.msg += ": " + said
	}
	switch code := resp.StatusCode; {
	case code/100 == 3:
		e.hint = fmt.Sprintf("redirects are not followed: put the URL that it leads to into %s", r.cfg.URL.Origin())
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusGone:
		e.hint = fmt.Sprintf("was the webhook removed, or its URL renewed? Put the present one into %s", r.cfg.URL.Origin())
	case code == http.StatusBadRequest, code == http.StatusRequestEntityTooLarge, code == http.StatusUnsupportedMediaType, code == http.StatusUnprocessableEntity:
		e.message = true
		e.hint = "it refuses what is sent; others that wait are sent meanwhile"
	}
	return e
}

// secretsOf returns the parts of a URL that errors must not repeat.
func secretsOf(u *url.URL) []string {
	secrets := []string{u.String(), u.RequestURI()}
	if u.User != nil {
		secrets = append(secrets, u.User.String())
	}
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		if len(part) >= 8 { // a word such as "hook" is none
			secrets = append(secrets, part)
		}
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= 8 {
				secrets = append(secrets, v)
			}
		}
	}
	if u.RequestURI() == "/" {
		secrets[1] = ""
	}
	return secrets
}
