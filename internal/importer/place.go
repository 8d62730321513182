package importer

import (
	"fmt"
	pathpkg "path"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// Keys of manifests.
const (
	keyBaselines     = "baselines"
	keyConfiguration = "configuration"
	keyDefaults      = "defaults"
	keyDomain        = "domain"
	keyOrgs          = "orgs"
)

// BaselinesFile is where new baselines are written to if there are several manifests.
const BaselinesFile = "baselines.yaml"

// remark begins the comments on what was not imported, so that the next import finds
// them.
const remark = "not imported: "

// place is the entry of one org in a manifest.
type place struct {
	strictyaml.Block
	c *configuration
	// defaults are the baselines of orgs of the file that name none.
	defaults []string
}

// edit returns the manifests with what change does to the entry of each org that was
// read.
func (c *configuration) edit(change func(*place, *member)) ([]File, error) {
	return c.editFiles(func(p *place, domain string) {
		i, found := slices.BinarySearchFunc(c.members, domain, func(m *member, domain string) int { return strings.Compare(m.domain, domain) })
		if found {
			change(p, c.members[i])
		}
	}, nil)
}

// editFiles returns the manifests with what change does to the entry of each org, and
// finish to each file.
func (c *configuration) editFiles(change func(p *place, domain string), finish func(name string, e *strictyaml.Edit)) ([]File, error) {
	out := make([]File, len(c.files))
	for i, f := range c.files {
		e, err := strictyaml.NewEdit(f.Name, f.Data, c.paths()...)
		if err != nil {
			return nil, err
		}
		var defaults []string
		for _, doc := range e.Documents() {
			if names, ok := doc.Texts(keyDefaults, keyBaselines); ok {
				defaults = names
			}
		}
		for _, doc := range e.Documents() {
			for _, b := range doc.Items(keyOrgs) {
				change(&place{b, c, defaults}, strings.ToLower(b.Text(keyDomain)))
			}
		}
		if finish != nil {
			finish(f.Name, e)
		}
		data, err := e.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out[i] = File{f.Name, data}
	}
	return out, nil
}

// paths returns what may have to be changed in manifests. Where all kinds were read, a
// configuration is replaced as a whole.
func (c *configuration) paths() [][]string {
	all := [][]string{{keyOrgs, "*"}, {keyBaselines}}
	for _, k := range objects.Kinds() {
		if !c.reads(k) {
			return append(all, []string{keyOrgs, "*", keyConfiguration, objects.Settings})
		}
	}
	return all
}

// strip removes what the org itself declares of the kinds that were read.
func (p *place) strip() { p.configure(nil) }

// configure has the org declare the sections, and nothing else of the kinds that were
// read.
func (p *place) configure(all []section) {
	lists, settings := divide(all)
	old, has := p.Child(keyConfiguration)
	if !has || !slices.ContainsFunc(old.Keys(), func(key string) bool { return p.keeps(old, key) }) {
		replaceKey(p.Block, keyConfiguration, nested(keyConfiguration, lists, nested(objects.Settings, settings, nil)))
		return
	}
	for _, k := range p.c.opts.Kinds {
		if !k.Setting {
			replaceKey(old, k.Name, linesOf(lists, k))
		}
	}
	if !p.keeps(old, objects.Settings) {
		replaceKey(old, objects.Settings, nested(objects.Settings, settings, nil))
		return
	}
	inner, _ := old.Child(objects.Settings)
	for _, k := range p.c.opts.Kinds {
		if k.Setting {
			replaceKey(inner, k.Name, linesOf(settings, k))
		}
	}
}

// keeps reports whether something below a key of a configuration stays, because its kind
// wasn't read.
func (p *place) keeps(configuration strictyaml.Block, key string) bool {
	if key != objects.Settings {
		return !p.c.reads(objects.ByName(key))
	}
	inner, ok := configuration.Child(key)
	return ok && slices.ContainsFunc(inner.Keys(), func(key string) bool { return !p.c.reads(objects.ByName(key)) })
}

// replaceKey replaces the lines of a key; without any, it is removed.
func replaceKey(b strictyaml.Block, key string, lines []string) {
	if len(lines) > 0 {
		b.Set(key, lines)
	} else {
		b.Remove(key)
	}
}

// divide returns the sections of settings apart.
func divide(all []section) (lists, settings []section) {
	for _, s := range all {
		if s.kind.Setting {
			settings = append(settings, s)
		} else {
			lists = append(lists, s)
		}
	}
	return lists, settings
}

func linesOf(all []section, k *objects.Kind) []string {
	for _, s := range all {
		if s.kind == k {
			return s.lines
		}
	}
	return nil
}

// nested returns a key with the lines of sections below it, and more; nil if there is
// nothing.
func nested(key string, all []section, more []string) []string {
	lines := []string{key + ":"}
	for _, s := range all {
		lines = append(lines, indented(s.lines)...)
	}
	if lines = append(lines, indented(more)...); len(lines) == 1 {
		return nil
	}
	return lines
}

func indented(lines []string) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = "  " + l
	}
	return all
}

// remarks replaces the comments on what was not imported.
func (p *place) remarks(notes []string) {
	p.RemoveComments(remark, keyConfiguration)
	if len(notes) == 0 {
		return
	}
	lines := make([]string, len(notes))
	for i, note := range notes {
		lines[i] = "# " + remark + line(note)
	}
	p.Append(lines)
}

