package report

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/text"
)

// FeatureState is how a feature of an org compares with that of its parent.
type FeatureState string

const (
	// FeatureSame: switched as in the parent.
	FeatureSame FeatureState = "same"
	// FeatureBehind: on in the parent, off in the org. FeatureAhead is the opposite.
	FeatureBehind FeatureState = "behind"
	FeatureAhead  FeatureState = "ahead"
	// FeatureNotOffered: the parent has it, and the org doesn't.
	FeatureNotOffered FeatureState = "not offered"
	// FeatureGone: the parent doesn't have it (any more), because it became generally
	// available or was withdrawn there; or it is declared, and neither has it.
	FeatureGone FeatureState = "gone"
)

// FeatureOrg is an org with its features.
type FeatureOrg struct {
	Domain string
	// Parent is the domain of the org's parent; empty if it isn't known.
	Parent string
	// Unknown is why the features are not known; empty if they were read.
	Unknown string
	// Features are those that the org has.
	Features []Feature
	// Declared are the names of the features that the manifests declare of the org.
	Declared []string
}

// Feature is one feature of one org.
type Feature = diff.Feature

// Features are the features of orgs beside those of their parents.
type Features struct {
	Orgs []FeatureColumn `json:"orgs"`
	// Warnings are about features that can't be matched without doubt, and parents that
	// couldn't be read.
	Warnings []string `json:"warnings,omitempty"`
}

// FeatureColumn is what the features of one org are, sorted by name.
type FeatureColumn struct {
	Org      string       `json:"org"`
	Parent   string       `json:"parent,omitempty"`
	Unknown  string       `json:"unknown,omitempty"`
	Features []FeatureRow `json:"features"`
}

// FeatureRow is one feature of one org.
type FeatureRow struct {
	Feature string `json:"feature"`
	ID      string `json:"id,omitempty"`
	// Status and ParentStatus are empty where the feature isn't there.
	Status       string `json:"status,omitempty"`
	ParentStatus string `json:"parentStatus,omitempty"`
	// State is empty if the parent, or its features, are not known.
	State FeatureState `json:"state,omitempty"`
}

// CompareFeatures compares the features of the orgs with those of their parents, which
// may be among the orgs or not. Features are matched by id, then by name.
func CompareFeatures(orgs, parents []FeatureOrg) *Features {
	byDomain := map[string]*FeatureOrg{}
	for _, list := range [][]FeatureOrg{parents, orgs} {
		for i := range list {
			byDomain[list[i].Domain] = &list[i]
		}
	}
	f := &Features{Orgs: []FeatureColumn{}}
	for i := range parents {
		if p := &parents[i]; p.Unknown != "" {
			f.Warnings = append(f.Warnings, fmt.Sprintf("the features of the parent %s are not known: %s", p.Domain, text.Clean(p.Unknown)))
		}
	}
	for i := range orgs {
		o := &orgs[i]
		c := FeatureColumn{Org: o.Domain, Parent: o.Parent, Unknown: o.Unknown, Features: []FeatureRow{}}
		if o.Unknown == "" {
			parent := byDomain[o.Parent]
			if parent != nil && parent.Unknown != "" {
				parent = nil
			}
			f.compare(&c, o, parent)
		}
		f.Orgs = append(f.Orgs, c)
	}
	slices.SortFunc(f.Orgs, func(a, b FeatureColumn) int { return cmp.Compare(a.Org, b.Org) })
	slices.Sort(f.Warnings)
	return f
}

// compare fills in the features of one org. parent is nil if its features are not known.
func (f *Features) compare(c *FeatureColumn, o, parent *FeatureOrg) {
	matched := map[int]bool{}
	seen := map[string]bool{}
	for _, own := range o.Features {
		row := FeatureRow{Feature: own.Name, ID: own.ID, Status: own.Status}
		if parent != nil {
			row.State = FeatureGone
			if i := f.match(o.Domain, own, parent, matched); i >= 0 {
				matched[i] = true
				seen[parent.Features[i].Name] = true
				row.ParentStatus = parent.Features[i].Status
				row.State = stateOf(own.Status, row.ParentStatus)
			}
		}
		seen[own.Name] = true
		c.Features = append(c.Features, row)
	}
	if parent != nil {
		for i, p := range parent.Features {
			if !matched[i] {
				seen[p.Name] = true
				c.Features = append(c.Features, FeatureRow{Feature: p.Name, ID: p.ID, ParentStatus: p.Status, State: FeatureNotOffered})
			}
		}
	}
	for _, name := range o.Declared {
		if !seen[name] {
			seen[name] = true
			c.Features = append(c.Features, FeatureRow{Feature: name, State: FeatureGone})
		}
	}
	slices.SortStableFunc(c.Features, func(a, b FeatureRow) int { return cmp.Or(cmp.Compare(a.Feature, b.Feature), cmp.Compare(a.ID, b.ID)) })
}

