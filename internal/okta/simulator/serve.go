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

// call is one request on its way through the simulator.
type call struct {
	r       *http.Request
	arrived time.Time // by the real clock
	body    []byte
	// url is what the client addressed, without the query.
	url string
	// path are the unescaped segments; for a call of the Aerial API without
	// the account id, which is in account.
	path    []string
	account string
	aerial  bool
	id      string // request id, for the System Log and Okta Support
	slot    bool   // whether an Aerial API call got one of the account's slots
	broken  bool   // whether the client broke off while sending
	entry   *Request
	who     *caller
	args    map[string]string // what stands for {name} in the route
}

// ServeHTTP carries out one call. The answer is complete, and the call no
// longer counts as in flight, before its first byte is sent.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := newCall(r)
	a := s.carryOut(c)
	if a.cut == cutAll {
		panic(http.ErrAbortHandler) // net/http's way to break a connection off
	}
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h.Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if a.cut == cutBody {
		w.Write(a.body[:len(a.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(a.body)
}

// carryOut returns the answer to a call, between taking and giving back its slot.
func (s *Simulator) carryOut(c *call) (a answer) {
	f := s.begin(c)
	defer func() { s.end(c, &a) }()
	if c.broken {
		return answer{cut: cutAll}
	}
	if f == nil {
		proceed := s.admit(c)
		s.wait(c, s.opts.Latency)
		return proceed()
	}
	return s.strike(c, f)
}

// newCall reads the request; a body that is too large is left unread, which
// makes it malformed.
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
	c.url = scheme + "://" + r.Host + addressed
	for part := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		plain, err := url.PathUnescape(part)
		if err != nil {
			plain = part
		}
		c.path = append(c.path, plain)
	}
	if len(c.path) > 1 && (c.path[1] == "api" || c.path[1] == "governance") && c.path[0] != "api" && c.path[0] != "oauth2" {
		c.aerial, c.account, c.path = true, c.path[0], c.path[1:]
	}
	return c
}

// begin takes the call into the log and into the count of calls in flight, and
// gives the fault that strikes it, or nil.
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
		Query: c.r.URL.RawQuery, Aerial: c.aerial, InFlight: s.inFlight,
	}
	if mediaType(c.r) == "application/json" {
		c.entry.Body = string(c.body)
	}
	s.requests = appendCapped(s.requests, c.entry)
	f := s.fires(c)
	if f != nil {
		c.entry.Fault = f.String()
	}
	return f
}

// end returns the slot back and completes the log.
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

// wait lets d pass since the call's arrival. A client that goes away ends the
// wait, not the call: what it asked for still happens, as it would at the real
// thing.
func (s *Simulator) wait(c *call, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d - time.Since(c.arrived))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.r.Context().Done():
	}
}

// Request is one call in the log of calls.
type Request struct {
	// N counts from 1 in the order of arrival.
	N            int
	Time         time.Time
	Method, Path string
	// Query is raw, without the question mark.
	Query string
	// Aerial tells a call of the Aerial API from one of an org.
	Aerial bool
	// Client is the client id, or "SSWS " and the domain, once authenticated.
	Client string
	// Body is what was sent as JSON; forms hold assertions and are not kept.
	Body string
	// Status is what was answered; 0 while under way and of broken connections.
	Status int
	// InFlight counts the calls of the Aerial API under way after the arrival,
	// this one too if it is one.
	InFlight int
	// Fault is the fault that struck, in ParseFault's form; mostly empty.
	Fault string
}

// Requests returns the log of calls in the order of arrival: the last 100,000.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// ResetRequests forgets the log of calls and the highest number in flight.
func (s *Simulator) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.maxSeen = nil, s.inFlight
}

// Writes returns the calls of the log that may have changed something: all but
// reads and token calls.
func (s *Simulator) Writes() []Request {
	return slices.DeleteFunc(s.Requests(), func(r Request) bool {
		return r.Method == http.MethodGet || !r.Aerial && r.Path == tokenPath
	})
}

// MaxInFlight is the highest number of Aerial API calls that were ever under
// way at once, refused ones included.
func (s *Simulator) MaxInFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maxSeen
}

// appendCapped appends, and drops the older half when the log gets too long.
func appendCapped[T any](log []T, entry T) []T {
	if len(log) >= maxHistory {
		log = slices.Clone(log[maxHistory/2:])
	}
	return append(log, entry)
}

// CheckListen refuses an address to listen on that others could reach: the
// simulator hands out tokens to whoever holds its seed.
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

// shutdownGrace is how long calls under way may take to end once Serve is
// asked to stop; their waits are cut short at once.
const shutdownGrace = 5 * time.Second

// Serve answers calls on the listener until ctx is done, then ends the calls
// under way, closes the listener and returns nil. Any other end is an error.
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