// take has the org take further baselines.
func (p *place) take(names []string) {
	if len(names) == 0 {
		return
	}
	have, ok := p.Texts(keyBaselines)
	if !ok {
		have = p.defaults
	}
	all := make([]string, 0, len(have)+len(names))
	for _, name := range slices.Concat(have, names) {
		all = append(all, strictyaml.Scalar(name))
	}
	w := &writer{}
	w.list(keyBaselines, all)
	p.Set(keyBaselines, strings.Split(strings.TrimSuffix(w.String(), "\n"), "\n"))
}

// write returns the manifests with all that can be declared.
func (c *configuration) write() (*ConfigurationResult, error) {
	c.survey()
	taken, err := c.baselineNames()
	if err != nil {
		return nil, err
	}
	baselines := c.share(taken)
	r := &ConfigurationResult{Orgs: len(c.members), Warnings: c.warnings()}
	for _, m := range c.members {
		r.Objects += len(m.entries)
	}
	var define []string
	for _, b := range baselines {
		r.Baselines = append(r.Baselines, b.name)
		define = append(define, indented(b.lines(len(c.members)))...)
	}
	unread := map[string]string{}
	for _, o := range c.unread {
		unread[o.Domain] = "it could not be read: " + o.Unread
	}
	change := func(p *place, domain string) {
		if why := unread[domain]; why != "" {
			p.remarks([]string{why})
			return
		}
		i, found := slices.BinarySearchFunc(c.members, domain, func(m *member, domain string) int { return strings.Compare(m.domain, domain) })
		if !found {
			return
		}
		m := c.members[i]
		p.take(m.baselines)
		p.configure(sections(m.items(), m.notes, 6))
		p.remarks(m.restNotes())
	}
	defined := len(define) == 0
	r.Files, err = c.editFiles(change, func(name string, e *strictyaml.Edit) {
		if defined || len(c.files) > 1 && pathpkg.Base(name) != BaselinesFile {
			return
		}
		defined = true
		addBaselines(e, define)
	})
	if err == nil && !defined {
		data := "version: 1\n\n" + keyBaselines + ":\n" + strings.Join(define, "\n") + "\n"
		r.Files = append(r.Files, File{BaselinesFile, []byte(data)})
	}
	return r, err
}

// addBaselines adds baselines to a manifest.
func addBaselines(e *strictyaml.Edit, lines []string) {
	docs := e.Documents()
	for _, doc := range docs {
		if b, ok := doc.Child(keyBaselines); ok {
			b.Append(unindented(lines))
			return
		}
	}
	if len(docs) > 0 {
		docs[0].Append(slices.Concat([]string{"", keyBaselines + ":"}, lines))
	}
}

func unindented(lines []string) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = strings.TrimPrefix(l, "  ")
	}
	return all
}

// lines returns the definition of a baseline. of is the number of orgs that were read.
func (b *baseline) lines(of int) []string {
	all := sections(b.items(), nil, 6)
	lists, settings := divide(all)
	lines := []string{fmt.Sprintf("# What %d of %s have in common, as `reconciler import` found it.", b.takers.count(), text.Plural(of, "org"))}
	return append(lines, nested(b.name, lists, nested(objects.Settings, settings, nil))...)
}

// restNotes returns the notes that don't stand with other objects of their kind.
func (m *member) restNotes() []string {
	var all []string
	for _, k := range objects.Kinds() {
		all = append(all, m.notes[k]...)
	}
	return all
}

// baselineNames returns the names of the baselines that there are.
func (c *configuration) baselineNames() (map[string]bool, error) {
	taken := map[string]bool{}
	_, err := c.editFiles(func(*place, string) {}, func(_ string, e *strictyaml.Edit) {
		for _, doc := range e.Documents() {
			if b, ok := doc.Child(keyBaselines); ok {
				for _, name := range b.Keys() {
					taken[name] = true
				}
			}
		}
	})
	return taken, err
}

// warnings returns what is not declared, once for all orgs of which it is the same.
func (c *configuration) warnings() []string {
	domains := map[string][]string{}
	var order []string
	warn := func(m *member, what string) {
		if domains[what] == nil {
			order = append(order, what)
		}
		domains[what] = append(domains[what], m.domain)
	}
	for _, m := range c.members {
		for _, note := range m.restNotes() {
			warn(m, note)
		}
		for _, e := range m.entries {
			for _, note := range e.notes {
				warn(m, fmt.Sprintf("%s %q: %s", e.ref.Kind.Title, line(e.ref.Object()), note))
			}
		}
		for _, b := range m.missing() {
			warn(m, fmt.Sprintf("%s %q: declared absent, because a baseline has it and the org doesn't", b.Ref.Kind.Title, line(b.Ref.Object())))
		}
	}
	all := make([]string, len(order))
	for i, what := range order {
		who := domains[what][0]
		if n := len(domains[what]) - 1; n > 0 {
			who += fmt.Sprintf(" and %d more", n)
		}
		all[i] = who + ": " + what
	}
	for _, o := range c.unread {
		all = append(all, fmt.Sprintf("%s: not imported, because it could not be read: %s", o.Domain, line(o.Unread)))
	}
	return all
}
