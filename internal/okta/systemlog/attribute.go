package systemlog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Types of events that Okta's own hands leave.
const (
	supportUpdate = "support.org.update"
	systemActor   = "SystemPrincipal"
	featureTypes  = "system.feature."
)

// How far the times of a reading and of an event may be apart beside what is known of the
// clocks: logs and headers count in seconds, cut off.
const (
	slackBefore = 5 * time.Second
	slackAfter  = 2 * time.Second
)

// Drift is what differs, as far as attribution needs to know it. Times are ours.
type Drift struct {
	// Org is the domain of the org, and OrgID its id.
	Org, OrgID string
	// Types are the types of events that can have caused it; a type that ends with a dot
	// stands for all that begin with it. None means that no event can.
	Types []string
	// Own is set if the log is that of the org itself, of whose events the org is no
	// target.
	Own bool
	// Object is the name of the object, and Parent that of the policy of a rule; empty
	// for the org itself and for settings. Paths are where the API has it, with {id} and
	// the like for ids.
	Object, Parent string
	Paths          []string
	// Agreed is when it was read last and was not like this yet; zero if that isn't known.
	// Since is when it was first read and was.
	Agreed, Since time.Time
	// Later are the ids of requests of ours that came after Since, such as those that
	// repaired it.
	Later []string
}

// Write is a write of ours that may have changed what drifts.
type Write struct {
	Time       time.Time
	RequestIDs []string
}

// Own is how our own events are known.
type Own struct {
	// Clients are the ids of the service apps that we are in the org whose log it is.
	Clients []string
	// Runs reports whether a run with this id was one of ours.
	Runs func(id string) bool
	// Writes are our writes of what drifts, in any order.
	Writes []Write
}

// Verdict is the answer to who caused a drift. Without a cause, either Pending or Unknown
// is set.
type Verdict struct {
	// Cause is the event; nil if there is none. By says in words what it was if it was
	// no person's or app's change in this org, and Doubt why it may have been another.
	Cause     *Event
	By, Doubt string
	// Pending is set while an event may still come that changes the answer.
	Pending bool
	// Unknown is why nobody will be known.
	Unknown string
}

// Why nobody will be known.
const (
	noEvents  = "the System Log has no events about this"
	noneFound = "no event of the System Log can have caused it"
	weWere    = "the last to write it were we"
)

// Attribute returns who caused a drift, given the events that are known of the log, in
// any order and each as often as it came, and by how much Okta's clock is ahead of ours.
func Attribute(d Drift, log []Event, own Own, ahead time.Duration, now time.Time) Verdict {
	if len(d.Types) == 0 {
		return Verdict{Unknown: noEvents}
	}
	v := Verdict{Pending: now.Before(d.Since.Add(Lateness))}
	found := slices.DeleteFunc(d.candidates(log, ahead), func(e Event) bool {
		return own.made(&e) && e.Published.Add(-ahead).After(d.Since) // what we did once we had seen it
	})
	last := len(found) - 1
	switch {
	case last < 0:
		return v.nobody(noneFound)
	case own.made(&found[last]) || own.wroteAfter(&found[last], found, ahead):
		return v.nobody(weWere)
	}
	v.Cause = &found[last]
	v.By = oktasHand(v.Cause)
	v.Doubt = d.doubt(found, own, v.Pending)
	return v
}

// nobody returns the verdict without a cause: the reason counts once no event comes any
// more.
func (v Verdict) nobody(why string) Verdict {
	if !v.Pending {
		v.Unknown = why
	}
	return v
}

// candidates returns the events that can have changed what drifts, in the time in which it
// must have happened, ours among them, each once and oldest first.
func (d *Drift) candidates(log []Event, ahead time.Duration) []Event {
	var found []Event
	for i := range log {
		if e := &log[i]; d.canBe(e) && d.within(e.Published.Add(-ahead)) && (e.RequestID == "" || !slices.Contains(d.Later, e.RequestID)) {
			found = append(found, *e)
		}
	}
	sortEvents(found)
	return slices.CompactFunc(found, func(a, b Event) bool { return a.UUID == b.UUID })
}

func (d *Drift) within(at time.Time) bool {
	return (d.Agreed.IsZero() || !at.Before(d.Agreed.Add(-slackBefore))) && !at.After(d.Since.Add(slackAfter))
}

// canBe reports whether the event, whoever made it, changed what drifts.
func (d *Drift) canBe(e *Event) bool {
	if e.Outcome != "SUCCESS" && e.Outcome != "" || !HasType(d.Types, e.Type) {
		return false
	}
	if !d.Own {
		return d.isOrg(e)
	}
	if e.Type == supportUpdate {
		return true // it doesn't say what of the org
	}
	return d.isPath(e.RequestURI) && d.isObject(e)
}

// HasType reports whether a type is among those known, of which one that ends with a dot
// stands for all that begin with it.
func HasType(types []string, t string) bool {
	return slices.ContainsFunc(types, func(known string) bool {
		return known == t || strings.HasSuffix(known, ".") && strings.HasPrefix(t, known)
	})
}

