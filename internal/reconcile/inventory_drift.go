package reconcile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/store/history"
)

// DriftItem is open drift with what the history knows of it. Its JSON form is a public
// interface.
type DriftItem struct {
	Drift
	// LastSeen is when a run saw it last, and Times how many runs did. Run is the run
	// that saw it first.
	LastSeen time.Time `json:"lastSeen"`
	Times    int       `json:"times"`
	Run      string    `json:"run"`
	// Unknown is why it will never be known who caused it.
	Unknown string `json:"unknown,omitempty"`
}

// driftKey is by what lists of drift are sorted. A domain has no space.
func driftKey(d *DriftItem) string { return d.Org + " " + d.Field }

// driftItems returns open drift as lists have it, sorted by driftKey. known are values that
// are decoded already, by their JSON; it also returns those of open.
func driftItems(open []history.Drift, known map[string]diff.Value) ([]DriftItem, map[string]diff.Value, error) {
	values := make(map[string]diff.Value, len(known))
	value := func(raw json.RawMessage) (v diff.Value, err error) {
		v, ok := known[string(raw)]
		if !ok {
			v, err = decodeValue(raw)
		}
		values[string(raw)] = v
		return v, err
	}
	all := make([]DriftItem, 0, len(open))
	for i := range open {
		d, err := driftFrom(&open[i], value)
		if err != nil {
			return nil, nil, fmt.Errorf("what the history has of the drift of %s can't be read: %w", cmp.Or(open[i].Org, "the account"), err)
		}
		all = append(all, DriftItem{Drift: d, LastSeen: open[i].LastSeen, Times: open[i].Times, Run: open[i].Run, Unknown: open[i].Unknown})
	}
	slices.SortStableFunc(all, func(a, b DriftItem) int { return strings.Compare(driftKey(&a), driftKey(&b)) })
	return all, values, nil
}

// ListDrift returns what q selects of open drift, which is sorted by org and field.
func (inv *Inventory) ListDrift(open []DriftItem, q *InventoryQuery) (*Page[DriftItem], error) {
	product, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	selected := q.byOrg(inv)
	var all []*DriftItem
	for i := range open {
		d := &open[i]
		if selected != nil && !selected(d.Org) || !q.Since.IsZero() && d.Since.Before(q.Since) || product != "" && !d.concerns(product) {
			continue
		}
		all = append(all, d)
	}
	return pageOf(all, q, driftKey), nil
}

// concerns reports whether the drift is that an org has a product, or has it not.
func (d *DriftItem) concerns(product string) bool {
	return d.Field == diff.FieldOf(diff.UpdateProducts) && slices.Contains(d.Desired.List(), product) != slices.Contains(d.Actual.List(), product)
}

// RunItem is a run of the history. Its JSON form is a public interface.
type RunItem struct {
	ID      string `json:"id"`
	Command string `json:"command"`
	Trigger string `json:"trigger,omitempty"`
	Mode    string `json:"mode,omitempty"`
	// By is who ran it, and RequestedBy who asked a daemon for it.
	By          string    `json:"by"`
	RequestedBy string    `json:"requestedBy,omitempty"`
	Started     time.Time `json:"started"`
	// Finished is null while it goes on, and if it was interrupted.
	Finished *time.Time `json:"finished"`
	Commit   string     `json:"commit"`
	Signer   string     `json:"signer,omitempty"`
	Digest   string     `json:"digest,omitempty"`
	// Result is empty while it goes on.
	Result string `json:"result"`
	Error  string `json:"error,omitempty"`
	// Changes counts its changes by outcome; null while it goes on, and if it was
	// interrupted.
	Changes *RunChanges `json:"changes"`
}

// RunChanges counts the changes of a run by outcome.
type RunChanges struct {
	Applied int `json:"applied"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	Blocked int `json:"blocked"`
}

// RunItemOf returns a run of the history as lists have it.
func RunItemOf(r *history.Run) RunItem {
	item := RunItem{
		ID: r.ID, Command: r.Command, Trigger: r.Trigger, Mode: r.Mode, By: r.By, Started: r.Started,
		Commit: r.Commit, Signer: r.Signer, Digest: r.Digest, Result: r.Result, Error: r.Error,
	}
	if !r.Finished.IsZero() {
		item.Finished = &r.Finished
	}
	var record struct {
		RequestedBy string      `json:"requestedBy"`
		Changes     *RunChanges `json:"changes"`
	}
	if json.Unmarshal(r.Record, &record) == nil {
		item.RequestedBy, item.Changes = record.RequestedBy, record.Changes
	}
	return item
}

// concerns reports whether a change gives or takes a product.
func concerns(e *history.Entry, product string) bool {
	if e.Action != string(diff.UpdateProducts) {
		return false
	}
	var before, after []string
	if json.Unmarshal(e.Before, &before) != nil || json.Unmarshal(e.After, &after) != nil {
		return false
	}
	return slices.Contains(before, product) != slices.Contains(after, product)
}
