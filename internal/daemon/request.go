package daemon

import (
	"slices"
	"sync"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/store/replicas"
	"reconciler/internal/web"
)

// requests are the requests to run now. Those that come before a run begins are joined
// to one: it gets the id that they were told.
type requests struct {
	wake chan struct{} // holds one while next isn't nil
	// store has the requests of all replicas; nil if there are none.
	store *replicas.Store

	mu      sync.Mutex
	changes int64 // how often one was added or taken
	next    *request
	// taken is the id of the run that took the last one.
	taken string
}

// request is a run that was asked for.
type request struct {
	id string
	// by is who asked first, as they say.
	by string
}

func newRequests() *requests { return &requests{wake: make(chan struct{}, 1)} }

// add asks for a run, and returns its id.
func (q *requests) add(by string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == nil {
		q.put(&request{web.NewRunID(time.Now()), by})
	}
	return q.next.id
}

// ask asks for a run, at whichever replica does the runs, and returns its id.
func (q *requests) ask(by string) (string, error) {
	if q.store == nil {
		return q.add(by), nil
	}
	r, err := q.store.Ask(replicas.Request{Kind: replicas.Run, ID: web.NewRunID(time.Now()), By: by})
	return r.ID, err
}

// offer takes up a request of the store, unless another one waits.
func (q *requests) offer(id, by string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == nil && q.taken != id {
		q.put(&request{id, by})
	}
}

// put sets the next request. q.mu is held.
func (q *requests) put(r *request) {
	q.changes++
	q.next = r
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// queued reports whether a run is asked for at any replica, and hasn't begun.
func (q *requests) queued(id string) (bool, error) {
	if q.store == nil {
		return false, nil
	}
	all, err := q.store.Requests()
	return slices.ContainsFunc(all, func(r replicas.Request) bool { return r.ID == id }), err
}

// pending reports whether a run was asked for that hasn't begun.
func (q *requests) pending() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.next != nil
}

// take returns the request that the run which begins now is for; nil if there is none.
func (q *requests) take() *request {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.next
	if r != nil {
		q.changes++
		select {
		case <-q.wake:
		default: // the loop has it already
		}
		q.next, q.taken = nil, r.id
	}
	return r
}

// drop forgets what was asked for: another daemon does the runs.
func (q *requests) drop() {
	q.take()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changes++
	q.taken = ""
}

// version changes with each request that is added or taken.
func (q *requests) version() int64 {
	if q == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changes
}

// state returns the state of a run that was asked for; "" if there is none.
func (q *requests) state(id string) api.RunState {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.next != nil && q.next.id == id:
		return api.RunQueued
	case q.taken == id:
		return api.RunRunning
	}
	return ""
}
