package page

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/reconcile"
	"reconciler/internal/state"
)

// matrixColumns is how many columns a page of a matrix has.
const matrixColumns = 25

// cell is what a matrix has of one thing in one org: a sign, and the same in words. The
// signs are those of plans: what a repair would do.
type cell struct{ Symbol, Word, Class string }

var (
	cellNone      = cell{}
	cellSame      = cell{"✓", "as declared", "same"}
	cellAdd       = cell{"+", "declared, not live", "add"}
	cellRemove    = cell{"−", "live, not declared", "remove"}
	cellDiffers   = cell{"~", "differs", "alter"}
	cellUnmanaged = cell{"○", "live, not managed", "unmanaged"}
	cellUnknown   = cell{"?", "not known", "unknown"}
)

// matrixLegend are the signs in the order of the legend.
var matrixLegend = []cell{cellSame, cellAdd, cellRemove, cellDiffers, cellUnmanaged, cellUnknown}

// cellsHTML returns the cells of a row of a matrix. It is no template: a page has thousands.
func cellsHTML(cells []cell) template.HTML {
	var b strings.Builder
	for _, c := range cells {
		if c.Symbol == "" {
			b.WriteString("<td></td>")
			continue
		}
		b.WriteString(`<td class="` + template.HTMLEscapeString(c.Class) + `"><b aria-hidden="true">` + template.HTMLEscapeString(c.Symbol) + `</b><i>` + template.HTMLEscapeString(c.Word) + `</i></td>`)
	}
	return template.HTML(b.String())
}

// productCell returns what a matrix has of a product in an org.
func productCell(o *reconcile.OrgItem, id string) cell {
	declared := o.ProductPolicy != state.Ignore && slices.Contains(o.DeclaredProducts, id)
	live := slices.Contains(o.Products, id)
	switch {
	case o.Status != "" && o.Products == nil && !declared, o.State == reconcile.Unknown && o.UnknownPart == "":
		return cellUnknown
	case declared && live:
		return cellSame
	case declared:
		return cellAdd
	case live && o.Managed && o.ProductPolicy == state.Exact && o.DeclaredProducts != nil:
		return cellRemove
	case live:
		return cellUnmanaged
	}
	return cellNone
}

// objectCell returns what a matrix has of an object in an org.
func objectCell(o *reconcile.ObjectItem) cell {
	switch {
	case o.State == reconcile.Unknown:
		return cellUnknown
	case o.State == reconcile.Unmanaged:
		return cellUnmanaged
	case o.State == reconcile.Missing:
		return cellAdd
	case o.State == reconcile.Drifted && o.Absent:
		return cellRemove
	case o.State == reconcile.Drifted:
		return cellDiffers
	case o.Absent:
		return cellNone
	}
	return cellSame
}

// matrix is a page of orgs with their products or objects.
type matrix struct {
	*list
	// Of is what the columns are: products, or a kind of objects.
	Of      string
	Columns []matrixColumn
	Rows    []matrixRow
	// Sums are the heads of the rows of numbers, of which each column has one.
	Sums   []string
	States []reconcile.SyncState
	Kinds  []string
	Legend []cell
	// All is how many columns there are, and From and To those that the page has.
	All, From, To     int
	Previous, Further string
}

// matrixColumn is a product or an object.
type matrixColumn struct {
	key string
	// Name and ID are what it is called, and Href what it links to.
	Name, ID, Href string
	// Sums are its numbers; Past is set for those that are past a limit.
	Sums []matrixSum
}

type matrixSum struct {
	N    *int
	Past bool
}

// matrixRow is an org.
type matrixRow struct {
	*reconcile.OrgItem
	Cells []cell
}

// matrixOf reads the orgs of a page of a matrix: those that have or declare objects of a
// kind, unless that is empty. It returns nil if it has answered the
// request with an error.
func (p *Pages) matrixOf(w http.ResponseWriter, r *http.Request, of, kind string) (*matrix, []reconcile.OrgItem) {
	from, raw := columnOf(r.URL.RawQuery)
	asked := r.Clone(r.Context())
	asked.URL.RawQuery = raw
	l, page := readList(p, w, asked, "orgs", func(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.OrgItem], error) {
		q.Kind = kind
		return p.opts.Source.Orgs(q)
	})
	if l == nil {
		return nil, nil
	}
	m := &matrix{list: l, Of: of, States: reconcile.SyncStates(), Legend: matrixLegend, From: from}
	if page == nil {
		return m, nil
	}
	return m, page.Items
}

// columnParameter is the parameter of the first column. It is no part of the API.
const columnParameter = "column"

// columnOf returns the first column that a query asks for, from 0, and the rest of the
// query.
func columnOf(raw string) (from int, rest string) {
	values, err := url.ParseQuery(raw)
	if err != nil || !values.Has(columnParameter) {
		return 0, raw
	}
	from, err = strconv.Atoi(values.Get(columnParameter))
	values.Del(columnParameter)
	if err != nil || from < 1 {
		from = 1
	}
	return from - 1, values.Encode()
}

// cut leaves the columns of the page, and sets the links to the others.
func (m *matrix) cut() {
	m.All = len(m.Columns)
	m.From = min(m.From, max(0, m.All-1)) / matrixColumns * matrixColumns
	m.To = min(m.From+matrixColumns, m.All)
	m.Columns = m.Columns[m.From:m.To]
	after := m.Values.Get("after")
	at := func(from int) string {
		values := url.Values{columnParameter: {strconv.Itoa(from + 1)}}
		for k, v := range m.Values {
			values[k] = v
		}
		if after != "" {
			values.Set("after", after)
		}
		return link{m.Path, values.Encode()}.url()
	}
	if m.From > 0 {
		m.Previous = at(m.From - matrixColumns)
	}
	if m.To < m.All {
		m.Further = at(m.To)
	}
	m.From++
}

