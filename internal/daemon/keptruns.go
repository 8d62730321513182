package daemon

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/store/replicas"
	"reconciler/internal/text"
)

const (
	// maxKeptChanges and maxKeptPlan are how many changes of a plan are kept of each of
	// the last runs, and how many bytes these may have as JSON: a network zone may have
	// thousands of addresses.
	maxKeptChanges = 1000
	maxKeptPlan    = 2 << 20
	// firstLines and lastLines are how many lines of a run's log are kept of its
	// beginning and end, and maxKeptLog how many bytes they have together.
	firstLines = 400
	lastLines  = 100
	maxKeptLog = 256 << 10
	// maxAttribute is how long a value on a line is.
	maxAttribute = 2000
)

// keptRuns keeps plan and log of the last runs: at most 20 times 2 MB and 256 kB, and of
// plans far less, as they are compressed, and the same one is kept once.
type keptRuns struct {
	// store has what other replicas keep; nil if there are none.
	store *replicas.Store

	mu   sync.Mutex
	runs []*keptRun // newest first
}

// keptRun is what is kept of a run.
type keptRun struct {
	id   string
	plan *keptPlan
	log  keptLog
}

// keptPlan is a plan as compressed JSON.
type keptPlan struct {
	digest  string
	data    []byte
	omitted int
}

// keptLog are the lines of a run.
type keptLog struct {
	lines   []api.LogLine
	size    int
	omitted int
}

// begin begins to keep a run.
func (k *keptRuns) begin(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs = slices.Insert(k.runs, 0, &keptRun{id: id})
	k.runs = k.runs[:min(len(k.runs), recentRuns)]
}

// find returns a run; nil if it isn't kept. k.mu is held.
func (k *keptRuns) find(id string) *keptRun {
	if i := slices.IndexFunc(k.runs, func(r *keptRun) bool { return r.id == id }); i >= 0 {
		return k.runs[i]
	}
	return nil
}

// planned keeps the plan of a run.
func (k *keptRuns) planned(id string, plan *diff.Plan) error {
	k.mu.Lock()
	var kept *keptPlan
	for _, r := range k.runs {
		if r.plan != nil && r.plan.digest == plan.Digest {
			kept = r.plan
		}
	}
	k.mu.Unlock()
	if kept == nil {
		var err error
		if kept, err = keepPlan(plan); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.find(id); r != nil {
		r.plan = kept
	}
	return nil
}

// keepPlan returns what is kept of a plan: as many changes as there is room for.
func keepPlan(plan *diff.Plan) (*keptPlan, error) {
	some := *plan
	some.Unfixable, some.Unmanaged, some.Unknown = first(plan.Unfixable), first(plan.Unmanaged), first(plan.Unknown)
	some.Refusals, some.Notes = first(plan.Refusals), first(plan.Notes)
	some.Changes = plan.Changes[:min(len(plan.Changes), maxKeptChanges)]
	for {
		data, err := json.Marshal(&some)
		if err != nil {
			return nil, err
		}
		if len(data) > maxKeptPlan && len(some.Changes) > 0 {
			some.Changes = some.Changes[:len(some.Changes)/2]
			continue
		}
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err != nil {
			return nil, err
		}
		if _, err = w.Write(data); err == nil {
			err = w.Close()
		}
		return &keptPlan{digest: plan.Digest, data: bytes.Clone(b.Bytes()), omitted: len(plan.Changes) - len(some.Changes)}, err
	}
}

// plan returns the plan that was kept.
func (p *keptPlan) plan() (*diff.Plan, error) {
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(p.data)))
	if err != nil {
		return nil, err
	}
	var plan diff.Plan
	return &plan, json.Unmarshal(data, &plan)
}

// line keeps a line of a run's log.
func (k *keptRuns) line(id string, l api.LogLine) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.find(id); r != nil {
		r.log.add(l)
	}
}

// add adds a line, for which one of the middle may have to go.
func (l *keptLog) add(line api.LogLine) {
	l.lines = append(l.lines, line)
	l.size += sizeOf(&line)
	for len(l.lines) > firstLines+lastLines || l.size > maxKeptLog && len(l.lines) > 1 {
		at := min(firstLines, len(l.lines)/2)
		l.size -= sizeOf(&l.lines[at])
		l.lines = slices.Delete(l.lines, at, at+1)
		l.omitted++
	}
}

// sizeOf returns about how many bytes a line needs.
func sizeOf(l *api.LogLine) int {
	n := 100 + len(l.Message)
	for key, value := range l.Attributes {
		n += 50 + len(key) + len(value)
	}
	return n
}

// add adds to what is known of a run what is kept of it.
func (k *keptRuns) add(info *api.RunInfo) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	r := k.find(info.ID)
	var plan *keptPlan
	if r != nil {
		plan = r.plan
		info.Log, info.LogOmitted = append([]api.LogLine{}, r.log.lines...), r.log.omitted
	}
	k.mu.Unlock()
	var err error
	if r == nil && k.store != nil {
		if r, err = k.fetch(info.ID); err != nil {
			return err
		}
		if r != nil {
			plan, info.Log, info.LogOmitted = r.plan, r.log.lines, r.log.omitted
		}
	}
	if plan == nil {
		return nil
	}
	info.Plan, err = plan.plan()
	info.PlanOmitted = plan.omitted
	return err
}

// lineOf returns a record of a log as a line, with the attributes of its handler.
func lineOf(r *slog.Record, attrs []slog.Attr, group string) api.LogLine {
	l := api.LogLine{Time: r.Time.UTC(), Level: levelWord(r.Level), Message: text.OneLine(r.Message, maxAttribute), Attributes: map[string]string{}}
	for _, a := range attrs {
		setAttribute(l.Attributes, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		setAttribute(l.Attributes, group, a)
		return true
	})
	return l
}

func levelWord(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warn"
	}
	return "info"
}

// setAttribute sets an attribute, or those of a group.
func setAttribute(all map[string]string, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, one := range v.Group() {
			setAttribute(all, prefix, one)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	value := v.String()
	if v.Kind() == slog.KindTime {
		value = v.Time().UTC().Format(time.RFC3339Nano)
	}
	all[prefix+a.Key] = text.OneLine(value, maxAttribute)
}
