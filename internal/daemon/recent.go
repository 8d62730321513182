package daemon

import (
	"bytes"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"reconciler/internal/daemon/signin"
	"reconciler/internal/reconcile"
)

const (
	// recentFor is how long an answer may be used again: the times in it pass, and lines
	// are added to a run's log.
	recentFor = time.Second
	// maxRecent is how many bytes the answers that are kept have together.
	maxRecent = 4 << 20
)

// shown identifies what is shown: while it is the same, answers to the same question
// differ only by what the passing of time changes.
type shown struct {
	status, requests int64
	inventory        reconcile.InventoryVersion
}

// shown returns what is shown now, by the API or by pages. For pages it stays the same over
// runs that find the same: they show such a run up to recentFor later. settled reports
// whether all of it is read.
func (r *reader) shown(page bool) (s shown, settled bool, err error) {
	settled = true
	if r.InventoryReader != nil {
		s.inventory, settled, err = r.Version(page)
	}
	status, news := r.tracker.versions()
	if s.status = status; page {
		s.status = news
	}
	s.requests = r.requests.version()
	return s, settled, err
}

// recent keeps the answers that were made within the last second: several readers look at
// the same few pages, and each page asks again and again.
type recent struct {
	shown func(page bool) (s shown, settled bool, err error)
	now   func() time.Time
	// token is the placeholder in kept answers for the token that forms must contain: each
	// response has one of its own.
	token string

	mu      sync.Mutex
	answers map[question]keptAnswer
	size    int
}

// keptAnswer is an answer that is kept, made at a time of what was shown then.
type keptAnswer struct {
	*answer
	of shown
	at time.Time
}

func newRecent(shown func(page bool) (shown, bool, error), now func() time.Time) *recent {
	return &recent{shown: shown, now: now, token: rand.Text(), answers: map[question]keptAnswer{}}
}

// question is what an answer depends on.
type question struct {
	host, uri, site string
	user            signin.User
	csrf, gzip      bool
}

// answer is an answer as it was made.
type answer struct {
	header http.Header
	code   int
	body   []byte
	// mark stands in the body for token, which each response has its own of; empty if
	// nothing does.
	mark, token string
}

// get returns the answer to a request, by make unless it was made just now.
func (m *recent) get(r *http.Request, make func(*http.Request) *answer) *answer {
	user := signin.UserOf(r.Context())
	if user == nil || strings.HasPrefix(r.URL.Path, "/runs/") || strings.HasPrefix(r.URL.Path, apiPath+"runs/") {
		return make(r) // what a run does is shown as it does it
	}
	now := m.now()
	is, settled, err := m.shown(!strings.HasPrefix(r.URL.Path, apiPath))
	if err != nil {
		return make(r) // which reports the error
	}
	csrf := signin.CSRF(r.Context())
	q := question{r.Host, r.RequestURI, r.Header.Get("Sec-Fetch-Site"), *user, csrf != "", takesGzip(r.Header.Get("Accept-Encoding"))}
	a := m.find(is, now, q)
	if a == nil {
		a = make(m.ask(r, csrf))
		if settled {
			m.keep(q, keptAnswer{a, is, now})
		}
	}
	return &answer{a.header, a.code, a.body, m.token, csrf}
}

// ask returns a request whose answer fits everybody who asks the same.
func (m *recent) ask(r *http.Request, csrf string) *http.Request {
	ctx := r.Context()
	if csrf != "" {
		ctx = signin.WithCSRF(ctx, m.token)
	}
	r = r.Clone(ctx)
	r.Header.Del("If-None-Match")
	return r
}

// find returns a recent answer that was made while the same was shown; nil if there is none.
func (m *recent) find(is shown, now time.Time, q question) *answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.answers[q]; ok && k.of == is && k.recent(now) {
		return k.answer
	}
	return nil
}

// recent reports whether the answer may be used again.
func (k *keptAnswer) recent(now time.Time) bool {
	age := now.Sub(k.at)
	return age >= 0 && age < recentFor
}

// keep keeps an answer, and removes those that are no longer recent.
func (m *recent) keep(q question, k keptAnswer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.answers, func(other question, old keptAnswer) bool {
		gone := other == q || !old.recent(k.at)
		if gone {
			m.size -= len(old.body)
		}
		return gone
	})
	if k.code == http.StatusOK && m.size+len(k.body) <= maxRecent {
		m.answers[q] = k
		m.size += len(k.body)
	}
}

// send sends the answer, or 304 if the client has it already.
func (a *answer) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	maps.Copy(h, a.header)
	if tag := h.Get("ETag"); tag != "" && r.Header.Get("If-None-Match") == tag {
		h.Del("Content-Length")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if len(a.body) == 0 {
		w.WriteHeader(a.code)
		return
	}
	parts := [][]byte{a.body}
	if a.token != "" {
		parts = bytes.Split(a.body, []byte(a.mark))
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)+(len(parts)-1)*(len(a.token)-len(a.mark))))
	w.WriteHeader(a.code)
	for i, part := range parts {
		if i > 0 {
			_, _ = io.WriteString(w, a.token)
		}
		_, _ = w.Write(part) // a client that hung up doesn't read it
	}
}
