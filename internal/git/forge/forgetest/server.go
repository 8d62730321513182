// Package forgetest provides servers that stand in for GitHub and GitLab. They
// have the few endpoints that package forge uses, and follow the documented API
// there: methods, headers, credentials, permissions, pages, limits and the
// messages of refusals. They reject what the real servers reject. They write
// their JSON by hand, so that they share no mistake with a client library.
//
// A test adds tokens, requests and commits, points a client at URL, and examines
// the comments and statuses afterwards. A Fault replaces an answer.
package forgetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxRequest caps what is read of a request.
const maxRequest = 32 << 20

// Comment is a comment on a pull or merge request.
type Comment struct {
	ID     int64
	Author string
	Body   string
	// URL is where people would read it.
	URL string
	// Edits counts how often it was changed.
	Edits int
}

// Status is a status of a commit, with the states of the forge that has it.
type Status struct {
	ID                              int64
	State, Context                  string
	Description, TargetURL, Creator string
}

// Call is an HTTP request that was received, without its credentials.
type Call struct {
	Method string
	// Path is without the root of the API and without the query.
	Path string
	// Query is as it was sent.
	Query string
	// Code is the status of the answer; 0 if the connection was dropped.
	Code int
}

// Fault replaces an answer.
type Fault struct {
	// Method and Path select requests; empty means any. Path is a part of the
	// path, or its end if it ends with a $.
	Method, Path string
	// After is how many of these requests pass first, and Times how many are
	// answered with the fault then; 0 means one.
	After, Times int
	// Applied lets the request take effect, and replaces only its answer.
	Applied bool
	// Drop closes the connection instead of answering.
	Drop bool
	// Status, Header and Body are the answer.
	Status int
	Header http.Header
	Body   string
}

// Test is the test that a server is started for, such as a *testing.T.
type Test interface {
	// Cleanup calls f at the end of the test.
	Cleanup(f func())
}

// Server is what both servers have in common. All methods may be called from many
// goroutines.
type Server struct {
	// URL is the root of the REST API.
	URL string

	root string // path of the URL
	mux  http.Handler

	mu       sync.Mutex
	now      func() time.Time
	lastID   int64
	users    []string // their ids are 1000 and up
	calls    []Call
	faults   []*Fault
	comments map[int][]*Comment
	statuses map[string][]*Status // an entry for each commit
}

func newServer(root string) *Server {
	return &Server{root: root, now: time.Now, comments: map[int][]*Comment{}, statuses: map[string][]*Status{}}
}

// start serves on loopback until the test ends.
func (s *Server) start(t Test, handler http.Handler) {
	s.mux = handler
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.URL = srv.URL + s.root
}

// SetNow sets the server's clock.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Fail adds a fault. The first fault that matches a request is used.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls returns the requests since the start.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// AddRequest adds a pull or merge request of this number.
func (s *Server) AddRequest(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.comments[number] == nil {
		s.comments[number] = []*Comment{}
	}
}

// AddCommit adds a commit that can have statuses.
func (s *Server) AddCommit(hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.statuses[hash] == nil {
		s.statuses[hash] = []*Status{}
	}
}

// Comments returns the comments on a request, oldest first.
func (s *Server) Comments(number int) []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Comment
	for _, c := range s.comments[number] {
		all = append(all, *c)
	}
	return all
}

// Statuses returns all statuses that a commit ever had, oldest first.
func (s *Server) Statuses(commit string) []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, st := range s.statuses[commit] {
		all = append(all, *st)
	}
	return all
}

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

func (s *Server) userID(login string) int64 {
	i := slices.Index(s.users, login)
	if i < 0 {
		i, s.users = len(s.users), append(s.users, login)
	}
	return 1000 + int64(i)
}

// ServeHTTP answers one request, unless a fault replaces the answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	rec := httptest.NewRecorder()
	fault := s.fault(r)
	if fault == nil || fault.Applied {
		s.mux.ServeHTTP(rec, r)
	}
	if fault != nil && !fault.Drop {
		rec = httptest.NewRecorder()
		for name, values := range fault.Header {
			rec.Header()[name] = values
		}
		if rec.Header().Get("Content-Type") == "" {
			rec.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		rec.WriteHeader(fault.Status)
		rec.Body.WriteString(fault.Body)
	}
	s.note(r, rec.Code, fault != nil && fault.Drop)
	if fault != nil && fault.Drop {
		panic(http.ErrAbortHandler)
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

func (s *Server) fault(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times <= 0 || f.Method != "" && f.Method != r.Method || !f.matches(r.URL.Path) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		f.Times--
		return f
	}
	return nil
}

// matches reports whether the fault is for a path.
func (f *Fault) matches(path string) bool {
	if end, ok := strings.CutSuffix(f.Path, "$"); ok {
		return strings.HasSuffix(path, end)
	}
	return strings.Contains(path, f.Path)
}

func (s *Server) note(r *http.Request, code int, dropped bool) {
	if dropped {
		code = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{r.Method, strings.TrimPrefix(r.URL.EscapedPath(), s.root), r.URL.RawQuery, code})
}

// Transport returns a transport that calls the server without a network, for tests
// with a fake clock, which a connection would block.
func (s *Server) Transport() http.RoundTripper { return direct{s} }

type direct struct{ server *Server }

// RoundTrip calls the server.
func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			resp, err = nil, io.ErrUnexpectedEOF
		} else if v != nil {
			panic(v)
		}
	}()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = r.URL.RequestURI()
	in.Host = r.URL.Host
	rec := httptest.NewRecorder()
	d.server.ServeHTTP(rec, in)
	return rec.Result(), nil
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}

// readJSON reads an object.
func readJSON(r *http.Request) (map[string]any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, errors.New("null")
	}
	return v, nil
}

// page returns the page of a list that a query selects; last is the number of
// the last page.
func page[T any](all []T, q url.Values, perPage int) (part []T, number, size, last int) {
	number, size = 1, perPage
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 {
		number = n
	}
	if n, err := strconv.Atoi(q.Get("per_page")); err == nil && n > 0 {
		size = min(n, 100)
	}
	last = max(1, (len(all)+size-1)/size)
	from := min((number-1)*size, len(all))
	return all[from:min(from+size, len(all))], number, size, last
}

// links returns the Link header of a page; empty if it is the only one.
func links(u string, q url.Values, number, last int) string {
	var parts []string
	add := func(rel string, n int) {
		q := maps.Clone(q)
		q.Set("page", strconv.Itoa(n))
		parts = append(parts, fmt.Sprintf(`<%s?%s>; rel="%s"`, u, q.Encode(), rel))
	}
	if number > 1 {
		add("prev", number-1)
	}
	if number < last {
		add("next", number+1)
		add("last", last)
	}
	if number > 1 {
		add("first", 1)
	}
	return strings.Join(parts, ", ")
}
