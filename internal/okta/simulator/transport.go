package simulator

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// errCut is the client's error for a connection that was cut.
var errCut = errors.New("simulator: the connection was cut")

// RoundTripper returns a transport that calls the simulator without a network,
// whatever the host of the request: for tests with fake time (testing/synctest),
// which sockets would stall.
func (s *Simulator) RoundTripper() http.RoundTripper { return inProcess{s} }

type inProcess struct{ s *Simulator }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	defer func() {
		if r.Body != nil {
			r.Body.Close()
		}
	}()
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if r.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{}
	}
	done := make(chan *recorder, 1)
	go func() {
		w := &recorder{header: http.Header{}}
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler {
					panic(p)
				}
				w.aborted = true
			}
			done <- w
		}()
		t.s.ServeHTTP(w, in)
	}()
	select {
	case w := <-done:
		return w.response(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// recorder is a ResponseWriter that stores the response.
type recorder struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	aborted bool
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }
func (w *recorder) Flush()                      {}

func (w *recorder) response(r *http.Request) (*http.Response, error) {
	if w.aborted && w.status == 0 {
		return nil, errCut
	}
	var body io.Reader = &w.body
	if w.aborted {
		body = io.MultiReader(body, cutReader{})
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: -1, Request: r,
	}, nil
}

type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
