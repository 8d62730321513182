package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// toldPlaces are places in the form in which processes tell each other of them. Files, and
// objects of a baseline, which many orgs have in the same places, are in it once.
type toldPlaces struct {
	Commit string             `json:"commit,omitempty"`
	Files  []string           `json:"files"`
	Orgs   map[string]toldOrg `json:"orgs"`
	// Objects are the places of the objects of orgs, by their fields.
	Objects []map[string]toldPlace `json:"objects,omitempty"`
}

// toldOrg are the places of an org.
type toldOrg struct {
	At     toldPlace            `json:"at"`
	Fields map[string]toldPlace `json:"fields,omitempty"`
	// Objects counts from 1 which of the Objects are those of the org; 0 for none.
	Objects int `json:"objects,omitempty"`
}

// toldPlace is the index of a file, and a line.
type toldPlace [2]int

// Places tell where the orgs of one plan are declared.
type Places struct{ placed *placed }

// Places returns where the orgs of the last plan are declared. It equals what it returned
// before as long as there was no other plan, and is the zero Places before the first.
func (r *Reconciler) Places() Places { return Places{r.places.load()} }

// Same reports whether both are known to tell the same.
func (p Places) Same(other Places) bool {
	a, b := p.placed, other.placed
	return a == b || a != nil && b != nil && a.desired != nil && (a.desired == b.desired || a.commit != "" && a.commit == b.commit)
}

// Marshal returns them for SetPlaces of another process; nil if there are none, or another
// process has told of them.
func (p Places) Marshal() ([]byte, error) {
	if p.placed == nil || p.placed.desired == nil {
		return nil, nil
	}
	t := teller{files: map[string]int{}, objects: map[string]int{}}
	t.told.Commit, t.told.Orgs = p.placed.commit, make(map[string]toldOrg, len(p.placed.desired.Orgs))
	for i := range p.placed.desired.Orgs {
		o := &p.placed.desired.Orgs[i]
		told, err := t.org(o)
		if err != nil {
			return nil, err
		}
		t.told.Orgs[o.Domain] = told
	}
	return json.Marshal(&t.told)
}

// teller makes toldPlaces.
type teller struct {
	told toldPlaces
	// files are the indexes of files, and objects those of Objects by their JSON.
	files, objects map[string]int
}

func (t *teller) org(o *state.DesiredOrg) (toldOrg, error) {
	told := toldOrg{At: t.place(o.Pos), Fields: t.all(fieldPlaces(o))}
	objects := t.all(objectPlaces(o))
	if len(objects) == 0 {
		return told, nil
	}
	key, err := json.Marshal(objects)
	if err != nil {
		return told, err
	}
	n, is := t.objects[string(key)]
	if !is {
		t.told.Objects = append(t.told.Objects, objects)
		n = len(t.told.Objects)
		t.objects[string(key)] = n
	}
	told.Objects = n
	return told, nil
}

func (t *teller) all(places map[string]strictyaml.Pos) map[string]toldPlace {
	all := make(map[string]toldPlace, len(places))
	for _, field := range slices.Sorted(maps.Keys(places)) { // so that files have the same numbers again
		all[field] = t.place(places[field])
	}
	return all
}

func (t *teller) place(pos strictyaml.Pos) toldPlace {
	file, is := t.files[pos.File]
	if !is {
		file = len(t.told.Files)
		t.files[pos.File] = file
		t.told.Files = append(t.told.Files, pos.File)
	}
	return toldPlace{file, pos.Line}
}

// SetPlaces takes what Marshal has returned in a process that plans in place of this one.
func (r *Reconciler) SetPlaces(data []byte) error {
	var told toldPlaces
	if err := json.Unmarshal(data, &told); err != nil {
		return fmt.Errorf("where orgs are declared can't be read: %w", err)
	}
	if !told.whole() {
		return errors.New("where orgs are declared can't be read: it names a file or an object that isn't in it")
	}
	r.places.last.Store(&placed{told: &told, commit: told.Commit, links: r.repository})
	return nil
}

// whole reports whether all that is referred to is there.
func (t *toldPlaces) whole() bool {
	all := func(places map[string]toldPlace) bool {
		for _, at := range places {
			if !t.has(at) {
				return false
			}
		}
		return true
	}
	for _, o := range t.Orgs {
		if !t.has(o.At) || !all(o.Fields) || o.Objects < 0 || o.Objects > len(t.Objects) {
			return false
		}
	}
	for _, objects := range t.Objects {
		if !all(objects) {
			return false
		}
	}
	return true
}

func (t *toldPlaces) has(at toldPlace) bool { return 0 <= at[0] && at[0] < len(t.Files) }

func (t *toldPlaces) pos(at toldPlace) strictyaml.Pos {
	return strictyaml.Pos{File: t.Files[at[0]], Line: at[1]}
}

// of returns where an org is declared; the zero Pos if it isn't.
func (t *toldPlaces) of(domain string) strictyaml.Pos {
	o, is := t.Orgs[domain]
	if !is {
		return strictyaml.Pos{}
	}
	return t.pos(o.At)
}

// inside returns where the fields of an org and its objects are declared; nil if it isn't.
func (t *toldPlaces) inside(domain string) (fields, objects map[string]strictyaml.Pos) {
	o, is := t.Orgs[domain]
	if !is {
		return nil, nil
	}
	all := func(places map[string]toldPlace) map[string]strictyaml.Pos {
		positions := make(map[string]strictyaml.Pos, len(places))
		for field, at := range places {
			positions[field] = t.pos(at)
		}
		return positions
	}
	if o.Objects > 0 {
		objects = all(t.Objects[o.Objects-1])
	}
	return all(o.Fields), objects
}