// match returns the index of the parent's feature that is the same as own; -1 if there
// is none.
func (f *Features) match(domain string, own Feature, parent *FeatureOrg, matched map[int]bool) int {
	byID := slices.IndexFunc(parent.Features, func(p Feature) bool { return p.ID == own.ID && own.ID != "" })
	if byID >= 0 {
		if name := parent.Features[byID].Name; name != own.Name {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s: the feature with id %s is called %q, and %q in %s: taken for the same",
				domain, text.Clean(own.ID), text.Clean(own.Name), text.Clean(name), parent.Domain))
		}
		return byID
	}
	for i, p := range parent.Features {
		if p.Name == own.Name && !matched[i] {
			return i
		}
	}
	return -1
}

func stateOf(own, parent string) FeatureState {
	switch {
	case own == parent:
		return FeatureSame
	case parent == "ENABLED":
		return FeatureBehind
	default:
		return FeatureAhead
	}
}

// WriteFeaturesJSON writes the features as JSON.
func WriteFeaturesJSON(w io.Writer, f *Features) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return err
	}
	_, err := w.Write(text.VisibleJSON(b.Bytes()))
	return err
}

// WriteFeaturesCSV writes one line for each feature of each org. A value that a
// spreadsheet would take for a formula gets an apostrophe.
func WriteFeaturesCSV(w io.Writer, f *Features) error {
	out := csv.NewWriter(w)
	lines := [][]string{{"org", "parent", "feature", "id", "status", "parentStatus", "state"}}
	for _, c := range f.Orgs {
		if c.Unknown != "" {
			lines = append(lines, []string{c.Org, c.Parent, "", "", "", "", "unknown: " + c.Unknown})
		}
		for _, r := range c.Features {
			lines = append(lines, []string{c.Org, c.Parent, r.Feature, r.ID, r.Status, r.ParentStatus, string(r.State)})
		}
	}
	for _, line := range lines {
		for i, s := range line {
			if s = text.Clean(s); s != "" && strings.ContainsAny(s[:1], "=+-@") {
				s = "'" + s
			}
			line[i] = s
		}
	}
	return out.WriteAll(lines)
}

// maxMatrix is how many characters wide a table of features is; orgs for which there is
// no room stand in a further one.
const maxMatrix = 150

// WriteFeatures writes tables for people: for each parent its features, and how each of
// its children has them; and those of orgs without a known parent.
func WriteFeatures(w io.Writer, f *Features) error {
	var b strings.Builder
	byParent := map[string][]FeatureColumn{}
	var parents []string
	isParent := map[string]bool{}
	for _, c := range f.Orgs {
		isParent[c.Parent] = c.Parent != ""
	}
	for _, c := range f.Orgs {
		if c.Unknown != "" || c.Parent == "" && isParent[c.Org] {
			continue
		}
		if byParent[c.Parent] == nil {
			parents = append(parents, c.Parent)
		}
		byParent[c.Parent] = append(byParent[c.Parent], c)
	}
	slices.Sort(parents)
	for _, parent := range parents {
		writeMatrix(&b, parent, byParent[parent])
	}
	for _, c := range f.Orgs {
		if c.Unknown != "" {
			fmt.Fprintf(&b, "%s: not known: %s\n", c.Org, text.Clean(c.Unknown))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMatrix writes the tables of the children of one parent, or of orgs without one.
func writeMatrix(b *strings.Builder, parent string, columns []FeatureColumn) {
	names := map[string]string{} // the parent's status by feature
	for _, c := range columns {
		for _, r := range c.Features {
			names[r.Feature] = cmp.Or(names[r.Feature], r.ParentStatus)
		}
	}
	rows := make([]string, 0, len(names))
	width := len("FEATURE")
	for name := range names {
		rows = append(rows, name)
		width = max(width, len([]rune(text.Clean(name))))
	}
	slices.Sort(rows)
	first := width + 2
	if parent != "" {
		first += len("PARENT "+parent) + 2
	}
	for len(columns) > 0 {
		n, room := 0, maxMatrix-first
		for n < len(columns) && (n == 0 || room >= len(columns[n].Org)+2) {
			room -= len(columns[n].Org) + 2
			n++
		}
		line := []string{pad("FEATURE", width)}
		if parent != "" {
			line = append(line, "PARENT "+parent)
		}
		for _, c := range columns[:n] {
			line = append(line, pad(c.Org, len(FeatureNotOffered)))
		}
		fmt.Fprintln(b, strings.TrimRight(strings.Join(line, "  "), " "))
		for _, name := range rows {
			line = []string{pad(text.Clean(name), width)}
			if parent != "" {
				line = append(line, pad(cmp.Or(text.Clean(names[name]), "-"), len("PARENT "+parent)))
			}
			for _, c := range columns[:n] {
				line = append(line, pad(c.cell(name), max(len(c.Org), len(FeatureNotOffered))))
			}
			fmt.Fprintln(b, strings.TrimRight(strings.Join(line, "  "), " "))
		}
		fmt.Fprintln(b)
		columns = columns[n:]
	}
}

// cell returns what a table says of a feature of the org.
func (c *FeatureColumn) cell(name string) string {
	for _, r := range c.Features {
		if r.Feature == name {
			return cmp.Or(string(r.State), text.Clean(r.Status), "-")
		}
	}
	return "-"
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}
