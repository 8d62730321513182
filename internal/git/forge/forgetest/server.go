// Package forgetest provides servers that stand in for GitHub, GitLab and Gitea. They
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
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
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
	URL    string // where people would read it
	Edits  int    // how often it was changed
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
	Path   string // without the root of the API
	Query  string // as it was sent
	Code   int    // the status of the answer; 0 if the connection was dropped
}

// Fault replaces an answer.
type Fault struct {
	// Method and Path select requests; empty means any. Path is a part of the
	// path, or its end if it ends with a $.
	Method, Path string
	// After is how many of these requests pass first, and Times how many are
	// answered with the fault then; 0 means one.
	After, Times int
	Applied      bool // the request takes effect, and only its answer is replaced
	Drop         bool // the connection is closed instead of answering
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

// Server is what the servers have in common. All methods may be called from many
// goroutines.
type Server struct {
	// URL is the root of the REST API.
	URL string

	root       string // path of the URL
	handler    http.Handler
	commentURL func(number int, id int64) string

	mu       sync.Mutex // held while a request is answered
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
	s.handler = handler
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
	f.Times = max(f.Times, 1)
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
func (s *Server) AddRequest(number int) { add(s, s.comments, number) }

// AddCommit adds a commit that can have statuses.
func (s *Server) AddCommit(hash string) { add(s, s.statuses, hash) }

func add[K comparable, V any](s *Server, all map[K][]*V, key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all[key] == nil {
		all[key] = []*V{}
	}
}

// AddComment adds a comment of a user, and returns its id.
func (s *Server) AddComment(number int, login, body string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.comment(number, login, body).ID
}

// Comments returns the comments on a request, oldest first.
func (s *Server) Comments(number int) []Comment { return list(s, s.comments, number) }

// Statuses returns all statuses that a commit ever had, oldest first.
func (s *Server) Statuses(commit string) []Status { return list(s, s.statuses, commit) }

func list[K comparable, V any](s *Server, all map[K][]*V, key K) (values []V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range all[key] {
		values = append(values, *v)
	}
	return values
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

func (s *Server) comment(number int, login, body string) *Comment {
	id := s.nextID()
	c := &Comment{ID: id, Author: login, Body: body, URL: s.commentURL(number, id)}
	s.comments[number] = append(s.comments[number], c)
	return c
}

// find returns the comment with the id; nil if there is none.
func find(comments []*Comment, id string) *Comment {
	i := slices.IndexFunc(comments, func(c *Comment) bool { return strconv.FormatInt(c.ID, 10) == id })
	if i < 0 {
		return nil
	}
	return comments[i]
}

// ServeHTTP answers one request, unless a fault replaces the answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := s.serve(r)
	if rec == nil {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// serve returns the answer to a request; nil if the connection is dropped instead.
func (s *Server) serve(r *http.Request) *httptest.ResponseRecorder {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := Call{Method: r.Method, Path: strings.TrimPrefix(r.URL.EscapedPath(), s.root), Query: r.URL.RawQuery}
	rec := httptest.NewRecorder()
	fault := s.fault(r)
	if fault == nil || fault.Applied {
		s.handler.ServeHTTP(rec, r)
	}
	if fault != nil {
		rec = fault.answer()
	}
	if rec != nil {
		call.Code = rec.Code
	}
	s.calls = append(s.calls, call)
	return rec
}

func (s *Server) fault(r *http.Request) *Fault {
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

func (f *Fault) answer() *httptest.ResponseRecorder {
	if f.Drop {
		return nil
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", jsonType)
	maps.Copy(rec.Header(), f.Header)
	rec.WriteHeader(f.Status)
	rec.Body.WriteString(f.Body)
	return rec
}

// Transport returns a transport that calls the server without a network, for tests
// with a fake clock, which a connection would block.
func (s *Server) Transport() http.RoundTripper { return direct{s} }

type direct struct{ server *Server }

// RoundTrip calls the server.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.Host = r.URL.Host
	rec := d.server.serve(in)
	if rec == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return rec.Result(), nil
}

const jsonType = "application/json; charset=utf-8"

// request is a request that is being answered.
type request struct {
	*http.Request
	header http.Header // of the answer
	number int         // of the pull or merge request in the path
	in     object      // the body; nil for GET
}

// answer is sent as JSON, unless its body is a page.
type answer struct {
	code int
	body any
}

type page string

type object = map[string]any

// handler answers a request.
type handler func(request) *answer

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := h(request{Request: r, header: w.Header()})
	if p, ok := a.body.(page); ok {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(a.code)
		io.WriteString(w, string(p))
		return
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(a.code)
	json.NewEncoder(w).Encode(a.body)
}

// guarded returns a handler of the requests that enter accepts, with an object in
// their bodies. Others are answered with the refusal of enter, or with unparsed.
func guarded[T any](enter func(*request) (T, *answer), unparsed *answer, h func(request, T) *answer) handler {
	return func(r request) *answer {
		token, refusal := enter(&r)
		if refusal != nil {
			return refusal
		}
		if r.Method != http.MethodGet {
			data, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
			if err != nil || json.Unmarshal(data, &r.in) != nil || r.in == nil {
				return unparsed
			}
		}
		return h(r, token)
	}
}

// text returns a string in the body; empty if there is none.
func (r request) text(key string) string {
	s, _ := r.in[key].(string)
	return s
}

// paged returns the page of a list that the query selects, each entry as wire
// returns it, and sets the header Link; last is the number of the last page.
func paged[T any](r request, all []T, size int, wire func(T) object) (part []object, number, last int) {
	q := r.URL.Query()
	if n, err := strconv.Atoi(q.Get("per_page")); err == nil && n > 0 {
		size = min(n, 100)
	}
	number, _ = strconv.Atoi(q.Get("page"))
	number, last = max(number, 1), max(1, (len(all)+size-1)/size)
	from := min((number-1)*size, len(all))
	part = []object{} // not null
	for _, e := range all[from:min(from+size, len(all))] {
		part = append(part, wire(e))
	}
	var links []string
	for _, l := range []struct {
		rel  string
		page int
		is   bool
	}{{"prev", number - 1, number > 1}, {"next", number + 1, number < last}, {"last", last, number < last}, {"first", 1, number > 1}} {
		if l.is {
			q.Set("page", strconv.Itoa(l.page))
			links = append(links, fmt.Sprintf(`<http://%s%s?%s>; rel="%s"`, r.Host, r.URL.EscapedPath(), q.Encode(), l.rel))
		}
	}
	if links != nil {
		r.header.Set("Link", strings.Join(links, ", "))
	}
	return part, number, last
}
