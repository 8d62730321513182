package daemon

import (
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
	base, err := statusURL(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("api", "v1", "status").String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", web.UserAgent(ctx))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.GetProxyConnectHeader = web.ProxyHeader
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, noAnswer(base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, notADaemon(base, fmt.Errorf("the answer is %s", resp.Status))
	}
	return readStatus(base, resp.Body)
}

func readStatus(base *url.URL, body io.Reader) (*Status, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxStatus+1))
	if err != nil {
		return nil, noAnswer(base, err)
	}
	if len(data) > maxStatus {
		return nil, notADaemon(base, fmt.Errorf("the answer is longer than %d MB", maxStatus>>20))
	}
	var s Status
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, notADaemon(base, errors.New("the answer is no status"))
	}
	if s.Version != StatusVersion {
		return nil, notADaemon(base, fmt.Errorf("the answer is a status of version %d, and this program knows %d", s.Version, StatusVersion))
	}
	return &s, nil
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

func noAnswer(base *url.URL, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // it would repeat the URL
	}
	return text.WithHint(
		fmt.Errorf("no daemon answers on %s: %w", base, err),
		"start one with `reconciler run`, or give the "+config.KeyHTTPAddress+" that it was started with",
	)
}

func notADaemon(base *url.URL, err error) error {
	return text.WithHint(
		fmt.Errorf("what answers on %s is not this program's daemon: %w", base, err),
		"give the "+config.KeyHTTPAddress+" that `reconciler run` was started with",
	)
}
