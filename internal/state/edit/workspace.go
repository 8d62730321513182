package edit

import (
	"bytes"
	"errors"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Keys of manifests.
const (
	keyBaselines     = "baselines"
	keyConfiguration = "configuration"
	keyDefaults      = "defaults"
	keyDomain        = "domain"
	keyOrgs          = "orgs"
	keyProducts      = "products"
	keySets          = "productSets"
	keyStatus        = "status"
)

// workspace are manifests that are being changed, and what they declare.
type workspace struct {
	load  Load
	files []*file
	// desired is what the files declare, and orgs are its orgs by their domains.
	desired *state.Desired
	orgs    map[string]*state.DesiredOrg
	// names are the names of the products by their ids.
	names map[string]string
	// entries are the entries of the orgs, by their domains.
	entries map[string]entry
	// counted is what spots returns, once it is needed; sets what productSets does.
	counted map[spot]int
	sets    map[string][]string
}

// file is one manifest.
type file struct {
	name         string
	origin, data []byte
	// patch is nil until the file is read.
	patch *strictyaml.Patch
}

// entry is the entry of an org in a file.
type entry struct {
	file *file
	node *strictyaml.Node
}

func newWorkspace(files []state.Source, load Load) (*workspace, error) {
	w := &workspace{load: load}
	for _, f := range files {
		w.files = append(w.files, &file{name: f.Name, origin: f.Data, data: f.Data})
	}
	desired, err := load(files)
	if err != nil {
		return nil, err
	}
	return w, w.take(desired)
}

// take takes over what the files declare now.
func (w *workspace) take(desired *state.Desired) error {
	w.desired, w.counted, w.sets = desired, nil, nil
	w.orgs = make(map[string]*state.DesiredOrg, len(desired.Orgs))
	for i := range desired.Orgs {
		w.orgs[desired.Orgs[i].Domain] = &desired.Orgs[i]
	}
	w.names = state.ProductNames(desired.Products)
	w.entries = make(map[string]entry, len(desired.Orgs))
	for _, f := range w.files {
		if f.patch == nil {
			var err error
			if f.patch, err = strictyaml.NewPatch(f.name, f.data); err != nil {
				return err
			}
		}
		for _, doc := range f.patch.Documents() {
			orgs := doc.Find(keyOrgs)
			if orgs == nil {
				continue
			}
			for _, item := range orgs.Items() {
				if d := item.Target().Find(keyDomain); d != nil {
					w.entries[strings.ToLower(d.Text())] = entry{f, item.Target()}
				}
			}
		}
	}
	return nil
}

// at returns the value at a place, or nil.
func (w *workspace) at(pos state.Pos) *strictyaml.Node {
	for _, f := range w.files {
		if f.name == pos.File {
			return f.patch.At(pos)
		}
	}
	return nil
}

// texts returns the files with the changes that are noted in them.
func (w *workspace) texts() ([]state.Source, error) {
	all := make([]state.Source, len(w.files))
	for i, f := range w.files {
		all[i] = state.Source{Name: f.name, Data: f.data}
		if !f.patch.Changed() {
			continue
		}
		data, err := f.patch.Bytes()
		if err != nil {
			return nil, err
		}
		all[i].Data = data
	}
	return all, nil
}

// try makes changes by an edit, if the result declares them and nothing else otherwise.
// After an error all is as it was.
func (w *workspace) try(changes []Change, edit func() error) error {
	err := edit()
	var next []state.Source
	if err == nil {
		next, err = w.texts()
	}
	var desired *state.Desired
	if err == nil {
		desired, err = w.load(next)
	}
	if err == nil {
		err = differs(w.desired, desired, changes)
	}
	for i, f := range w.files {
		switch {
		case !f.patch.Changed():
		case err != nil:
			f.patch.Reset()
		default:
			f.data, f.patch = next[i].Data, nil
		}
	}
	if err != nil {
		return err
	}
	return w.take(desired)
}

// changed returns the files that are not as they were.
func (w *workspace) changed() []state.Source {
	var all []state.Source
	for _, f := range w.files {
		if !bytes.Equal(f.data, f.origin) {
			all = append(all, state.Source{Name: f.name, Data: f.data})
		}
	}
	return all
}

// own returns the entry of an org.
func (w *workspace) own(domain string) (entry, error) {
	e, ok := w.entries[domain]
	if !ok {
		return e, errors.New("its entry was not found in the manifests")
	}
	return e, nil
}
