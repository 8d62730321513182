package daemon

import (
	"bytes"
	"compress/gzip"
	"net/http"
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

// compressed serves a request with h, and compresses what is long, if the client takes
// that.
func compressed(h http.Handler, w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept-Encoding")
	if !takesGzip(r.Header.Get("Accept-Encoding")) {
		h.ServeHTTP(w, r)
		return
	}
	c := &collector{ResponseWriter: w, code: http.StatusOK}
	h.ServeHTTP(c, r)
	if c.body.Len() < leastCompressed {
		w.WriteHeader(c.code)
		_, _ = w.Write(c.body.Bytes())
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(c.code)
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(w)
	_, _ = z.Write(c.body.Bytes()) // who hung up doesn't read it
	_ = z.Close()
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

// collector is a ResponseWriter that keeps what is written.
type collector struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

// WriteHeader keeps the status.
func (c *collector) WriteHeader(code int) { c.code = code }

// Write keeps a part of the body.
func (c *collector) Write(data []byte) (int, error) { return c.body.Write(data) }