// isOrg reports whether the org is a target of the event: by its id, or by its domain if
// the event has no id of an org. Without a target, the path of the request tells.
func (d *Drift) isOrg(e *Event) bool {
	byDomain, other := false, false
	for i := range e.Targets {
		switch t := &e.Targets[i]; {
		case t.ID == d.OrgID && t.ID != "":
			return true
		case strings.HasPrefix(t.ID, "00o"):
			other = true
		case strings.EqualFold(t.Login, d.Org), strings.EqualFold(t.Name, d.Org):
			byDomain = true
		}
	}
	if other || byDomain {
		return byDomain && !other
	}
	return d.OrgID != "" && slices.Contains(strings.Split(e.RequestURI, "/"), d.OrgID)
}

// isPath reports whether a request to this path can have changed the object. Only what is
// a path of the API tells: consoles have their own.
func (d *Drift) isPath(uri string) bool {
	uri, _, _ = strings.Cut(uri, "?")
	if !strings.HasPrefix(uri, "/api/v1/") && !strings.HasPrefix(uri, "/attack-protection/api/v1/") {
		return true
	}
	return slices.ContainsFunc(d.Paths, func(path string) bool {
		// What lies below an object is about it; what lies below a setting may be another.
		return below(uri, path) && (d.Object != "" || strings.Count(uri, "/") == strings.Count(path, "/"))
	})
}

// below reports whether a path is that of the template, or one below it.
func below(path, template string) bool {
	parts, want := strings.Split(path, "/"), strings.Split(template, "/")
	if len(parts) < len(want) {
		return false
	}
	for i, w := range want {
		if w != parts[i] && !strings.HasPrefix(w, "{") {
			return false
		}
	}
	return true
}

// isObject reports whether the object is a target of the event. Rules of several policies
// may have one name: if the event names a policy, it must be theirs, and a name that the
// rules of all policies have by Okta, such as Default Rule, tells nothing alone.
func (d *Drift) isObject(e *Event) bool {
	if d.Object == "" {
		return true
	}
	named := func(name string) bool {
		return slices.ContainsFunc(e.Targets, func(t Entity) bool { return name != "" && (t.Name == name || t.Login == name) })
	}
	if !named(d.Object) || d.Parent == "" || named(d.Parent) {
		return named(d.Object)
	}
	common := d.Object == "Default Rule" || d.Object == "Catch-all Rule"
	return len(e.Targets) == 1 && !common
}

// made reports whether the event is one of ours.
func (o *Own) made(e *Event) bool {
	if slices.Contains(o.Clients, e.Actor.ID) || slices.Contains(o.Clients, e.Actor.Login) && e.Actor.Login != "" {
		return true
	}
	if e.RequestID != "" && slices.ContainsFunc(o.Writes, func(w Write) bool { return slices.Contains(w.RequestIDs, e.RequestID) }) {
		return true
	}
	run := runOf(e.UserAgent)
	return run != "" && o.Runs != nil && o.Runs(run)
}

// runOf returns the id of the run that a user agent of this program names; empty if it
// names none.
func runOf(agent string) string {
	if !strings.HasPrefix(agent, "reconciler/") {
		return ""
	}
	_, rest, _ := strings.Cut(agent, "(run ")
	id, _, closed := strings.Cut(rest, ")")
	if !closed {
		return ""
	}
	return id
}

// wroteAfter reports whether a write of ours came after the event. That of a write whose
// own event is known is when it came; of others, what our clock said when it ended.
func (o *Own) wroteAfter(e *Event, found []Event, ahead time.Duration) bool {
	return slices.ContainsFunc(o.Writes, func(w Write) bool {
		at := w.Time.Add(ahead + time.Second)
		for i := range found {
			if found[i].RequestID != "" && slices.Contains(w.RequestIDs, found[i].RequestID) {
				at = found[i].Published
			}
		}
		return !at.Before(e.Published)
	})
}

// doubt returns in words why another than the last of the events may have been the cause;
// empty if nothing speaks for it.
func (d *Drift) doubt(found []Event, own Own, pending bool) string {
	var all []string
	last := &found[len(found)-1]
	others := map[string]bool{}
	for i := len(found) - 1; i >= 0 && !own.made(&found[i]); i-- {
		if a := &found[i].Actor; a.ID != last.Actor.ID {
			others[cmp.Or(a.ID, a.Login)] = true
		}
	}
	switch {
	case d.Agreed.IsZero():
		all = append(all, "it isn't known when it was last as declared")
	case len(others) == 1:
		all = append(all, "one other has changed it in the same time")
	case len(others) > 1:
		all = append(all, fmt.Sprintf("%d others have changed it in the same time", len(others)))
	}
	if d.Own && d.Object == "" || last.Type == supportUpdate {
		all = append(all, "the event doesn't say what of the org was changed")
	}
	if pending {
		all = append(all, "a later event may still come")
	}
	return strings.Join(all, "; ")
}

// oktasHand returns in words what an event was if it was no change of a person or an app in
// this org; empty if it was.
func oktasHand(e *Event) string {
	switch {
	case e.Type == supportUpdate:
		return "Okta Support"
	case e.Actor.Type == systemActor && strings.HasPrefix(e.Type, featureTypes):
		return "a push from the parent org"
	case e.Actor.Type == systemActor:
		return "Okta itself"
	}
	return ""
}
