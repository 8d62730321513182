package daemon

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

const (
	// maxRequest limits the body of a request, and maxBy who asks.
	maxRequest = 4 << 10
	maxBy      = 100
	// anonymous is who acts where nobody signs in, and nobody says who they are.
	anonymous = "somebody on the daemon's machine"
)

// operations are what operators do, by the API and by the forms of pages. The gate has
// checked already that they may.
type operations struct {
	reader *reader
	log    *slog.Logger
	// operator returns what acts for somebody; nil in tests that need none.
	operator func(by string) *reconcile.Operator
	// refresh brings the status up to date with the journal; nil where operator is.
	refresh func()
	// refuse answers a form with an error.
	refuse func(w http.ResponseWriter, r *http.Request, code int, problem, hint string)
}

// act is one action that was asked for.
type act struct {
	by     string
	reason string
}

// failure is why an action can't be carried out.
type failure struct {
	code          int
	problem, hint string
}

func (f *failure) Error() string { return f.problem }

// actor returns who asks, as the history names them. said is who they say they are, which
// counts where nobody signs in.
func actor(r *http.Request, said string) string {
	return cmp.Or(signin.UserOf(r.Context()).By(), text.OneLine(said, maxBy), anonymous)
}

// may returns why nobody can act now: another daemon leads, and this one isn't a replica of
// it, or this one is being stopped.
func (a *operations) may(what string) error {
	switch leader, stopping := a.reader.tracker.refuses(); {
	case leader != nil && a.reader.requests.store == nil:
		return &failure{http.StatusServiceUnavailable, "this daemon stands by, and " + what, fmt.Sprintf("the daemon that leads is %v: ask that one", leader)}
	case stopping:
		return &failure{http.StatusServiceUnavailable, "the daemon is being stopped", ""}
	}
	return nil
}

// begin returns what acts for somebody who gave a reason.
func (a *operations) begin(do act) (*reconcile.Operator, error) {
	if err := a.may("changes nothing"); err != nil {
		return nil, err
	}
	if err := checkReason(do.reason, true); err != nil {
		return nil, err
	}
	if a.operator == nil {
		return nil, &failure{http.StatusServiceUnavailable, "this daemon has no state folder", ""}
	}
	return a.operator(do.by), nil
}

// checkReason returns what is wrong with a reason.
func checkReason(reason string, needed bool) error {
	if reason == "" && !needed {
		return nil
	}
	if err := freeze.CheckReason(reason); err != nil {
		return &failure{http.StatusBadRequest, err.Error(), "give a reason that others will see, on one line"}
	}
	return nil
}

// run asks for a run, and returns its id. It is in the history under the name of whoever
// signed in, and where a reason is given.
func (a *operations) run(do act) (id string, err error) {
	if err := a.may("does no runs"); err != nil {
		return "", err
	}
	if err := checkReason(do.reason, false); err != nil {
		return "", err
	}
	if id, err = a.reader.requests.ask(do.by); err != nil {
		return "", err
	}
	a.log.Info("a run was asked for", nonEmpty("id", id, "by", do.by, "reason", do.reason)...)
	return id, nil
}

// recordRun records who asked for a run.
func (a *operations) recordRun(id string, do act) {
	if a.operator != nil {
		a.operator(do.by).Record(history.Entry{Action: "run", Outcome: id, Reason: do.reason})
	}
}

// suspend holds writes.
func (a *operations) suspend(do act, s freeze.Suspension) (freeze.Suspension, error) {
	o, err := a.begin(do)
	if err != nil {
		return s, err
	}
	s.Reason, s.Owner = do.reason, cmp.Or(s.Owner, do.by)
	if s, err = o.Suspend(s); err == nil {
		a.log.Info("suspended", "id", s.ID, "orgs", s.Scope(), "by", do.by, "reason", do.reason)
		a.refresh()
	}
	return s, err
}

// resume ends a suspension.
func (a *operations) resume(do act, id string) (*freeze.Suspension, error) {
	o, err := a.begin(do)
	if err != nil {
		return nil, err
	}
	s, err := o.ResumeID(id, do.reason)
	if err == nil {
		a.log.Info("resumed", "id", s.ID, "orgs", s.Scope(), "by", do.by, "reason", do.reason)
		a.refresh()
	}
	return s, err
}

