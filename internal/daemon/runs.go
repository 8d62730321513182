package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

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

// encoders are used again, with what they have allocated.
var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.json = json.NewEncoder(&e.out)
	e.json.SetEscapeHTML(false)
	e.json.SetIndent("", "  ")
	return e
}}

// encoder writes JSON to out.
type encoder struct {
	out  bytes.Buffer
	json *json.Encoder
}

// send sends JSON, whole or not at all. What a terminal would act on is escaped.
func send(w http.ResponseWriter, code int, v any) {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.out.Reset()
	if err := e.json.Encode(v); err != nil {
		code = http.StatusInternalServerError
		e.out.Reset()
		_ = e.json.Encode(api.Error{Error: "the response has no JSON form: " + err.Error()})
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(text.VisibleJSON(e.out.Bytes()))
}

func sendError(w http.ResponseWriter, code int, problem, hint string) {
	send(w, code, api.Error{Error: problem, Hint: hint})
}
