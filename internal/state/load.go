package state

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// Input is a file or folder to load manifests from.
type Input struct {
	FS fs.FS
	// Root is the file or folder within FS; empty or "." for all of it.
	Root string
	// Files are all files below Root, by their names in FS, if the caller knows
	// them: then FS isn't walked.
	Files []string
	// Name is what messages call Root, usually as the user typed it; positions
	// in files below Root begin with it. Root is used if it is empty.
	Name string
}

// LoadOptions are the parts of the config that manifests refer to.
type LoadOptions struct {
	// Parents are the domains of the configured parent orgs by their names; "" for
	// one whose domain is not known. Nil means that they are unknown, and
	// `create.parent` is not checked.
	Parents map[string]string
}

// Warning is about a file or folder that was skipped, perhaps unintentionally, or
// about a declaration that is probably a mistake.
type Warning struct {
	// File is the file or folder as messages call it.
	File string
	// Line and Column are where in the file it is; 0 for the file as a whole.
	Line, Column int
	// Msg is one line without the place.
	Msg string
}

// String returns "FILE:LINE:COL: message", or "FILE: message".
func (w Warning) String() string {
	place := text.Visible(w.File)
	if w.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", place, w.Line, w.Column)
	}
	return place + ": " + w.Msg
}

// Source is the text of a manifest.
type Source struct {
	// Name is what positions have as its file.
	Name string
	Data []byte
}

// Sources returns the files that Load reads. The error is of type strictyaml.Errors.
func Sources(inputs []Input) ([]Source, error) {
	find := newFinder()
	for _, in := range inputs {
		find.input(in)
	}
	errs := find.errs
	all := make([]Source, 0, len(find.files))
	for _, f := range find.files {
		data, err := readFile(f.fsys, f.path)
		if err != nil {
			errs = append(errs, unreadable(f.name, err))
		}
		all = append(all, Source{f.name, data})
	}
	return all, errs.Err()
}

// Load reads the manifests of all inputs and returns them merged into one
// desired state, which doesn't depend on the order of files, and the warnings.
//
// Of a folder it reads *.yaml and *.yml, also in subfolders. It does not follow
// symbolic links (and warns of each, unless its target is a file that is not
// called like a manifest), and ignores names that begin with a dot. A file that
// several inputs contain is read once.
//
// The error is of type strictyaml.Errors: every mistake of every file, sorted by
// position, including files that can't be read. The desired state is then nil,
// and warnings are returned all the same. Load is safe for concurrent use. The
// slices and maps of the result may be shared between orgs and must not be
// changed.
func Load(inputs []Input, opts LoadOptions) (*Desired, []Warning, error) {
	find := newFinder()
	for _, in := range inputs {
		find.input(in)
	}
	if err := readAll(find.files); err != nil {
		return nil, find.warnings, strictyaml.Errors{err}
	}

	m := newMerger(opts)
	m.addErrors(find.errs)
	for _, f := range find.files {
		m.addErrors(f.errs)
		m.incomplete = m.incomplete || f.misspelt
	}
	for _, f := range find.files {
		m.globals(f)
	}
	m.resolveSets()
	m.readBaselines()
	for _, f := range find.files {
		m.orgs(f)
		f.docs = nil // what was read is several times as large as what it declares
	}
	m.checkCreations()
	m.addMistakes()
	if len(m.desired.Orgs) == 0 && len(m.errs) == 0 {
		m.errs.Add(emptyPlace(inputs, find.files), "no orgs are declared: the desired state must not be empty")
	}
	if err := m.errs.Err(); err != nil {
		return nil, append(find.warnings, m.warnings...), err
	}
	m.checkLimits()
	m.desired.Products = make(map[string]string, len(m.aliases))
	for name, a := range m.aliases {
		m.desired.Products[name] = a.id
	}
	warnings := append(find.warnings, m.warnings...)
	slices.SortFunc(m.desired.Orgs, func(a, b DesiredOrg) int { return strings.Compare(a.Domain, b.Domain) })
	return &m.desired, warnings, nil
}

// emptyPlace returns where an org should have been declared.
func emptyPlace(inputs []Input, files []*file) Pos {
	if len(files) > 0 {
		return files[0].top()
	}
	name := "."
	if len(inputs) > 0 {
		name = cmp.Or(inputs[0].Name, inputs[0].Root, name)
	}
	return Pos{File: name}
}

