package systemlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

const (
	// Path is where an org's log is, and Scope what a token needs to read it.
	Path  = "/api/v1/logs"
	Scope = "okta.logs.read"

	// pageSize is the most that Okta allows, and maxPage how many bytes such a page may
	// have: some kB for each event.
	pageSize = 1000
	maxPage  = 20 << 20

	// form is how the log writes times.
	form = "2006-01-02T15:04:05.000Z"
)

// Policy returns the policy of a call that reads a page of a log: what hangs or fails is
// soon given up, as nothing waits for the answer.
func Policy(timeout time.Duration) rest.Policy {
	return rest.Policy{
		Repeat: rest.Always, Timeout: timeout, MaxBody: maxPage,
		Attempts: 3, Backoff: 500 * time.Millisecond, Failing: timeout + 10*time.Second, Throttled: time.Minute,
	}
}

// Log is the System Log of one org.
type Log struct {
	// Home is the URL of the org's API. No request goes to another origin. URLKey is
	// what the config calls it.
	Home   *url.URL
	URLKey string
	Policy rest.Policy
	// Do makes a call, with credentials for Scope.
	Do func(ctx context.Context, call *rest.Call) error
}

// page is a page of the log.
type page struct {
	events []Event
	// read is how many there were, with those that can't be read.
	read int
	// next is where the log goes on; nil if it ends here.
	next *url.URL
	// ahead is by how much Okta's clock is ahead of ours, as far as its answer tells.
	ahead time.Duration
}

// first returns the URL of the events since a time, oldest first. It has no end: what
// comes while it is read is read as well.
func (l *Log) first(since time.Time, filter string) *url.URL {
	u := l.Home.JoinPath(Path)
	u.Path = "/" + strings.TrimPrefix(u.Path, "/") // a URL without a path has no slash to join
	q := url.Values{
		"since": {since.UTC().Format(form)}, "limit": {strconv.Itoa(pageSize)}, "sortOrder": {"ASCENDING"},
	}
	if filter != "" {
		q.Set("filter", filter)
	}
	u.RawQuery = q.Encode()
	return u
}

// Probe reads what happened since now, to find out whether the log may be read.
func (l *Log) Probe(ctx context.Context) error {
	_, err := l.page(ctx, l.first(time.Now(), ""))
	return err
}

// page reads a page. Events that can't be read are left out; a page that is none is an
// error.
func (l *Log) page(ctx context.Context, at *url.URL) (p page, err error) {
	var answer *rest.Answer
	var raw []json.RawMessage
	sent := time.Now()
	call := &rest.Call{Method: http.MethodGet, Endpoint: Path, URL: at, Policy: l.Policy}
	call.Read = func(a *rest.Answer) (err error) {
		answer = a
		raw, err = rest.Decode[[]json.RawMessage](a)
		return err
	}
	if err := l.Do(ctx, call); err != nil {
		return p, err
	}
	if raw == nil {
		return p, errors.New("the answer is null instead of a list")
	}
	p.read = len(raw)
	for _, r := range raw {
		var e Event
		if json.Unmarshal(r, &e) == nil {
			p.events = append(p.events, e)
		}
	}
	p.ahead = ahead(answer.Header, sent, time.Now())
	target, err := rest.NextLink(answer.Header, nil)
	if err != nil || target == "" {
		return p, err
	}
	if p.next, err = rest.Follow(l.Home, at, target, l.URLKey); err != nil {
		return p, err
	}
	if p.next.Path != at.Path {
		return p, text.WithHint(fmt.Errorf("the next page is one of %q, not of %q, and is not followed", text.Clean(p.next.Path), at.Path),
			"check "+l.URLKey+", and proxies that rewrite answers")
	}
	return p, nil
}

// ahead returns by how much the server's clock is ahead of ours, given when a call was
// sent and answered; 0 if its answer doesn't say, or if it is no more than what can't be
// told, as it counts in seconds.
func ahead(h http.Header, sent, answered time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	ours := sent.Add(answered.Sub(sent) / 2)
	d := date.Add(500 * time.Millisecond).Sub(ours)
	if d.Abs() <= 2*time.Second+answered.Sub(sent)/2 {
		return 0
	}
	return d.Round(time.Second)
}
