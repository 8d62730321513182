package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// runs serves /api/v1/runs.
type runs struct {
	reader *reader
	log    *slog.Logger
	// local reports whether the endpoints are served on loopback only.
	local bool
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
	var req api.RunRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		sendError(w, http.StatusBadRequest, "the request has no JSON body of at most 4 kB", `the body may be {} or {"by": "USER@HOST"}`)
		return
	}
	switch leader, stopping := a.reader.tracker.refuses(); {
	case leader != nil:
		sendError(w, http.StatusServiceUnavailable, "this daemon stands by, and does no runs", fmt.Sprintf("the daemon that leads is %v: ask that one", leader))
		return
	case stopping:
		sendError(w, http.StatusServiceUnavailable, "the daemon is being stopped", "")
		return
	}
	by := text.OneLine(req.By, maxBy)
	id := a.reader.requests.add(by)
	a.log.Info("a run was asked for", "id", id, "by", by)
	send(w, http.StatusAccepted, api.RunAccepted{ID: id})
}

// one serves a run.
func (a *runs) one(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	switch info, err := a.reader.Run(id); {
	case err != nil:
		sendFailure(w, err)
	case info == nil:
		sendError(w, http.StatusNotFound, fmt.Sprintf("this daemon knows no run %q", text.OneLine(id, maxBy)),
			"/api/v1/runs lists them; runs in which nothing happened are only counted")
	default:
		send(w, http.StatusOK, info)
	}
}

// send sends JSON, whole or not at all. What a terminal would act on is escaped.
func send(w http.ResponseWriter, code int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		code = http.StatusInternalServerError
		body.Reset()
		_ = enc.Encode(api.Error{Error: "the response has no JSON form: " + err.Error()})
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(text.VisibleJSON(body.Bytes()))
}

func sendError(w http.ResponseWriter, code int, problem, hint string) {
	send(w, code, api.Error{Error: problem, Hint: hint})
}
