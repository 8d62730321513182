package parent

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
)

const (
	// Timeout bounds one attempt of one call, also when the process is to stop: a
	// creation that is slow is better waited for than given up.
	Timeout = 45 * time.Second
	// maxBody caps an answer; none need be longer.
	maxBody = 1 << 20
	// maxAttempts is how often a read is sent before a failure that may pass is
	// returned, with waits of up to 0.5, 1 and 2 s between.
	maxAttempts = 4
	firstWait   = 500 * time.Millisecond
	// maxThrottled is how long one call waits for 429s altogether.
	maxThrottled = 5 * time.Minute
)

// Options is what a Client needs to know.
type Options struct {
	// Name is what the config calls the parent, for errors.
	Name string
	// URL is the parent org's, such as https://acme.okta.com. No request goes
	// to another origin.
	URL *url.URL
	// Keys are what the config calls what hints tell people to check.
	Keys Keys
	// Transport sends the requests. Auth puts credentials on those that go to
	// the transport it is given.
	Transport http.RoundTripper
	Auth      func(http.RoundTripper) http.RoundTripper
	// Logger gets attempts (debug) and retries (warn); nil discards them.
	Logger *slog.Logger
}

// Keys name the settings of a parent in the config, and that of the account
// which is to manage its orgs.
type Keys struct {
	URL, Auth, OrgURL, AccountID string
}

// Client makes the calls of one parent org. Its methods may be called from many
// goroutines. Errors of the API are a *rest.Error somewhere in the chain; some
// errors have a method Hint() string, which says what to do about it. No error
// and no line of log holds a token.
type Client struct {
	name   string
	base   *url.URL
	keys   Keys
	caller *rest.Caller
	// open makes the calls that need no credentials.
	open *rest.Caller
}

// New checks the options and returns a client. It sends nothing.
func New(opts Options) (*Client, error) {
	if opts.URL == nil || opts.Transport == nil || opts.Auth == nil {
		return nil, errors.New("the client of a parent org needs a URL, a transport and credentials")
	}
	base, err := rest.Base(opts.URL, fmt.Sprintf("the parent %q", opts.Name))
	if err != nil {
		return nil, err
	}
	c := &Client{name: opts.Name, base: base, keys: opts.Keys}
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c.open = rest.New(rest.Options{
		Name: "the parent org", URLKey: c.keys.URL, Hint: func(e *rest.Error) string { return e.CommonHint(c.keys.URL) },
		Transport: opts.Transport, Logger: log.With("parent", c.name),
	})
	c.caller = rest.New(rest.Options{
		Name: "the parent org", URLKey: c.keys.URL, TokenKey: c.keys.OrgURL, Hint: c.hint,
		Transport: opts.Transport, Auth: opts.Auth, Logger: log.With("parent", c.name),
	})
	return c, nil
}

// Timeout returns how long a creation may take from being sent to being given up.
func (c *Client) Timeout() time.Duration { return Timeout }

// call prepares a call; repeat says what it means to send it twice.
func (c *Client) call(method, endpoint string, repeat rest.Repeat) *rest.Call {
	return &rest.Call{
		Method: method, Endpoint: endpoint, URL: c.base.JoinPath("api", "v1", endpoint),
		Policy: rest.Policy{
			Repeat:    repeat,
			Timeout:   Timeout,
			Grace:     Timeout,
			MaxBody:   maxBody,
			Attempts:  maxAttempts,
			Backoff:   firstWait,
			Failing:   maxAttempts * Timeout,
			Throttled: maxThrottled,
		},
	}
}

// Okta's codes for a creation that can't be done as it is declared. Those for a
// subdomain that is in use are in [Taken].
const (
	codeNoFeature = "E0000015" // the org does not have it
	codeBadName   = "E0000089" // of the org or its subdomain
	codeReserved  = "E0000170"
	codeTooLong   = "E0000172"
)

// hint returns what to do about an answer that is not a success.
func (c *Client) hint(e *rest.Error) string {
	switch {
	case e.Code == codeNoFeature:
		return "the parent has no Org Creator API: ask Okta Support to switch it on there"
	case e.Code == codeBadName:
		return "a subdomain has letters, digits, and hyphens between them, and an org's name at most 100 characters: declare another domain or name"
	case e.Code == codeReserved:
		return "Okta keeps this subdomain for itself, so no org can have it: declare another domain"
	case e.Code == codeTooLong:
		return "a subdomain has at most 57 characters: declare another domain"
	case e.Status == http.StatusUnauthorized:
		return "Okta refused the parent's credentials: check " + c.keys.Auth + "; an API token dies with its owner, and after 30 days without use"
	case e.Status == http.StatusForbidden:
		return "the API token's owner must be a super admin of the parent; a service app needs that role and the scope okta.orgs.manage"
	case e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed:
		return "no such API is there: check " + c.keys.URL
	case e.Status == http.StatusTooManyRequests:
		return "Okta makes ten orgs a minute for a parent; whoever else creates orgs there counts too"
	}
	return e.CommonHint(c.keys.URL)
}

// Taken reports whether err is Okta's refusal to make an org because its
// subdomain is in use. So the org exists, though it may be somebody else's.
//
// Okta has a code for a subdomain that exists, and one for a subdomain that
// another request is creating, which may be an earlier one of ours. Without
// these it is a validation that failed, for any cause that is about the
// subdomain and about being there already.
func Taken(err error) bool {
	var e *rest.Error
	if !errors.As(err, &e) || e.Status != http.StatusBadRequest {
		return false
	}
	switch e.Code {
	case "E0000088", "E0000171":
		return true
	case "E0000001":
	default:
		return false
	}
	return slices.ContainsFunc(append(slices.Clone(e.Causes), e.Summary), func(cause string) bool {
		cause = strings.ToLower(cause)
		about := strings.Contains(cause, "subdomain")
		for _, words := range []string{"already exists", "already in use", "already taken", "must be unique", "not available", "is taken", "not unique"} {
			if about && strings.Contains(cause, words) {
				return true
			}
		}
		return false
	})
}
