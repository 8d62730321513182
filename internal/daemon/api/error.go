package api

// Error is the response of an endpoint that fails.
type Error struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}