// acknowledge ends an alarm.
func (a *operations) acknowledge(do act, id string) error {
	o, err := a.begin(do)
	if err != nil {
		return err
	}
	if err = o.AcknowledgeAlarm(id, do.reason); err == nil {
		a.log.Info("acknowledged", "alarm", text.OneLine(id, maxBy), "by", do.by, "reason", do.reason)
		a.refresh()
	}
	return err
}

// failureOf returns an error as a failure.
func failureOf(err error) *failure {
	var known *failure
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, new(*reconcile.NotFoundError)):
		return &failure{http.StatusNotFound, err.Error(), text.Hint(err)}
	case errors.As(err, new(*reconcile.InvalidError)):
		return &failure{http.StatusBadRequest, text.JoinLines(err.Error()), text.Hint(err)}
	case errors.Is(err, journal.ErrDamaged):
		return &failure{http.StatusConflict, text.JoinLines(err.Error()), text.Hint(err)}
	}
	return &failure{http.StatusInternalServerError, text.JoinLines(err.Error()), text.Hint(err)}
}

// register adds the endpoints. Those of pages are forms, which the gate has checked.
func (a *operations) register(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/runs", a.askRun)
	mux.HandleFunc("POST /api/v1/suspensions", a.askSuspend)
	mux.HandleFunc("DELETE /api/v1/suspensions/{id}", a.askResume)
	mux.HandleFunc("POST /api/v1/alarms/{id}/acknowledge", a.askAcknowledge)
	mux.HandleFunc("POST "+api.ActionRun, a.form(func(do act, _ url.Values) (string, error) {
		id, err := a.run(do)
		if err == nil {
			a.recordRun(id, do)
		}
		return id, err
	}))
	mux.HandleFunc("POST "+api.ActionSuspend, a.form(func(do act, form url.Values) (string, error) {
		s, err := suspensionOf(splitOrgs(form.Get("orgs")), form.Get("for"), form.Get("until"), time.Now())
		if err != nil {
			return "", err
		}
		made, err := a.suspend(do, s)
		return made.ID, err
	}))
	mux.HandleFunc("POST "+api.ActionResume, a.form(func(do act, form url.Values) (string, error) {
		_, err := a.resume(do, form.Get("id"))
		return form.Get("id"), err
	}))
	mux.HandleFunc("POST "+api.ActionAcknowledge, a.form(func(do act, form url.Values) (string, error) {
		return form.Get("id"), a.acknowledge(do, form.Get("id"))
	}))
}

// form returns the handler of a form of a page. Somebody is sent back to where they were,
// and told what was done.
func (a *operations) form(carryOut func(act, url.Values) (id string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "the form can't be read", http.StatusBadRequest)
			return
		}
		id, err := carryOut(act{by: actor(r, ""), reason: strings.TrimSpace(r.PostForm.Get("reason"))}, r.PostForm)
		if err != nil {
			f := failureOf(err)
			a.refuse(w, r, f.code, f.problem, f.hint)
			return
		}
		back, err := url.Parse(signin.LocalPath(r.PostForm.Get("return")))
		if err != nil {
			back = &url.URL{Path: "/"}
		}
		q := back.Query()
		for name, values := range api.DoneQuery(r.URL.Path, id) {
			q[name] = values
		}
		back.RawQuery = q.Encode()
		http.Redirect(w, r, back.String(), http.StatusSeeOther)
	}
}

