package daemon

import (
	"net/http"

	"reconciler/internal/daemon/api"
)

// serveOpenAPI serves the description of the API.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(api.OpenAPI())
}
