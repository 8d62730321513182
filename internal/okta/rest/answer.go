package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"reconciler/internal/text"
)

// Answer is what came back, as far as it came.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Cut is why the body is not whole; nil when it is.
	Cut error
}

var errTooLong = errors.New("it is longer than any such answer need be")

// readAnswer reads the body to its end, so that the connection can be used again.
func readAnswer(ctx context.Context, resp *http.Response, limit int64) *Answer {
	a := &Answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Status < 200 {
		return a // an upgrade that was not asked for; its body is the connection, without end
	}
	a.Body, a.Cut = readAll(io.LimitReader(resp.Body, limit+1), resp.ContentLength)
	switch {
	case int64(len(a.Body)) > limit:
		a.Body, a.Cut = a.Body[:limit], fmt.Errorf("%w (over %d bytes)", errTooLong, limit)
	case a.Cut != nil && ctx.Err() != nil:
		a.Cut = context.Cause(ctx)
	}
	return a
}

// maxTrusted is up to which length memory is taken for what a header says will come.
const maxTrusted = 1 << 20

// readAll is io.ReadAll for a reader that holds so many bytes, by what a header says; it
// need not be true.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 && length <= maxTrusted {
		b.Grow(int(length) + bytes.MinRead) // with room to find the end
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// Decode reads the body as JSON. A body that is cut or empty is an error.
func Decode[T any](a *Answer) (T, error) {
	var v, none T
	switch {
	case a.Cut != nil:
		return none, a.Cut
	case len(a.Body) == 0:
		return none, errors.New("it is empty")
	}
	err := json.Unmarshal(a.Body, &v)
	if err == nil {
		return v, nil
	}
	// A body that can be read is accepted with any content type; one that can't
	// is explained by it.
	media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return none, fmt.Errorf("it is %q, not JSON", text.Clean(a.Header.Get("Content-Type")))
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) { // without Go's names for it
		return none, fmt.Errorf("%s is of type %s", cmp.Or(wrong.Field, "it"), wrong.Value)
	}
	return none, err
}
