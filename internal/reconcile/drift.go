package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// Drift is one field of one org (or of the account, whose org is empty) that
// differs from the manifests. Its JSON form is a public interface.
type Drift struct {
	Org string `json:"org"`
	// OrgID is empty while the org is not linked.
	OrgID string `json:"orgID"`
	// Field is one of diff.Field…, or for the configuration of an org an object such as
	// "networkZones/Offices", or a field of it such as "networkZones/Offices: gateways".
	Field string `json:"field"`
	// Kind and Object name the object; empty for the org itself.
	Kind   string `json:"kind,omitempty"`
	Object string `json:"object,omitempty"`
	// Desired and Actual are product ids for products, for fields of objects what
	// diff.ValueOf returns, and one word otherwise.
	Desired diff.Value `json:"desired"`
	Actual  diff.Value `json:"actual"`
	// Destructive reports that repairing it takes something away.
	Destructive bool `json:"destructive"`
	// Blocked is why it will not be repaired; empty if it may be.
	Blocked string `json:"blocked"`
	// Error and Hint are those of the last attempt to repair it.
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Since is when a run first saw the field differ.
	Since time.Time `json:"since"`
	// Cause is who caused it; nil while that is not known.
	Cause *history.Cause `json:"cause,omitempty"`
	// Old reports that the org could not be read since, so that this is what was
	// found when it could.
	Old bool `json:"old,omitempty"`
}

