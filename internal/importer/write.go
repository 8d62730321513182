package importer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// maxColumn is where lists are wrapped.
const maxColumn = 100

// writer writes one file.
type writer struct {
	bytes.Buffer
	s *survey
	p *plan
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

// write writes the files of a plan, sorted by name.
func write(s *survey, p *plan) []File {
	w := &writer{s: s, p: p}
	w.line("# The orgs of an Okta Aerial account, as `reconciler import` found them. Until the")
	w.line("# account or these manifests change, `reconciler diff` shows no difference. Names of")
	w.line("# products and sets may be changed; ids, domains and cells are Okta's.")
	w.line("\nversion: 1")
	w.shared()
	if s.opts.Split == Together {
		w.group(0)
		w.skipped()
		return []File{{OrgsFile, w.Bytes()}}
	}
	w.skipped()
	files := []File{{SharedFile, w.Bytes()}}
	for g := range s.groups {
		w := &writer{s: s, p: p}
		w.line("# %s Names of products and sets are in %s.", s.groups[g].title, SharedFile)
		w.line("\nversion: 1")
		w.group(g)
		files = append(files, File{s.groups[g].file, w.Bytes()})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// shared writes what applies to all files.
func (w *writer) shared() {
	id, name := w.s.account.ID, w.s.account.Name
	if !state.ValidID(id) {
		id = ""
	}
	if !state.ValidAccountName(name) {
		if shown := line(name); shown != "" {
			w.line("\n# The account's name can't be declared: %s", shown)
		}
		name = ""
	}
	if id != "" || name != "" {
		w.line("\naccount:")
		w.text("  id", id)
		w.text("  name", name)
	}
	if len(w.s.products) > 0 {
		w.line("\n# What the account subscribes to.")
		w.line("products:")
	}
	for _, p := range w.s.products {
		w.line("  %s: %s%s", p.name, p.ID, comment(p.Name))
	}
	if len(w.p.sets) > 0 {
		w.line("\n# Products that several orgs have in common.")
		w.line("productSets:")
	}
	for _, set := range w.p.sets {
		w.list("  "+set.name, set.members(w.s))
	}
}

func (w *writer) text(key, value string) {
	if value != "" {
		w.line("%s: %s", key, strictyaml.Scalar(value))
	}
}

// comment returns words as the comment after a value.
func comment(words string) string {
	if words = line(words); words == "" {
		return ""
	}
	return " # " + words
}

// list writes a list in brackets, on several lines if it is long. The key includes
// its indentation.
func (w *writer) list(key string, items []string) {
	indent := "\n" + strings.Repeat(" ", 2+len(key)-len(strings.TrimLeft(key, " ")))
	text := key + ": ["
	column := len(text)
	for i, item := range items {
		if i < len(items)-1 {
			item += ","
		}
		switch {
		case i == 0:
		case column+1+len(item) > maxColumn:
			text += indent
			column = len(indent) - 1
		default:
			text += " "
			column++
		}
		text += item
		column += len(item)
	}
	w.line("%s]", text)
}

// group writes the defaults and orgs of a group.
func (w *writer) group(g int) {
	d := &w.p.defaults[g]
	if !d.empty() {
		w.line("\n# What applies to every org of this file that doesn't override it.")
		w.line("defaults:")
		w.text("  cell", d.cell)
		w.text("  status", d.status)
		if d.list != nil {
			w.list("  products", w.s.names(d.list))
		}
		if d.set != nil {
			w.list("  productSets", []string{d.set.name})
		}
	}
	w.line("\norgs:")
	for _, o := range w.s.groups[g].orgs {
		w.org(o, d)
	}
}

func (w *writer) org(o *org, d *defaults) {
	for _, note := range o.notes {
		w.line("  # %s", note)
	}
	w.line("%s", o.head)
	w.text("    id", o.id)
	if o.cell != d.cell {
		w.text("    cell", o.cell)
	}
	if o.status != d.status {
		w.text("    status", o.status)
	}
	if o.products != nil {
		w.products(o.products, d)
	}
	switch {
	case o.products == nil && d.haveProducts():
		w.text("    productPolicy", string(state.Ignore))
	case o.products != nil && o.more:
		w.text("    productPolicy", string(state.Additive))
	}
	if o.protected {
		w.line("    protected: true")
	}
}

// products writes the products of an org in the shortest way.
func (w *writer) products(products bits, d *defaults) {
	if d.list != nil && d.list.equal(products) || d.set != nil && d.set.products.equal(products) {
		return
	}
	least := &writer{} // without a set
	if d.set != nil && !products.empty() {
		least.list("    productSets", nil)
	}
	least.list("    products", w.s.names(products))
	for _, set := range w.p.sets {
		if d.list != nil || !set.products.within(products) {
			continue
		}
		with := &writer{}
		if set != d.set {
			with.list("    productSets", []string{set.name})
		}
		if rest := products.minus(set.products); !rest.empty() {
			with.list("    products", w.s.names(rest))
		}
		if with.Len() < least.Len() {
			least = with
		}
	}
	w.Write(least.Bytes())
}

func (w *writer) skipped() {
	if len(w.s.skipped) == 0 {
		return
	}
	w.line("\n# Not declared, because a manifest can't:")
	for _, what := range w.s.skipped {
		w.line("#   %s", what)
	}
}
