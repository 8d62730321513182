package importer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// maxColumn is where lists are broken.
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
	if s.opts.Split == Together {
		w := &writer{s: s, p: p}
		w.header()
		w.shared()
		w.group(0)
		w.leftOut()
		return []File{{OrgsFile, w.Bytes()}}
	}
	w := &writer{s: s, p: p}
	w.header()
	w.shared()
	w.leftOut()
	files := []File{{SharedFile, w.Bytes()}}
	for g := range s.groups {
		w := &writer{s: s, p: p}
		w.line("# %s Names of products and sets stand in %s.", s.groups[g].title, SharedFile)
		w.line("\nversion: 1")
		w.group(g)
		files = append(files, File{s.groups[g].file, w.Bytes()})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files
}

func (w *writer) header() {
	w.line("# The orgs of an Okta Aerial account, as `reconciler import` found them. Until the")
	w.line("# account or these manifests change, `reconciler diff` shows no difference. Names of")
	w.line("# products and sets are free to be changed; ids, domains and cells are Okta's.")
	w.line("\nversion: 1")
}

// shared writes what holds for all files.
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
	for i := range w.p.sets {
		w.list("  "+w.p.sets[i].name, members(w.s, w.p.sets, i))
	}
}

// text writes a string unless it is empty.
func (w *writer) text(key, value string) {
	if value != "" {
		w.line("%s: %s", key, strictyaml.Scalar(value))
	}
}

// comment returns words as a comment behind a value.
func comment(words string) string {
	if words = line(words); words == "" {
		return ""
	}
	return " # " + words
}

// list writes a list in brackets, over several lines if it is long. The key
// comes with its indentation.
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
		w.line("\n# What holds for every org of this file that doesn't say otherwise.")
		w.line("defaults:")
		w.text("  cell", d.cell)
		w.text("  status", d.status)
		if d.list != nil {
			w.list("  products", w.s.names(d.list))
		}
		if d.set >= 0 {
			w.list("  productSets", []string{w.p.sets[d.set].name})
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
		w.spell(o.products, d)
	}
	switch {
	case o.products == nil && d.giveProducts():
		w.text("    productPolicy", string(state.Ignore))
	case o.products != nil && o.more:
		w.text("    productPolicy", string(state.Additive))
	}
	if o.protected {
		w.line("    protected: true")
	}
}

// spell writes the products of an org, in the shortest of the ways that there
// are.
func (w *writer) spell(products bits, d *defaults) {
	if d.list != nil {
		if !equal(d.list, products) {
			w.list("    products", w.s.names(products))
		}
		return
	}
	if d.set >= 0 && equal(w.p.sets[d.set].products, products) {
		return
	}
	least := w.plainly(products, d)
	for i := range w.p.sets {
		set := &w.p.sets[i]
		if !set.products.within(products) {
			continue
		}
		way := &writer{s: w.s, p: w.p}
		if i != d.set {
			way.list("    productSets", []string{set.name})
		}
		if rest := products.minus(set.products); !rest.empty() {
			way.list("    products", w.s.names(rest))
		}
		if way.Len() < least.Len() {
			least = way
		}
	}
	w.Write(least.Bytes())
}

// plainly lists the products without any set.
func (w *writer) plainly(products bits, d *defaults) *writer {
	way := &writer{s: w.s, p: w.p}
	if d.set >= 0 && !products.empty() {
		way.list("    productSets", nil)
	}
	way.list("    products", w.s.names(products))
	return way
}

func equal(a, b bits) bool { return a.within(b) && b.within(a) }

// leftOut tells in a comment what could not be declared.
func (w *writer) leftOut() {
	if len(w.s.left) == 0 {
		return
	}
	w.line("\n# Not declared, because a manifest can't say it:")
	for _, what := range w.s.left {
		w.line("#   %s", what)
	}
}