// DriftOf returns the differences of a plan that its result, nil if it was not
// applied, did not repair, sorted by org and field. The times are left zero.
func DriftOf(plan *diff.Plan, result *apply.Result) []Drift {
	all := []Drift{}
	for i := range plan.Changes {
		c := &plan.Changes[i]
		var o apply.Outcome
		if result != nil {
			o = result.Outcomes[i]
		}
		if o.Result == apply.Applied {
			continue
		}
		if c.Kind != "" {
			all = append(all, driftOfObject(c, o)...)
		} else {
			all = append(all, driftOfChange(c, o))
		}
	}
	slices.SortStableFunc(all, CompareDrift)
	changes := all
	for _, u := range plan.Unfixable {
		d := Drift{
			Org:     u.Org,
			Field:   u.Field,
			Kind:    u.Kind,
			Object:  u.Object,
			Desired: diff.Text(u.Desired),
			Actual:  diff.Text(u.Actual),
			Blocked: cmp.Or(u.Reason, report.NoFix),
		}
		// A blocked change of the field says the same, and with what is live.
		if _, found := slices.BinarySearchFunc(changes, d, CompareDrift); !found {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, CompareDrift)
	return mergeDrift(all)
}

// CompareDrift compares two drifts by org and field.
func CompareDrift(a, b Drift) int {
	return cmp.Or(strings.Compare(a.Org, b.Org), strings.Compare(a.Field, b.Field))
}

func driftOfChange(c *diff.Change, o apply.Outcome) Drift {
	d := Drift{
		Org:         c.Org,
		Field:       c.Field(),
		OrgID:       cmp.Or(o.OrgID, c.OrgID),
		Desired:     c.After,
		Actual:      c.Before,
		Destructive: c.Destructive,
		Blocked:     c.Blocked,
		Error:       o.Error,
		Hint:        o.Hint,
	}
	switch c.Action {
	case diff.CreateOrg, diff.LinkOrg:
		d.Desired, d.Actual = diff.Text("yes"), diff.Text("no")
	case diff.RequestDeletion:
		d.Desired, d.Actual = diff.Text("requested"), diff.Text("not requested")
	}
	return d
}

// existing is the value of a drift of an object that exists.
const existing = "yes"

// driftOfObject returns the fields of an object that differ, or that there should or
// should not be one.
func driftOfObject(c *diff.Change, o apply.Outcome) []Drift {
	d := driftOfChange(c, o)
	d.Kind, d.Object = c.Kind, c.Object
	exists := map[diff.Action][2]string{diff.CreateObject: {existing, "no"}, diff.DeleteObject: {"no", existing}}
	if e, ok := exists[c.Action]; ok {
		d.Desired, d.Actual = diff.Text(e[0]), diff.Text(e[1])
		return []Drift{d}
	}
	var all []Drift
	for i := range c.Fields {
		f := &c.Fields[i]
		d.Field = c.Field() + ": " + f.Path
		d.Desired, d.Actual = shortValues(diff.ValueOf(f.After), diff.ValueOf(f.Before))
		all = append(all, d)
	}
	return all
}

// mergeDrift merges the two changes that a protected org's products may have (an
// addition, then a blocked removal), and those of an object that is made anew, which
// counts as one that isn't there. all is sorted, and the changes of one field are in
// the order of their application.
func mergeDrift(all []Drift) []Drift {
	merged := all[:0]
	for _, d := range all {
		if n := len(merged); n > 0 && CompareDrift(merged[n-1], d) == 0 {
			m := &merged[n-1]
			m.Desired = d.Desired
			if d.Kind != "" {
				m.Actual = d.Actual
			}
			m.Destructive = m.Destructive || d.Destructive
			m.Blocked = cmp.Or(m.Blocked, d.Blocked)
			m.Error, m.Hint = cmp.Or(m.Error, d.Error), cmp.Or(m.Hint, d.Hint)
			continue
		}
		merged = append(merged, d)
	}
	return merged
}

// Same reports whether two drifts of one field differ in their times only.
func (d *Drift) Same(e *Drift) bool {
	return d.Desired.Equal(e.Desired) && d.Actual.Equal(e.Actual) && d.Blocked == e.Blocked && d.Error == e.Error
}

const (
	// maxWords is how many words of a list drift has, and maxText how long one word, or
	// all of a list, may be: a network zone may have thousands of addresses.
	maxWords = 50
	maxText  = 2000
)

// shortValues returns both values of an object's field; of long ones, what is in one and
// not in the other, and the rest is only counted.
func shortValues(desired, actual diff.Value) (diff.Value, diff.Value) {
	d, a := desired.List(), actual.List()
	switch {
	case !long(desired) && !long(actual):
		return desired, actual
	case d != nil || a != nil:
		return shortList(desired, without(d, a)), shortList(actual, without(a, d))
	}
	before, after := report.Differing(actual.Text(), desired.Text())
	return shortText(desired, after), shortText(actual, before)
}

// long reports whether a value is too long to be kept whole.
func long(v diff.Value) bool {
	n := len(v.Text())
	for _, w := range v.List() {
		n += len(w)
	}
	return len(v.List()) > maxWords || n > maxText
}

// shortText returns a value with another text, if it has one.
func shortText(v diff.Value, other string) diff.Value {
	if v.Text() == "" {
		return v
	}
	return diff.Text(text.OneLine(other, maxText))
}

// shortened reports whether a value may be one that shortValues has shortened.
func shortened(v diff.Value) bool {
	return slices.ContainsFunc(v.List(), func(w string) bool { return strings.HasPrefix(w, report.LeftOut) }) ||
		strings.HasPrefix(v.Text(), "…") || strings.HasSuffix(v.Text(), "…")
}

// shortList returns of a list the words that it has alone, and how many others there are.
// What is compared with a list may also be one word.
func shortList(v diff.Value, alone []string) diff.Value {
	list := v.List()
	switch {
	case list == nil && long(v):
		return shortText(v, v.Text())
	case list == nil:
		return v
	}
	words, size := []string{}, 0
	for _, w := range alone {
		if len(w) > maxText {
			w = text.OneLine(w, maxText)
		}
		if size += len(w); len(words) == maxWords || len(words) > 0 && size > maxText {
			break
		}
		words = append(words, w)
	}
	if left := len(alone) - len(words); left > 0 {
		words = append(words, fmt.Sprintf(report.LeftOut+"%d more", left))
	}
	if both := len(list) - len(alone); both > 0 {
		words = append(words, fmt.Sprintf(report.LeftOut+"%d in both", both))
	}
	return diff.List(words)
}

// without returns the words of a list that another one doesn't have.
func without(list, other []string) []string {
	had := make(map[string]int, len(other))
	for _, w := range other {
		had[w]++
	}
	var alone []string
	for _, w := range list {
		if had[w]--; had[w] < 0 {
			alone = append(alone, w)
		}
	}
	return alone
}
