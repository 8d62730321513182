package page

import (
	"cmp"
	"net/http"
	"slices"

	"reconciler/internal/reconcile"
	"reconciler/internal/report"
)

// features is the page of the features of orgs beside those of their parents.
type features struct {
	*list
	Groups   []featureGroup
	Warnings []string
	Legend   []cell
}

// featureGroup are the orgs of one parent, or those without a known one.
type featureGroup struct {
	Parent string
	Orgs   []report.FeatureColumn
	Rows   []featureRow
	// Unknown are the orgs whose features are not known, by why.
	Unknown []unknownFeatures
	// More is how many features are not shown.
	More int
}

// unknownFeatures are orgs whose features are not known for the same reason.
type unknownFeatures struct {
	Why  string
	Orgs []string
}

// unknown adds an org whose features are not known.
func (g *featureGroup) unknown(org, why string) {
	i := slices.IndexFunc(g.Unknown, func(u unknownFeatures) bool { return u.Why == why })
	if i < 0 {
		i = len(g.Unknown)
		g.Unknown = append(g.Unknown, unknownFeatures{Why: why})
	}
	g.Unknown[i].Orgs = append(g.Unknown[i].Orgs, org)
}

// featureRow is a feature with its state in each of the orgs.
type featureRow struct {
	Feature, Parent string
	Cells           []cell
}

// featureCells are how pages show the states of features.
var featureCells = map[report.FeatureState]cell{
	report.FeatureSame:       {"✓", "as in the parent", "same"},
	report.FeatureBehind:     {"↓", "behind: on in the parent, off here", "behind"},
	report.FeatureAhead:      {"↑", "ahead: off in the parent, on here", "ahead"},
	report.FeatureNotOffered: {"×", "not offered: only the parent has it", "unmanaged"},
	report.FeatureGone:       {"∅", "gone: the parent doesn't have it", "unknown"},
}

// featureLegend are the states in the order of the legend.
var featureLegend = []report.FeatureState{report.FeatureSame, report.FeatureBehind, report.FeatureAhead, report.FeatureNotOffered, report.FeatureGone}

const (
	// featureOrgs is how many orgs a page of features has, and maxFeatures how many
	// features of the orgs of one parent.
	featureOrgs = 25
	maxFeatures = 200
)

func (p *Pages) features(w http.ResponseWriter, r *http.Request) {
	l, page := readList(p, w, r, "features", func(q *reconcile.InventoryQuery) (*reconcile.Page[report.FeatureColumn], error) {
		q.Limit = min(q.Limit, featureOrgs)
		return p.opts.Source.Features(q)
	})
	if l == nil {
		return
	}
	d := &features{list: l}
	for _, s := range featureLegend {
		d.Legend = append(d.Legend, featureCells[s])
	}
	if page != nil {
		d.Groups, d.Warnings = featureGroups(page.Items), page.Warnings
	}
	p.show(w, r, l.code(), "features.html", &view{Title: "Features", Section: sectionFeatures, Data: d})
}

// featureGroups returns the orgs by parent.
func featureGroups(all []report.FeatureColumn) []featureGroup {
	var groups []featureGroup
	for _, c := range all {
		i := slices.IndexFunc(groups, func(g featureGroup) bool { return g.Parent == c.Parent })
		if i < 0 {
			i = len(groups)
			groups = append(groups, featureGroup{Parent: c.Parent})
		}
		if c.Unknown != "" {
			groups[i].unknown(c.Org, c.Unknown)
		} else {
			groups[i].Orgs = append(groups[i].Orgs, c)
		}
	}
	slices.SortStableFunc(groups, func(a, b featureGroup) int { return cmp.Compare(a.Parent, b.Parent) })
	for i := range groups {
		groups[i].fill()
	}
	return groups
}

// fill sets the rows of a group: features that differ somewhere come first.
func (g *featureGroup) fill() {
	index := map[string]int{}
	differs := map[string]bool{}
	for k, c := range g.Orgs {
		for _, f := range c.Features {
			i, ok := index[f.Feature]
			if !ok {
				i = len(g.Rows)
				index[f.Feature] = i
				g.Rows = append(g.Rows, featureRow{Feature: f.Feature, Cells: make([]cell, len(g.Orgs))})
			}
			row := &g.Rows[i]
			row.Parent = cmp.Or(row.Parent, f.ParentStatus)
			row.Cells[k] = featureCell(f)
			if f.State != report.FeatureSame && f.State != "" {
				differs[f.Feature] = true
			}
		}
	}
	slices.SortFunc(g.Rows, func(a, b featureRow) int {
		if differs[a.Feature] != differs[b.Feature] {
			if differs[a.Feature] {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Feature, b.Feature)
	})
	if n := len(g.Rows) - maxFeatures; n > 0 {
		g.Rows, g.More = g.Rows[:maxFeatures], n
	}
}

// featureCell returns how pages show a feature of an org. Without a known parent it is
// the status alone.
func featureCell(f report.FeatureRow) cell {
	if c, ok := featureCells[f.State]; ok {
		return c
	}
	switch f.Status {
	case "ENABLED":
		return cell{"●", "on", "same"}
	case "DISABLED":
		return cell{"○", "off", "unmanaged"}
	case "":
		return cellNone
	}
	return cell{"?", f.Status, "unknown"}
}
