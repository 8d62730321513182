package doctor

import (
	"fmt"
	"net/http"
	"sync"

	"reconciler/internal/text"
)

// recorder is a transport that remembers what went wrong last. The clients try
// again where that makes sense; when the time is up in between, only
// this knows why.
type recorder struct {
	base http.RoundTripper

	mu   sync.Mutex
	last string
}

// RoundTrip sends the request by the base.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.base.RoundTrip(req)
	problem := ""
	switch {
	case err != nil:
		problem = fmt.Sprintf("the last try ended with %q", text.Clean(err.Error()))
	case resp.StatusCode >= 400:
		problem = fmt.Sprintf("the last answer was %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if problem != "" && req.Context().Err() == nil {
		r.last = problem
	}
	return resp, err
}

// lastProblem says what went wrong last; empty when nothing did. A nil recorder
// knows nothing.
func (r *recorder) lastProblem() string {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
