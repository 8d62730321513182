package web

import (
	"context"
	"slices"
	"sync"
)

// Requests collects the ids that servers gave to requests which may have changed
// something. Its methods may be called by several goroutines.
type Requests struct {
	mu  sync.Mutex
	ids []string
}

// requestsKey is the key of a *Requests in a context.
type requestsKey struct{}

// WithRequests returns a context for calls whose requests are collected in r.
func WithRequests(ctx context.Context, r *Requests) context.Context {
	return context.WithValue(ctx, requestsKey{}, r)
}

// NoteRequest adds the id of a request to those that the context collects, if it does.
// An empty id is left out, and so is one that is known already.
func NoteRequest(ctx context.Context, id string) {
	r, ok := ctx.Value(requestsKey{}).(*Requests)
	if !ok || id == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.ids, id) {
		r.ids = append(r.ids, id)
	}
}

// IDs returns the ids in the order in which the answers came.
func (r *Requests) IDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}
