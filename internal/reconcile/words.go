package reconcile

import (
	"encoding/json"

	"reconciler/internal/diff"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// Lines returns the drift in words, as the change that repairs it. products are the names
// of products by their ids.
func (d *Drift) Lines(products map[string]string) []report.Line {
	words := report.Difference{
		Field: d.Field, Kind: d.Kind, Object: d.Object, Desired: d.Desired, Actual: d.Actual,
		Destructive: d.Destructive, Blocked: d.Blocked,
	}
	return words.Lines(products)
}

// EntryLines returns the change or the drift of an entry of the history in words; nil for
// an entry of another type, or one that can't be read.
func EntryLines(e *history.Entry, products map[string]string) []report.Line {
	switch e.Type {
	case history.TypeChange:
		c, err := changeOf(e)
		if err != nil {
			return nil
		}
		complete(&c)
		return report.Describe(&c, products)
	case history.TypeDrift, history.TypeDriftEnded:
		d := Drift{Field: e.Field, Kind: e.Kind, Object: e.Object}
		if unmarshal(e.After, &d.Desired) != nil || unmarshal(e.Before, &d.Actual) != nil {
			return nil
		}
		if d.Desired.IsZero() && d.Actual.IsZero() {
			return []report.Line{{Sign: report.Alter, Text: text.Visible(e.Field), Kind: e.Field}}
		}
		return d.Lines(products)
	}
	return nil
}

// complete sets what a change has in a plan and not in the history.
func complete(c *diff.Change) {
	if c.Action == diff.UpdateProducts {
		c.Enable, c.Disable = without(c.After.List(), c.Before.List()), without(c.Before.List(), c.After.List())
	}
	switch one, ok := c.Difference(); {
	case ok:
		c.Destructive = one.Loses()
	case c.Action == diff.SetStatus:
		c.Destructive = c.After.Text() == string(state.Inactive)
	default:
		c.Destructive = len(c.Disable) > 0 || c.Action == diff.RequestDeletion
	}
}

// unmarshal reads a part of an entry, which may be missing.
func unmarshal(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}
