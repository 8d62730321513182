package daemon

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// leastCompressed is how long a response must be at least to be compressed.
const leastCompressed = 8 << 10

// compressors are used again: one needs a megabyte.
var compressors = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	return w
}}

// buffers are used again: a long answer needs some hundred kilobytes.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// answers serves what is asked of the API and for pages. An answer is made as a whole before
// any of it is sent, and so few are made at a time that runs keep a core: who takes an answer
// slowly holds up nobody.
type answers struct {
	next http.Handler
	// making has an element for each answer that is being made.
	making chan struct{}
	recent *recent
}

func newAnswers(next http.Handler, m *recent) *answers {
	return &answers{next, make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), m}
}

// ServeHTTP implements http.Handler. What changes something, and what machines ask for often,
// such as metrics, doesn't wait for others.
func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, at := slices.BinarySearch(atOnce(), r.URL.Path)
	if at || r.Method != http.MethodGet && r.Method != http.MethodHead {
		a.next.ServeHTTP(w, r)
		return
	}
	select {
	case a.making <- struct{}{}:
	case <-r.Context().Done():
		return // nobody waits for it
	}
	a.make(r).send(w, r)
}

// atOnce are the paths that are answered at once, sorted.
func atOnce() []string { return []string{"/healthz", "/hooks/git", "/metrics", "/readyz"} }

// make makes an answer, unless the same one was made just now, and then lets others do so.
func (a *answers) make(r *http.Request) *answer {
	defer func() { <-a.making }()
	return a.recent.get(r, func(r *http.Request) *answer {
		b := &buffered{header: http.Header{}, code: http.StatusOK, body: buffers.Get().(*bytes.Buffer)}
		defer buffers.Put(b.body)
		b.body.Reset()
		a.next.ServeHTTP(b, r)
		body := b.body.Bytes()
		if strings.HasPrefix(r.URL.Path, apiPath) && b.compress(r) {
			short := buffers.Get().(*bytes.Buffer)
			defer buffers.Put(short)
			body = compressed(short, body)
		}
		return &answer{header: b.header, code: b.code, body: bytes.Clone(body)}
	})
}

// compress sets the header for what is long, if the client takes that compressed, and reports
// whether it does. Pages are not compressed: they have a token that nobody may guess by the
// length of what is compressed with it.
func (b *buffered) compress(r *http.Request) bool {
	b.Header().Add("Vary", "Accept-Encoding")
	if b.body.Len() < leastCompressed || !takesGzip(r.Header.Get("Accept-Encoding")) {
		return false
	}
	b.Header().Set("Content-Encoding", "gzip")
	return true
}

// compressed returns data compressed, in a buffer.
func compressed(b *bytes.Buffer, data []byte) []byte {
	b.Reset()
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(b)
	_, _ = z.Write(data) // a buffer takes all
	_ = z.Close()
	return b.Bytes()
}

// takesGzip reports whether a client takes compressed responses.
func takesGzip(accepted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			w := strings.ReplaceAll(weight, " ", "")
			return !strings.HasPrefix(w, "q=0") || strings.Trim(w[len("q=0"):], ".0") != ""
		}
	}
	return false
}

// buffered is a ResponseWriter that keeps what is written.
type buffered struct {
	header http.Header
	code   int
	body   *bytes.Buffer
}

// Header returns the header.
func (b *buffered) Header() http.Header { return b.header }

// WriteHeader keeps the status.
func (b *buffered) WriteHeader(code int) { b.code = code }

// Write keeps a part of the body.
func (b *buffered) Write(data []byte) (int, error) { return b.body.Write(data) }
