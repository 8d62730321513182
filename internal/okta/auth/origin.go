package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"reconciler/internal/web"
)

// ErrOrigin is what an error wraps when a request would have carried a
// credential to another place than the one it is for. Nothing was sent.
var ErrOrigin = errors.New("refused to send a credential to another origin")

// checkOrigin refuses u unless it is of this origin. The error names no more
// than the two origins: a path or a query may hold something secret.
func checkOrigin(origin web.Origin, u *url.URL) error {
	if origin.Has(u) {
		return nil
	}
	return fmt.Errorf("%w: it is for %q, the request goes to %q", ErrOrigin, origin, web.OriginOf(u))
}

// closeBody does what a RoundTripper owes to a request that it doesn't send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
