// Package forgetest has stand-ins for GitHub and GitLab that know the few
// endpoints which package forge uses, and hold to the documented API there:
// methods, headers, credentials, permissions, pages, limits and the words of
// refusals. What a client gets wrong, they refuse as the real ones do.
//
// A test gives them tokens, requests and commits, points a client at URL, and
// looks at what has become of them. Faults can be put before any answer.
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

// Call is an HTTP request that was received. It doesn't hold the credentials.
type Call struct {
	Method string
	// Path is without the root of the API and without the query.
	Path string
	// Query is as it was sent.
	Query string
	// Code is the status of the answer; 0 if the connection was dropped.
	Code int
}

// Fault is put in the place of an answer.
type Fault struct {
	// Method and Path say which requests it is for; empty means any. Path is a
	// part of the path, or its end, when it ends with a $.
	Method, Path string
	// After lets so many of these requests pass first, and Times is for how many
	// it then holds; 0 means one.
	After, Times int
	// Applied lets the request take effect before the fault hides its answer.
	Applied bool
	// Drop closes the connection instead of answering.
	Drop bool
	// Status, Header and Body are the answer.
	Status int
	Header http.Header
	Body   string
}

// Test is what a stand-in is started for, such as a *testing.T.
type Test interface {
	// Cleanup has f called at the end.
	Cleanup(f func())
}

// Server is what the stand-ins have in common. All methods may be called from
// many goroutines.
type Server struct {
	// URL is the root of the REST API.
	URL string

	root string // path of the URL
	mux  http.Handler

	mu       sync.Mutex
	now      func() time.Time
	lastID   int64
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

// SetNow makes the server tell the time by now.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Fail arms a fault. Faults are tried in the order in which they were armed.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// Mend disarms all faults.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls gives what was received since the start.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// AddRequest makes a pull or merge request of this number.
func (s *Server) AddRequest(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.comments[number] == nil {
		s.comments[number] = []*Comment{}
	}
}

// AddCommit makes a commit that can have statuses.
func (s *Server) AddCommit(hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.statuses[hash] == nil {
		s.statuses[hash] = []*Status{}
	}
}

// Comments gives the comments on a request, oldest first.
func (s *Server) Comments(number int) []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Comment
	for _, c := range s.comments[number] {
		all = append(all, *c)
	}
	return all
}

// Statuses gives all statuses that a commit ever had, oldest first.
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

// ServeHTTP answers one request, or puts a fault in the place of its answer.
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
		if f.Times <= 0 || f.Method != "" && f.Method != r.Method || !f.on(r.URL.Path) {
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

// on says whether the fault is for a path.
func (f *Fault) on(path string) bool {
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

// Transport gives a way to the server that is not a network, for tests in which
// time is faked: a connection would stall them.
func (s *Server) Transport() http.RoundTripper { return direct{s} }

type direct struct{ server *Server }

// RoundTrip hands the request to the server.
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

// page cuts a list to the page that is asked for; last is the number of the
// last page.
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

// links gives the Link header of a page; empty if it is the only one.
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