// merger merges documents into one desired state.
type merger struct {
	opts LoadOptions
	errs strictyaml.Errors
	// warnings are in the order of the files, and warned has them.
	warnings []Warning
	warned   map[Warning]bool
	desired  Desired
	aliases  map[string]alias
	sets     map[string]*set
	// domains and ids are where each was first declared.
	domains map[string]Pos
	ids     map[string]Pos
	// incomplete means that a file could not be read as a whole, so that
	// undefined names may be defined there.
	incomplete bool
	// creations are the orgs that are to be created, and where their cell and
	// domain are.
	creations []creation
	// listed and compared count up to maxListed and maxCompared.
	listed, compared int
	// aliasNames, setNames, memberNames (both of them) and baselineNames are for hints.
	aliasNames, setNames, memberNames, baselineNames []string
	baselineOf                                       map[string]*baseline
	// layers reads configurations, and stacks are baselines laid over each other, by
	// their names.
	layers *layerReader
	stacks map[string]*laid
	// mistakes are those of the configurations of orgs.
	mistakes map[orgMistake]*mistaken
	// broken are the names of the variables and labels with a mistake in a value.
	broken map[string]bool
	// values counts up to maxDeclaredValues; overspent is set beyond.
	values    int
	overspent bool
	// alike is what orgs have in common.
	alike *alike
}

// alias is a name for a product id. The id is empty if it could not be read.
type alias struct {
	id  string
	pos Pos
}

func newMerger(opts LoadOptions) *merger {
	return &merger{
		opts:    opts,
		warned:  map[Warning]bool{},
		broken:  map[string]bool{},
		aliases: map[string]alias{},
		sets:    map[string]*set{},
		domains: map[string]Pos{},
		ids:     map[string]Pos{},
		alike:   &alike{map[string][]string{}, map[string]map[string]string{}},

		baselineOf: map[string]*baseline{},
		stacks:     map[string]*laid{},
		mistakes:   map[orgMistake]*mistaken{},
	}
}

func (m *merger) addErrors(all strictyaml.Errors) {
	m.errs = append(m.errs, all...)
	m.incomplete = m.incomplete || isCut(all)
}

// globals merges what applies to all files: account, products and sets.
func (m *merger) globals(f *file) {
	for _, doc := range f.docs {
		if doc.Bad {
			continue
		}
		switch v := &doc.V.Version; {
		case !v.Set:
			m.errs.Add(doc.Pos, `no "version": begin each document with version: 1`)
		case v.OK() && v.V != 1:
			m.errs.Add(v.Pos, "version %d is not supported: this program reads version 1", v.V)
		}
		m.account(&doc.V.Account.V)
		m.products(&doc.V)
		m.productSets(&doc.V)
		m.baselines(&doc.V)
	}
}

// warn adds a warning, once.
func (m *merger) warn(pos Pos, format string, args ...any) {
	w := Warning{File: pos.File, Line: pos.Line, Column: pos.Column, Msg: fmt.Sprintf(format, args...)}
	if !m.warned[w] {
		m.warned[w] = true
		m.warnings = append(m.warnings, w)
	}
}

func (m *merger) account(a *manifestAccount) {
	d := &m.desired.Account
	if a.ID.OK() {
		m.once("account id", &d.ID, &d.IDPos, string(a.ID.V), a.ID.Pos)
	}
	if a.Name.OK() {
		m.once("account name", &d.Name, &d.NamePos, string(a.Name.V), a.Name.Pos)
	}
}

// once sets *v, unless it was set to something else before.
func (m *merger) once(what string, v *string, at *Pos, s string, pos Pos) {
	switch {
	case *v == "":
		*v, *at = s, pos
	case *v != s:
		m.errs.Add(pos, "%s is %s here and %s at %s", what, quote(s), quote(*v), *at)
	}
}

func (m *merger) products(doc *manifest) {
	for _, e := range doc.Products.V {
		if err := checkName(e.Key); err != nil {
			m.errs.Add(e.Pos, "the name of a product %v", err)
			continue
		}
		if isProductID(strings.ToUpper(e.Key)) {
			m.errs.Add(e.Pos, "product name %s looks like a product id: choose another name", quote(e.Key))
		}
		first, dup := m.aliases[e.Key]
		switch id := string(e.V.V.ID.V); {
		case !dup || first.id == "":
			m.aliases[e.Key] = alias{id, e.Pos}
		case id != "" && id != first.id:
			m.errs.Add(e.Pos, "product %s is %s here and %s at %s", quote(e.Key), id, first.id, first.pos)
		}
		m.productDetail(e.Key, &e.V)
	}
}
