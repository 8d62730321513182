package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// fetchTimeout limits how long a daemon may take to return its status.
	fetchTimeout = 15 * time.Second
	// maxStatus limits the size of a status, which has hundreds of bytes for each
	// drifted field.
	maxStatus = 64 << 20
)

// FetchStatus returns the status of a daemon. The address is an http.address of
// the config, such as 127.0.0.1:8080, or the URL of a daemon behind a proxy. An
// address of all interfaces is reached on loopback. The error has a hint.
func FetchStatus(ctx context.Context, address string) (*Status, error) {
	var s Status
	if err := call(ctx, address, http.MethodGet, nil, &s, "api", "v1", "status"); err != nil {
		return nil, err
	}
	if s.Version != StatusVersion {
		base, err := statusURL(address)
		if err != nil {
			return nil, err
		}
		return nil, notADaemon(base, fmt.Errorf("the answer is a status of version %d, and this program knows %d", s.Version, StatusVersion))
	}
	return &s, nil
}

// RequestRun asks a daemon to run now, and returns the id of the run. by says who asks,
// and reason, which may be empty, why. The address is as for FetchStatus.
func RequestRun(ctx context.Context, address, by, reason string) (id string, err error) {
	var accepted RunAccepted
	err = call(ctx, address, http.MethodPost, RunRequest{By: by, Reason: reason}, &accepted, "api", "v1", "runs")
	return accepted.ID, err
}

// FetchRun returns what a daemon knows of a run. The address is as for FetchStatus.
func FetchRun(ctx context.Context, address, id string) (*RunInfo, error) {
	var info RunInfo
	if err := call(ctx, address, http.MethodGet, nil, &info, "api", "v1", "runs", id); err != nil {
		return nil, err
	}
	if info.State == RunEnded && info.RunRecord == nil || info.State != RunEnded && info.State != RunQueued && info.State != RunRunning {
		return nil, fmt.Errorf("the daemon answers with the state %q of run %s, which this program doesn't know", info.State, id)
	}
	return &info, nil
}

type tokenKey struct{}

// WithToken returns a context in which daemons are asked with a bearer token.
func WithToken(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// call calls an endpoint of a daemon, with body as JSON where it isn't nil, and reads
// the answer.
func call(ctx context.Context, address, method string, body, answer any, path ...string) error {
	return callWith(ctx, address, method, nil, body, answer, path...)
}

// FetchPage returns a page of a list of a daemon, such as "orgs", as query selects it. The
// address is as for FetchStatus.
func FetchPage[T any](ctx context.Context, address, list string, query url.Values) (*reconcile.Page[T], error) {
	var page reconcile.Page[T]
	return &page, callWith(ctx, address, http.MethodGet, query, nil, &page, "api", "v1", list)
}

// callWith is call with the parameters of a query.
func callWith(ctx context.Context, address, method string, query url.Values, body, answer any, path ...string) error {
	base, err := statusURL(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	endpoint := base.JoinPath(path...)
	endpoint.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, endpoint.String(), &sent)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", web.UserAgent(ctx))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token, ok := ctx.Value(tokenKey{}).(string); ok {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.GetProxyConnectHeader = web.ProxyHeader
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return noAnswer(base, err)
	}
	defer resp.Body.Close()
	return readAnswer(base, resp, answer)
}

func readAnswer(base *url.URL, resp *http.Response, answer any) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus+1))
	if err != nil {
		return noAnswer(base, err)
	}
	if len(data) > maxStatus {
		return notADaemon(base, fmt.Errorf("the answer is longer than %d MB", maxStatus>>20))
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		var e Error
		if json.Unmarshal(data, &e) == nil && e.Error != "" {
			refused := text.WithHint(fmt.Errorf("the daemon on %s refuses: %s", base, text.OneLine(e.Error, 500)), text.OneLine(e.Hint, 500))
			if resp.StatusCode == http.StatusUnauthorized {
				return &UnauthorizedError{refused}
			}
			return refused
		}
		return notADaemon(base, fmt.Errorf("the answer is %s", resp.Status))
	}
	if json.Unmarshal(data, answer) != nil {
		return notADaemon(base, errors.New("the answer is no status"))
	}
	return nil
}

// statusURL returns the URL of a daemon from its address.
func statusURL(address string) (*url.URL, error) {
	full, bare := address, !strings.Contains(address, "://")
	if bare {
		full = "http://" + address
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || bare && u.Port() == "" {
		return nil, fmt.Errorf("%q is not a daemon address: use HOST:PORT or a URL", address)
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "" || ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("localhost", u.Port())
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u, nil
}

// NoDaemonError means that no daemon of this program answers at an address.
type NoDaemonError struct{ Err error }

func (e *NoDaemonError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *NoDaemonError) Unwrap() error { return e.Err }

// UnauthorizedError means that a daemon wants another token, or one at all.
type UnauthorizedError struct{ Err error }

func (e *UnauthorizedError) Error() string { return e.Err.Error() }

// Unwrap returns what the daemon says.
func (e *UnauthorizedError) Unwrap() error { return e.Err }

func noAnswer(base *url.URL, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // it would repeat the URL
	}
	return &NoDaemonError{text.WithHint(
		fmt.Errorf("no daemon answers on %s: %w", base, err),
		"start one with `reconciler run`, or give the "+config.KeyHTTPAddress+" that it was started with",
	)}
}

func notADaemon(base *url.URL, err error) error {
	return &NoDaemonError{text.WithHint(
		fmt.Errorf("what answers on %s is not this program's daemon: %w", base, err),
		"give the "+config.KeyHTTPAddress+" that `reconciler run` was started with",
	)}
}