// show sends the page of a matrix.
func (p *Pages) showMatrix(w http.ResponseWriter, r *http.Request, m *matrix) {
	m.Kinds = p.kinds()
	section := sectionProducts
	if m.Of != "products" {
		section = sectionOrgs
	}
	p.show(w, r, m.code(), "matrix.html", &view{Title: "Orgs × " + m.Of, Section: section, Data: m})
}

// kinds returns the kinds of objects that orgs have; none if they can't be read, which
// another page says.
func (p *Pages) kinds() []string {
	page, err := p.opts.Source.Kinds(&reconcile.InventoryQuery{})
	if err != nil {
		return nil
	}
	var names []string
	for i := range page.Items {
		names = append(names, page.Items[i].Kind)
	}
	return names
}

func (p *Pages) productMatrix(w http.ResponseWriter, r *http.Request) {
	m, orgs := p.matrixOf(w, r, "products", "")
	if m == nil {
		return
	}
	if m.Err == "" {
		_, raw := columnOf(r.URL.RawQuery)
		q, err := p.opts.Query("orgs", raw)
		var page *reconcile.Page[reconcile.ProductItem]
		if err == nil {
			q.Limit, q.After, q.Sort, q.Product = 0, "", "", ""
			page, err = p.opts.Source.Products(q)
		}
		if err != nil {
			code, problem, hint := p.opts.Failure(err)
			p.Error(w, r, code, problem, hint)
			return
		}
		m.Sums = []string{"live", "declared", "limit"}
		for i := range page.Items {
			m.Columns = append(m.Columns, productColumn(&page.Items[i]))
		}
		slices.SortStableFunc(m.Columns, func(a, b matrixColumn) int { return strings.Compare(a.Name, b.Name) })
		m.cut()
		for i := range orgs {
			row := matrixRow{OrgItem: &orgs[i]}
			for k := range m.Columns {
				row.Cells = append(row.Cells, productCell(row.OrgItem, m.Columns[k].key))
			}
			m.Rows = append(m.Rows, row)
		}
	}
	p.showMatrix(w, r, m)
}

func productColumn(p *reconcile.ProductItem) matrixColumn {
	c := matrixColumn{key: p.ID, Name: p.Name, Href: "/orgs?product=" + url.QueryEscape(p.ID)}
	if p.Name != p.ID {
		c.ID = p.ID
	}
	past := p.Limit != nil && p.WantActive > *p.Limit
	c.Sums = []matrixSum{{N: &p.Have}, {N: &p.Want, Past: past}, {N: p.Limit, Past: past}}
	return c
}

func (p *Pages) objectMatrix(w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	kinds, err := p.opts.Source.Kinds(&reconcile.InventoryQuery{Kind: kind})
	if err != nil {
		code, problem, hint := p.opts.Failure(err)
		p.Error(w, r, code, problem, hint)
		return
	}
	if !slices.ContainsFunc(kinds.Items, func(k reconcile.KindItem) bool { return k.Kind == kind }) {
		p.Error(w, r, http.StatusNotFound, "no org has objects of a kind "+brief(kind), "")
		return
	}
	m, orgs := p.matrixOf(w, r, kind, kind)
	if m == nil {
		return
	}
	if len(orgs) > 0 {
		q := &reconcile.InventoryQuery{Kind: kind}
		for i := range orgs {
			q.Orgs = append(q.Orgs, orgs[i].Domain)
		}
		page, err := p.opts.Source.Objects(q)
		if err != nil {
			code, problem, hint := p.opts.Failure(err)
			p.Error(w, r, code, problem, hint)
			return
		}
		m.objects(orgs, page.Items)
	}
	p.showMatrix(w, r, m)
}

// objects sets the columns and rows of a matrix of objects: those that most orgs declare
// come first.
func (m *matrix) objects(orgs []reconcile.OrgItem, all []reconcile.ObjectItem) {
	type count struct{ live, declared int }
	counts := map[string]*count{}
	byOrg := map[string]map[string]*reconcile.ObjectItem{}
	for i := range all {
		o := &all[i]
		c := counts[o.Field]
		if c == nil {
			c = &count{}
			counts[o.Field] = c
			name := strings.TrimPrefix(o.Field, m.Of+"/")
			m.Columns = append(m.Columns, matrixColumn{key: o.Field, Name: name})
		}
		if o.Live {
			c.live++
		}
		if o.Declared {
			c.declared++
		}
		if byOrg[o.Org] == nil {
			byOrg[o.Org] = map[string]*reconcile.ObjectItem{}
		}
		byOrg[o.Org][o.Field] = o
	}
	slices.SortFunc(m.Columns, func(a, b matrixColumn) int {
		return cmp.Or(cmp.Compare(counts[b.key].declared, counts[a.key].declared), strings.Compare(a.Name, b.Name))
	})
	m.cut()
	m.Sums = []string{"live here", "declared here"}
	for i := range m.Columns {
		c := counts[m.Columns[i].key]
		m.Columns[i].Sums = []matrixSum{{N: &c.live}, {N: &c.declared}}
	}
	for i := range orgs {
		row := matrixRow{OrgItem: &orgs[i]}
		for k := range m.Columns {
			shown := cellNone
			if o := byOrg[row.Domain][m.Columns[k].key]; o != nil {
				shown = objectCell(o)
			}
			row.Cells = append(row.Cells, shown)
		}
		m.Rows = append(m.Rows, row)
	}
}
