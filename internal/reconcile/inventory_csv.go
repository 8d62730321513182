package reconcile

import (
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/text"
)

// OrgColumns returns the names of OrgCells.
func OrgColumns() []string {
	return []string{"domain", "id", "cell", "name", "status", "declaredStatus", "products", "declaredProducts", "managed", "labels", "owner", "mode", "drifted", "since",
		"inactiveSince", "inactiveBy", "state"}
}

// OrgCells returns an org as CSV has it.
func OrgCells(o *OrgItem) []string {
	since, by := "", ""
	if o.Inactive != nil {
		since, by = cellTime(&o.Inactive.Since), o.Inactive.By
	}
	return []string{
		o.Domain, o.ID, o.Cell, o.Name, string(o.Status), string(o.DeclaredStatus), strings.Join(o.Products, " "), strings.Join(o.DeclaredProducts, " "),
		strconv.FormatBool(o.Managed), Labels(o.Labels), o.Owner, string(o.Mode), strconv.Itoa(o.Drifted), cellTime(o.Since), since, by, string(o.State),
	}
}

// WriteOrgsCSV writes orgs as CSV.
func WriteOrgsCSV(w io.Writer, orgs []OrgItem) error {
	c := csv.NewWriter(w)
	_ = c.Write(OrgColumns()) // c keeps its error
	for i := range orgs {
		_ = c.Write(text.Spreadsheet(OrgCells(&orgs[i])))
	}
	c.Flush()
	return c.Error()
}

// Labels returns labels as a selector has them.
func Labels(labels map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, name+"="+labels[name])
	}
	return strings.Join(all, ",")
}

// cellTime returns a time; empty for none.
func cellTime(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
