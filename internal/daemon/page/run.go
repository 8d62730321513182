package page

import (
	"cmp"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/report"
	"reconciler/internal/text"
)

const (
	// maxPlanLines is how many lines the page of a run shows of the changes of one
	// severity, maxOutcomes how many outcomes, and maxLog how many lines of its log.
	maxPlanLines = 100
	maxOutcomes  = 100
	maxLog       = 200
)

// oneRun is the page of one run.
type oneRun struct {
	*api.RunInfo
	Headline headline
	// Plan is what the HTML report shows of the plan.
	Plan template.HTML
	// Outcomes are those of its changes, failures first, and MoreOutcomes how many more
	// there are.
	Outcomes     []outcome
	MoreOutcomes int
	Lines        []logLine
	LeftOut      int
}

// outcome is the outcome of a change.
type outcome struct {
	Org, Result, Error, Hint string
	Lines                    []report.Line
	// RequestIDs are Okta's ids of the writes, and ErrorID that of its error.
	RequestIDs []string
	ErrorID    string
	Seconds    float64
	Why        string
}

// logLine is a line of the log as the page shows it.
type logLine struct {
	*api.LogLine
	Values string
}

func (p *Pages) run(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	info, err := p.opts.Source.Run(id)
	if err != nil {
		code, problem, hint := p.opts.Failure(err)
		p.Error(w, r, code, problem, hint)
		return
	}
	if info == nil {
		p.Error(w, r, http.StatusNotFound, "no run "+brief(id)+" is known", "of runs in which nothing happened the history only keeps the number")
		return
	}
	run := &oneRun{RunInfo: info, Headline: headlineOfRun(info)}
	names := p.productNames()
	run.setOutcomes(names)
	run.setLog()
	if info.Plan != nil && len(info.Plan.Changes)+len(info.Plan.Unfixable)+len(info.Plan.Refusals) > 0 {
		if run.Plan, err = report.PlanHTML(info.Plan, maxPlanLines); err != nil {
			http.Error(w, "the plan can't be shown: "+err.Error(), http.StatusInternalServerError)
			return
		}
	}
	p.show(w, r, http.StatusOK, "run.html", &view{Title: "Run " + id, Section: sectionRuns, Data: run})
}

// headlineOfRun returns how a run ended, or where it is.
func headlineOfRun(i *api.RunInfo) headline {
	switch {
	case i.State == api.RunQueued:
		return headline{"Queued", "calm", "the run begins when the one before it has ended"}
	case i.State == api.RunRunning || i.RunRecord == nil:
		return headline{"Running", "calm", "the run is in progress; this page follows it"}
	}
	return headline{Word: title(string(i.Result)), Level: levelOf(string(i.Result)), Text: didOf(i.RunRecord)}
}

// levelOf returns how bad a result is.
func levelOf(result string) string {
	switch result {
	case "in-sync", "applied":
		return "good"
	case "error", "failed":
		return "bad"
	}
	return "warn"
}

// didOf returns in words what a run found and did, or why it failed.
func didOf(r *api.RunRecord) string {
	switch {
	case r.Problem != nil:
		return r.Problem.Error
	case r.Stale != nil:
		return wordsOf(r) + "; not with the newest manifests: " + r.Stale.Error
	}
	return wordsOf(r)
}

// wordsOf returns in words what a run did.
func wordsOf(r *api.RunRecord) string {
	var all []string
	for _, n := range []struct {
		n    int
		word string
	}{{r.Changes.Applied, "applied"}, {r.Changes.Failed, "failed"}, {r.Changes.Skipped, "skipped"}, {r.Changes.Blocked, "blocked"}} {
		if n.n > 0 {
			all = append(all, text.Plural(n.n, "change")+" "+n.word)
		}
	}
	if s := r.Summary; s != nil && len(all) == 0 {
		if s.Changes == 0 {
			all = append(all, "all is as declared")
		} else {
			all = append(all, text.Plural(s.Changes, "change")+" planned, none made")
		}
	}
	if s := r.Summary; s != nil && s.Unknown > 0 {
		all = append(all, text.Plural(s.Unknown, "org")+" could not be read")
	}
	if n := r.UnknownConfigurations; n > 0 {
		all = append(all, "the configuration of "+text.Plural(n, "org")+" could not be read")
	}
	return strings.Join(all, ", ")
}

func title(s string) string {
	s = strings.ReplaceAll(s, "-", " ")
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// setOutcomes sets the outcomes of the changes: as the history has them, or else as the
// record of the run.
func (r *oneRun) setOutcomes(names map[string]string) {
	for i := range r.Entries {
		e := &r.Entries[i]
		shown := entryOf(e, names)
		ids := e.RequestIDs
		if len(ids) == 0 && e.RequestID != "" {
			ids = []string{e.RequestID}
		}
		r.Outcomes = append(r.Outcomes, outcome{
			Org: e.Org, Result: e.Outcome, Error: e.Error, Lines: shown.Lines, RequestIDs: ids, ErrorID: e.ErrorID, Seconds: e.Seconds, Why: shown.About,
		})
	}
	if r.Entries == nil && r.RunRecord != nil {
		for i := range r.RunRecord.Outcomes {
			o := &r.RunRecord.Outcomes[i]
			what := string(o.Action)
			if o.Kind != "" {
				what = o.Kind + "/" + o.Object + ": " + what
			}
			r.Outcomes = append(r.Outcomes, outcome{Org: o.Org, Result: string(o.Result), Error: o.Error, Hint: o.Hint, Why: what})
		}
	}
	order := []string{string(apply.Failed), "unknown", string(apply.Skipped), string(apply.Applied), string(apply.Blocked)}
	slices.SortStableFunc(r.Outcomes, func(a, b outcome) int {
		return cmp.Compare(slices.Index(order, a.Result), slices.Index(order, b.Result))
	})
	if n := len(r.Outcomes) - maxOutcomes; n > 0 {
		r.Outcomes, r.MoreOutcomes = r.Outcomes[:maxOutcomes], n
	}
}

// setLog sets the lines of the log.
func (r *oneRun) setLog() {
	all := r.Log
	r.LeftOut = r.LogOmitted
	if n := len(all) - maxLog; n > 0 {
		all = slices.Concat(all[:maxLog/2], all[len(all)-maxLog/2:])
		r.LeftOut += n
	}
	for i := range all {
		l := &all[i]
		var values []string
		for _, key := range slices.Sorted(maps.Keys(l.Attributes)) {
			values = append(values, key+"="+quoted(l.Attributes[key]))
		}
		r.Lines = append(r.Lines, logLine{l, brief(strings.Join(values, " "))})
	}
}

// quoted returns a value of a log, in quotes where it would be taken for several.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=") {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}

// Asked returns who asked for the run, or who ran it.
func (r *oneRun) Asked() string {
	if r.RunRecord != nil && r.RequestedBy != "" {
		return r.RequestedBy
	}
	return r.By
}

// Middle is the number of the first line after those that are left out.
func (r *oneRun) Middle() int {
	if r.LeftOut == 0 {
		return -1
	}
	return len(r.Lines) / 2
}
