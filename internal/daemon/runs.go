package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"reconciler/internal/daemon/api"
	"reconciler/internal/text"
)

// runs serves the runs.
type runs struct{ reader *reader }

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
