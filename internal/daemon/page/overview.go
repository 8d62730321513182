package page

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
)

// headline is the worst that is to be said of a daemon.
type headline struct {
	// Word is the state, Level how bad it is: good, warn, bad, or calm where nothing is
	// known yet. Text is the reason.
	Word, Level, Text string
}

func headlineOf(s *api.Status) headline {
	word, why := s.Headline()
	h := headline{Word: strings.ToUpper(word[:1]) + word[1:], Level: "good", Text: why}
	switch {
	case s.Severe():
		h.Level = "bad"
	case len(s.Problems) > 0:
		h.Level = "warn"
	case s.LastRun == nil:
		h.Level = "calm"
	}
	return h
}

// The overview shows the beginnings of lists, and links to all of each.
const (
	maxProblems  = 5
	maxDriftOrgs = 25
	maxFields    = 3
	maxRecent    = 8
	maxShown     = 10
)

// overview is what the first page shows.
type overview struct {
	*api.Status
	// Rest are the problems after the headline's but for alarms, and MoreProblems how many more there
	// are.
	Rest         []api.Trouble
	MoreProblems int
	Fleet        fleet
	Drifting     []orgDrift
	// MoreOrgs is how many more orgs drift of those that the status names.
	MoreOrgs int
	Recent   []api.RunRecord
}

// fleet is the fleet in figures.
type fleet struct {
	*api.Fleet
	// Share is the percentage that is in sync, rounded down: 100 means all.
	Share int
	Parts []part
}

// part is a part of the bar, in thousandths.
type part struct {
	Name     string
	N        int
	X, Width int
}

func fleetOf(f *api.Fleet) fleet {
	if f == nil {
		return fleet{}
	}
	shown := fleet{Fleet: f}
	total := f.InSync + f.Drifted + f.Unknown
	if total == 0 {
		return shown
	}
	shown.Share = f.InSync * 100 / total
	x := 0
	for _, p := range []part{{Name: "in-sync", N: f.InSync}, {Name: "drifted", N: f.Drifted}, {Name: "unknown", N: f.Unknown}} {
		if p.N == 0 {
			continue
		}
		p.X, p.Width = x, max(4, p.N*1000/total) // the smallest part can be seen
		x += p.Width
		shown.Parts = append(shown.Parts, p)
	}
	return shown
}

// orgDrift is the drift of one org.
type orgDrift struct {
	Org    string
	Fields []fieldDrift
	More   int
}

// fieldDrift is one field that drifts.
type fieldDrift struct {
	*reconcile.Drift
	// Lines are what differs, as in plans.
	Lines []report.Line
	// Why is why it is not repaired.
	Why string
	// Who caused it, When and From where; Doubt is what speaks against it.
	Who, From, Doubt string
	When             time.Time
}

// fieldOf returns how a page shows drift. names are those of products, by id.
func fieldOf(s *api.Status, d *reconcile.Drift, names map[string]string) fieldDrift {
	bare := *d
	bare.Blocked = "" // is Why
	f := fieldDrift{Drift: d, Lines: bare.Lines(names), Why: s.WhyNotRepaired(d)}
	if c := d.Cause; c != nil {
		f.Who, f.From, f.When, f.Doubt = c.Who(), c.Address, c.Time, c.Doubt
		if c.Provisional {
			f.Doubt = cmp.Or(f.Doubt, "so far")
		}
	}
	return f
}

// itemOf is fieldOf for drift as the history knows it.
func itemOf(s *api.Status, d *reconcile.DriftItem, names map[string]string) fieldDrift {
	f := fieldOf(s, &d.Drift, names)
	if f.Who == "" {
		f.Doubt = d.Unknown
	}
	return f
}

// byOrg groups drift, which is sorted by org.
func byOrg(s *api.Status) (orgs []orgDrift, more int) {
	last := ""
	for i := range s.Drift {
		d := &s.Drift[i]
		if i == 0 || d.Org != last {
			last = d.Org
			if len(orgs) == maxDriftOrgs {
				more++
				continue
			}
			orgs = append(orgs, orgDrift{Org: d.Org})
		} else if more > 0 {
			continue
		}
		o := &orgs[len(orgs)-1]
		if len(o.Fields) == maxFields {
			o.More++
			continue
		}
		o.Fields = append(o.Fields, fieldOf(s, d, s.Products))
	}
	return orgs, more
}

// UnknownOrgs returns the first orgs that can't be read.
func (o *overview) UnknownOrgs() []diff.Unknown { return o.Unknown[:min(len(o.Unknown), maxShown)] }

// reason is why some of the drift is not repaired, and how many fields it concerns.
type reason struct {
	Why string
	N   int
}

// Reasons returns why drift is not repaired, such as windows, the most frequent first.
func (o *overview) Reasons() []reason {
	count := map[string]int{}
	for i := range o.Drift {
		if why := o.Drift[i].Blocked; why != "" {
			count[why]++
		}
	}
	var all []reason
	for why, n := range count {
		all = append(all, reason{why, n})
	}
	slices.SortFunc(all, func(a, b reason) int { return cmp.Or(b.N-a.N, strings.Compare(a.Why, b.Why)) })
	return all[:min(len(all), maxShown)]
}

// FirstNotes returns the first notes.
func (o *overview) FirstNotes() []diff.Note { return o.Notes[:min(len(o.Notes), maxShown)] }

// Holds returns the first suspensions.
func (o *overview) Holds() []freeze.Suspension {
	return o.Suspensions[:min(len(o.Suspensions), maxShown)]
}

// Raised returns the first alarms.
func (o *overview) Raised() []raised {
	var all []raised
	for _, a := range o.Alarms[:min(len(o.Alarms), maxShown)] {
		all = append(all, raised{a, cmp.Or(a.Org, "journal")})
	}
	return all
}

// raised is an alarm with the id by which it is acknowledged.
type raised struct {
	reconcile.Alarm
	ID string
}

// Left returns how many of n a list of the first doesn't show.
func (o *overview) Left(n int) int { return max(0, n-maxShown) }

func (p *Pages) overview(w http.ResponseWriter, r *http.Request) {
	s := p.opts.Source.Status()
	o := &overview{Status: &s, Fleet: fleetOf(s.Fleet), Recent: s.RecentRuns[:min(len(s.RecentRuns), maxRecent)]}
	o.Drifting, o.MoreOrgs = byOrg(&s)
	for _, t := range s.Problems[min(1, len(s.Problems)):] {
		switch {
		case strings.HasPrefix(t.Message, api.AlarmPrefix): // listed apart, and there may be many
		case len(o.Rest) < maxProblems:
			o.Rest = append(o.Rest, t)
		default:
			o.MoreProblems++
		}
	}
	p.showWith(w, r, http.StatusOK, "overview.html", &view{Title: "Overview", Section: sectionOverview, Data: o}, &s)
}
