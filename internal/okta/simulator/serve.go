package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBody is the largest request body that is read.
const maxBody = 1 << 20

// call is one request.
type call struct {
	r       *http.Request
	arrived time.Time // by the real clock
	body    []byte
	// url is the URL that the client used, without the query.
	url string
	// path are the unescaped segments; those of a call of the Aerial API don't
	// include the account id, which is in account.
	path    []string
	account string
	aerial  bool
	// domain is the org's of a call at /org/{domain}, in lower case; path doesn't
	// include it. origin is what comes before the path of the URL.
	domain, origin string
	limit          int     // of the bucket of such a call
	window         *window // its bucket
	id             string  // request id, for the System Log and Okta Support
	slot           bool    // a call of the Aerial API has one of the account's slots
	broken         bool    // the client closed the connection while sending
	entry          *Request
	who            *caller
	args           map[string]string // the values of {name} in the route
}

// ServeHTTP carries out one call. When the first byte of the answer is sent, the
// call is no longer in flight.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := newCall(r)
	a := s.carryOut(c)
	if a.cut == cutAll {
		panic(http.ErrAbortHandler) // makes net/http close the connection
	}
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h.Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.cut == cutBody {
		w.Write(a.body[:len(a.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(a.body)
}

// carryOut returns the answer to a call, during which the call has its slot.
func (s *Simulator) carryOut(c *call) (a *answer) {
	f := s.begin(c)
	defer func() { s.end(c, a) }()
	if c.broken {
		return &answer{cut: cutAll}
	}
	if f == nil {
		proceed := s.admit(c)
		s.wait(c, s.opts.Latency)
		return proceed()
	}
	return s.applyFault(c, f)
}

// newCall reads the request. Of a body that is too large it reads a part, which is
// malformed.
func newCall(r *http.Request) *call {
	c := &call{r: r, arrived: time.Now()}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	c.body, c.broken = body, err != nil
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	addressed := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		addressed = u.EscapedPath()
	}
	c.origin = scheme + "://" + r.Host
	c.url = c.origin + addressed
	for part := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		plain, err := url.PathUnescape(part)
		if err != nil {
			plain = part
		}
		c.path = append(c.path, plain)
	}
	if len(c.path) > 2 && c.path[0] == "org" && c.path[1] != "api" {
		c.domain, c.path = strings.ToLower(c.path[1]), c.path[2:]
		return c
	}
	if len(c.path) > 1 && (c.path[1] == "api" || c.path[1] == "governance") && c.path[0] != "api" && c.path[0] != "oauth2" {
		c.aerial, c.account, c.path = true, c.path[0], c.path[1:]
	}
	return c
}

// isToken reports whether the call is one of a token endpoint.
func (c *call) isToken() bool { return !c.aerial && "/"+strings.Join(c.path, "/") == tokenPath }

// begin logs and counts the call, and returns the fault that applies to it, or
// nil.
func (s *Simulator) begin(c *call) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.aerial {
		s.inFlight++
		s.maxSeen = max(s.maxSeen, s.inFlight)
		if c.slot = s.slots < s.seed.Limits.Concurrent; c.slot {
			s.slots++
		}
	}
	c.id = s.newID("req")
	s.count++
	c.entry = &Request{
		N: s.count, Time: s.opts.Now(), Method: c.r.Method, Path: c.r.URL.Path,
		Query: c.r.URL.RawQuery, UserAgent: c.r.UserAgent(), Aerial: c.aerial, InFlight: s.inFlight,
	}
	if mediaType(c.r) == "application/json" {
		c.entry.Body = string(c.body)
	}
	if c.isToken() {
		c.entry.Query = ""
	}
	if c.domain != "" {
		c.entry.Org = c.domain
		s.countOrg(c)
	}
	s.requests = appendCapped(s.requests, c.entry)
	f := s.faultFor(c)
	if f != nil {
		c.entry.Fault = f.String()
	}
	return f
}

func (s *Simulator) end(c *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.aerial {
		s.inFlight--
	}
	if c.slot {
		s.slots--
	}
	if a.header != nil {
		a.header.Set("X-Okta-Request-Id", c.id)
	}
	c.entry.Status = a.status
	if a.cut != uncut {
		c.entry.Status = 0
	}
	if c.who != nil {
		c.entry.Client = c.who.id
	}
	s.opts.Logger.Debug("call", "n", c.entry.N, "method", c.r.Method, "path", c.r.URL.Path,
		"status", c.entry.Status, "client", c.entry.Client, "fault", c.entry.Fault)
}

// wait waits until d after the call's arrival. A client that closes the connection
// ends the wait, but not the call, which still takes effect, as it does at Okta.
func (s *Simulator) wait(c *call, d time.Duration) {
	if d > 0 {
		select {
		case <-time.After(d - time.Since(c.arrived)):
		case <-c.r.Context().Done():
		}
	}
}

// Request is one call in the log of calls.
type Request struct {
	// N counts from 1 in the order of arrival.
	N            int
	Time         time.Time
	Method, Path string
	// Query is raw, without the question mark; that of a token request may
	// contain an assertion and is not stored.
	Query string
	// UserAgent is the header of that name.
	UserAgent string
	// Aerial is true for a call of the Aerial API, false for one of an org.
	Aerial bool
	// Org is the domain of a call at /org/{domain}, or "".
	Org string
	// Client is the client id, or "SSWS " and the domain; "" if the call was not
	// authenticated.
	Client string
	// Body is a JSON body; forms contain assertions and are not stored.
	Body string
	// Status is that of the answer; 0 before there is one, and if the connection
	// was cut.
	Status int
	// InFlight counts the calls of the Aerial API in flight after the arrival,
	// including this one.
	InFlight int
	// Fault is the fault that was applied, in ParseFault's form, or "".
	Fault string
}

// Requests returns the last 100,000 calls in the order of arrival.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// ResetRequests clears the log of calls and resets MaxInFlight.
func (s *Simulator) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.maxSeen = nil, s.inFlight
}

// Writes returns the calls of the log that may have changed something: all except
// reads and token requests.
func (s *Simulator) Writes() []Request {
	return slices.DeleteFunc(s.Requests(), func(r Request) bool {
		return r.Method == http.MethodGet || !r.Aerial && strings.HasSuffix(r.Path, tokenPath)
	})
}

// MaxInFlight returns the highest number of Aerial API calls that were in flight at
// the same time, including those that failed.
func (s *Simulator) MaxInFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maxSeen
}

// appendCapped appends to a log, and drops its older half if it is too long.
func appendCapped[T any](log []T, entry T) []T {
	if len(log) >= maxHistory {
		log = slices.Clone(log[maxHistory/2:])
	}
	return append(log, entry)
}

// CheckListen returns an error unless address is HOST:PORT on loopback: the
// simulator must not be reachable from other machines.
func CheckListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: want HOST:PORT such as 127.0.0.1:8080", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("listen address %q: port %q is not a number from 0 to 65535", address, port)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen address %q: the simulator serves loopback only; use 127.0.0.1:%s", address, port)
	}
	return nil
}

// shutdownGrace is how long calls may take to finish once Serve is stopped; their
// waits end at once.
const shutdownGrace = 5 * time.Second

// Serve serves calls on the listener until ctx is done; then it finishes the calls
// in flight, closes the listener and returns nil. Any other end is an error. It may
// be called for several listeners.
func (s *Simulator) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("simulator: serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-done
	return err
}