// splitOrgs returns patterns that are separated by blanks or commas.
func splitOrgs(orgs string) []string {
	return slices.DeleteFunc(strings.FieldsFunc(orgs, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' }),
		func(s string) bool { return s == "" })
}

// suspensionOf returns a suspension as it is asked for.
func suspensionOf(orgs []string, length, until string, now time.Time) (freeze.Suspension, error) {
	s := freeze.Suspension{Orgs: orgs}
	for _, glob := range orgs {
		if err := freeze.CheckGlob(glob); err != nil {
			return s, &failure{http.StatusBadRequest, "orgs " + err.Error(), ""}
		}
	}
	if length != "" && until != "" {
		return s, &failure{http.StatusBadRequest, "for and until exclude each other", "give one of them"}
	}
	if length != "" {
		d, err := time.ParseDuration(length)
		if err != nil || d <= 0 {
			return s, &failure{http.StatusBadRequest, fmt.Sprintf("for must be a duration with a unit, such as 90m or 72h, not %q", text.OneLine(length, 40)), ""}
		}
		s.Until = now.Add(d).Truncate(time.Second)
	}
	if until != "" {
		at, err := time.Parse(time.RFC3339, until)
		if err != nil {
			at, err = time.Parse("2006-01-02T15:04", until) // as datetime-local has it
		}
		if err != nil {
			return s, &failure{http.StatusBadRequest, fmt.Sprintf("until must be a date and time with zone, such as %s, not %q", now.UTC().Add(24*time.Hour).Format(time.RFC3339), text.OneLine(until, 40)), ""}
		}
		s.Until = at
	}
	return s, nil
}

// readBody reads the JSON body of a request into v, and reports whether it could.
// Otherwise it has answered.
func readBody(w http.ResponseWriter, r *http.Request, v any, example string) bool {
	if r.ContentLength == 0 && r.Header.Get("Content-Type") == "" {
		return true
	}
	// A page of another origin can send no JSON without asking first, and nobody answers
	// that.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		sendError(w, http.StatusUnsupportedMediaType, "the request must have the Content-Type application/json", "the body may be "+example)
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil && len(body) > 0 {
		err = decodeBody(body, v)
	}
	if err != nil {
		sendError(w, http.StatusBadRequest, bodyProblem(err), "the body may be "+example)
		return false
	}
	return true
}

// decodeBody decodes one JSON value into v. A key that nobody reads is an error: one that
// is misspelt, such as org for orgs, would suspend everything.
func decodeBody(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

// bodyProblem returns what is wrong with a body that can't be read.
func bodyProblem(err error) string {
	var kind *json.UnmarshalTypeError
	var date *time.ParseError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Sprintf("%s can't be a JSON %s", kind.Field, kind.Value)
	case errors.As(err, &date):
		return fmt.Sprintf("until must be a date and time with zone, such as 2026-11-30T06:00:00Z, not %s", text.OneLine(strings.Trim(date.Value, `"`), 40))
	}
	if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "unknown key " + text.OneLine(key, 40)
	}
	return "the request has no JSON body of at most 4 kB"
}

// answerAction sends the result of an action, or why it failed.
func answerAction(w http.ResponseWriter, code int, result any, err error) {
	if err != nil {
		f := failureOf(err)
		sendError(w, f.code, f.problem, f.hint)
		return
	}
	send(w, code, result)
}

// askRun takes a request to run now.
func (a *operations) askRun(w http.ResponseWriter, r *http.Request) {
	var req api.RunRequest
	if !readBody(w, r, &req, `{} or {"reason": "WHY"}`) {
		return
	}
	do := act{by: actor(r, req.By), reason: strings.TrimSpace(req.Reason)}
	id, err := a.run(do)
	if err == nil && (do.reason != "" || signin.UserOf(r.Context()).By() != "") {
		a.recordRun(id, do)
	}
	answerAction(w, http.StatusAccepted, api.RunAccepted{ID: id}, err)
}

func (a *operations) askSuspend(w http.ResponseWriter, r *http.Request) {
	var req api.SuspensionRequest
	if !readBody(w, r, &req, `{"orgs": ["*.oktapreview.com"], "reason": "WHY", "for": "72h"}`) {
		return
	}
	until := ""
	if req.Until != nil {
		until = req.Until.Format(time.RFC3339)
	}
	s, err := suspensionOf(req.Orgs, req.For, until, time.Now())
	if err == nil {
		s.Owner = req.Owner
		s, err = a.suspend(act{actor(r, req.By), strings.TrimSpace(req.Reason)}, s)
	}
	answerAction(w, http.StatusCreated, s, err)
}

func (a *operations) askResume(w http.ResponseWriter, r *http.Request) {
	req := api.ReasonRequest{Reason: r.URL.Query().Get("reason")}
	if r.ContentLength != 0 && !readBody(w, r, &req, `{"reason": "WHY"}`) {
		return
	}
	s, err := a.resume(act{actor(r, req.By), strings.TrimSpace(req.Reason)}, r.PathValue("id"))
	answerAction(w, http.StatusOK, s, err)
}

func (a *operations) askAcknowledge(w http.ResponseWriter, r *http.Request) {
	var req api.ReasonRequest
	if !readBody(w, r, &req, `{"reason": "WHY"}`) {
		return
	}
	do := act{actor(r, req.By), strings.TrimSpace(req.Reason)}
	err := a.acknowledge(do, r.PathValue("id"))
	answerAction(w, http.StatusOK, api.Acknowledged{ID: r.PathValue("id"), By: do.by}, err)
}
