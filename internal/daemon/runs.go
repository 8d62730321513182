package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// RunState is where a run is.
type RunState string

// The states of a run. One whose record is there has ended.
const (
	RunQueued  RunState = "queued"
	RunRunning RunState = "running"
	RunEnded   RunState = "ended"
)

// RunInfo is the response of GET /api/v1/runs/{id}: the record of the run, once it has
// ended.
type RunInfo struct {
	ID    string   `json:"id"`
	State RunState `json:"state"`
	// Command is the command that ran, and By who ran it; left out for a run that the
	// history doesn't have, or not yet.
	Command string `json:"command,omitempty"`
	By      string `json:"by,omitempty"`
	*RunRecord
}

// RunRequest is the body of POST /api/v1/runs, which may be empty.
type RunRequest struct {
	// By is who asks. Nobody checks it.
	By string `json:"by"`
}

// RunAccepted is the response of POST /api/v1/runs.
type RunAccepted struct {
	// ID is that of the run that was asked for.
	ID string `json:"id"`
}

// APIError is the response of an endpoint that fails.
type APIError struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

// runs serves /api/v1/runs.
type runs struct {
	tracker  *statusTracker
	requests *requests
	log      *slog.Logger
	// local reports whether the endpoints are served on loopback only.
	local bool
	// known is what the history knows of earlier runs; nil if there is none.
	known *reconcile.InventoryReader
}

// servesLocally reports whether an http.address is one of loopback.
func servesLocally(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && web.IsLoopback(host)
}

const (
	// maxRequest limits the body of a request, and maxBy who asks.
	maxRequest = 4 << 10
	maxBy      = 100
)

// ask takes a request to run now.
func (a *runs) ask(w http.ResponseWriter, r *http.Request) {
	if !a.local {
		sendError(w, http.StatusForbidden, "this daemon doesn't listen on loopback, where alone it can be asked to run now",
			"use the webhook, or a "+config.KeyHTTPAddress+" such as "+config.Default().HTTP.Address)
		return
	}
	// A browser says where a page is from. One that doesn't can't let a page send JSON
	// to another origin without asking first, and nobody answers that.
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		sendError(w, http.StatusForbidden, "a page of another origin can't ask for a run", "")
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		sendError(w, http.StatusUnsupportedMediaType, "the request must have the Content-Type application/json", "the body may be {}")
		return
	}
	var req RunRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		sendError(w, http.StatusBadRequest, "the request has no JSON body of at most 4 kB", `the body may be {} or {"by": "USER@HOST"}`)
		return
	}
	switch leader, stopping := a.tracker.refuses(); {
	case leader != nil:
		sendError(w, http.StatusServiceUnavailable, "this daemon stands by, and does no runs", fmt.Sprintf("the daemon that leads is %v: ask that one", leader))
		return
	case stopping:
		sendError(w, http.StatusServiceUnavailable, "the daemon is being stopped", "")
		return
	}
	by := text.OneLine(req.By, maxBy)
	id := a.requests.add(by)
	a.log.Info("a run was asked for", "id", id, "by", by)
	send(w, http.StatusAccepted, RunAccepted{id})
}

// one serves a run.
func (a *runs) one(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	info := RunInfo{ID: id}
	if info.RunRecord = a.tracker.run(id); info.RunRecord != nil {
		info.State = RunEnded
	} else {
		info.State = a.requests.state(id)
	}
	if info.State == "" && a.tracker.isRunning(id) {
		info.State = RunRunning
	}
	if a.known != nil {
		run, err := a.known.Run(id)
		if err != nil {
			sendFailure(w, err)
			return
		}
		info.add(run)
	}
	if info.State == "" {
		sendError(w, http.StatusNotFound, fmt.Sprintf("this daemon knows no run %q", text.OneLine(id, maxBy)),
			"/api/v1/runs lists them; runs in which nothing happened are only counted")
		return
	}
	send(w, http.StatusOK, info)
}

// add adds what the history has of a run; it may have nothing.
func (i *RunInfo) add(run *history.Run) {
	if run == nil {
		return
	}
	i.Command, i.By = run.Command, run.By
	switch {
	case i.State == RunQueued || i.State == RunRunning || i.RunRecord != nil && len(i.Outcomes) > 0:
		return
	case run.Result == "":
		i.State = RunRunning // of another process
		return
	}
	rec := RunRecord{
		ID: run.ID, Trigger: Trigger(run.Trigger), Started: run.Started, Finished: run.Finished, Mode: state.Mode(run.Mode),
		Commit: run.Commit, Signer: run.Signer, Digest: run.Digest, Result: Result(run.Result),
	}
	if !run.Finished.IsZero() {
		rec.Seconds = max(0, run.Finished.Sub(run.Started).Seconds())
	}
	if run.Error != "" {
		rec.Problem = &reconcile.Problem{Error: run.Error}
	}
	if len(run.Record) > 0 {
		// Of a daemon it is the whole record, of other commands a part of it.
		_ = json.Unmarshal(run.Record, &rec) // what can't be read is left out
	}
	i.State, i.RunRecord = RunEnded, &rec
}

// send sends JSON.
func send(w http.ResponseWriter, code int, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "the response has no JSON form: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n'))
}

func sendError(w http.ResponseWriter, code int, problem, hint string) {
	send(w, code, APIError{problem, hint})
}
