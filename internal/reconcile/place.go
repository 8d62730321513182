package reconcile

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/git/links"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Place is where something is declared. Its JSON form is a public interface.
type Place struct {
	// File is a path in the repository, or on disk as the config spells it.
	File string `json:"file"`
	Line int    `json:"line"`
	// Commit is the one that Line is of; left out for files on disk.
	Commit string `json:"commit,omitempty"`
	// Link is the web address of the line at the forge; left out if it has none.
	Link string `json:"link,omitempty"`
}

// places are where the orgs of the last plan are declared. They are kept in memory alone,
// as in the history a line that is added to a file would change all orgs after it.
type places struct{ last atomic.Pointer[placed] }

// placed is never changed. One of desired and told is set.
type placed struct {
	// desired is what this process has planned for, and told what another one tells of it.
	desired *state.Desired
	told    *toldPlaces
	commit  string
	links   links.Repository
}

// set takes the places of a desired state. p may be nil.
func (p *places) set(d *Desired, repository links.Repository) {
	if p == nil {
		return
	}
	p.last.Store(&placed{desired: d.State, commit: d.Commit, links: repository})
}

// load returns the places of the last plan; nil if there was none. p may be nil.
func (p *places) load() *placed {
	if p == nil {
		return nil
	}
	return p.last.Load()
}

// place returns a position of the last plan; nil for the zero one.
func (p *placed) place(pos strictyaml.Pos) *Place {
	if pos == (strictyaml.Pos{}) {
		return nil
	}
	return &Place{File: pos.File, Line: pos.Line, Commit: p.commit, Link: p.links.File(p.commit, pos.File, pos.Line)}
}

// of returns where an org is declared; nil if that is not known. p may be nil.
func (p *places) of(domain string) *Place {
	last := p.load()
	if last == nil {
		return nil
	}
	if last.told != nil {
		return last.place(last.told.of(domain))
	}
	if o := last.find(domain); o != nil {
		return last.place(o.Pos)
	}
	return nil
}

// inside returns where the fields of an org are declared, by the names that drift gives
// them: objects of its configuration as a whole. p may be nil.
func (p *places) inside(domain string) map[string]*Place {
	last := p.load()
	if last == nil {
		return nil
	}
	var fields, objects map[string]strictyaml.Pos
	if last.told != nil {
		fields, objects = last.told.inside(domain)
	} else if o := last.find(domain); o != nil {
		fields, objects = fieldPlaces(o), objectPlaces(o)
	}
	if fields == nil {
		return nil
	}
	all := make(map[string]*Place, len(fields)+len(objects))
	for _, some := range []map[string]strictyaml.Pos{fields, objects} {
		for field, pos := range some {
			all[field] = last.place(pos)
		}
	}
	return all
}

// fieldPlaces returns where the fields of an org itself are declared; never nil.
func fieldPlaces(o *state.DesiredOrg) map[string]strictyaml.Pos {
	all := map[string]strictyaml.Pos{
		diff.FieldID: o.Places.At("id"), diff.FieldStatus: o.Places.At("status"), diff.FieldCell: o.Places.At("cell"),
		diff.FieldRequestDeletion: o.Places.At("requestDeletion"),
	}
	maps.DeleteFunc(all, isNowhere)
	return all
}

// objectPlaces returns where the objects of an org's configuration are declared.
func objectPlaces(o *state.DesiredOrg) map[string]strictyaml.Pos {
	if o.Config == nil {
		return nil
	}
	all := make(map[string]strictyaml.Pos, len(o.Config.Objects))
	for _, object := range o.Config.Objects {
		all[diff.FieldOfRef(object.Ref)] = object.Pos
	}
	maps.DeleteFunc(all, isNowhere)
	return all
}

func isNowhere(_ string, pos strictyaml.Pos) bool { return pos == strictyaml.Pos{} }

// find returns an org that this process has planned for; nil if it isn't declared.
func (p *placed) find(domain string) *state.DesiredOrg {
	if p == nil || p.desired == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(p.desired.Orgs, domain, func(o state.DesiredOrg, domain string) int { return strings.Compare(o.Domain, domain) })
	if !found {
		return nil
	}
	return &p.desired.Orgs[i]
}

// Declared returns an org as the last plan has it declared; nil if it isn't, or nothing
// was compared yet. It must not be changed.
func (r *Reconciler) Declared(domain string) *state.DesiredOrg { return r.places.load().find(domain) }

// repositoryOf returns the repository of the manifests at its forge: the one that commit
// statuses are set in, or else what the URL shows.
func repositoryOf(cfg *config.Config) links.Repository {
	switch g := cfg.Git; {
	case g == nil:
		return links.Repository{}
	case g.Status != nil:
		return links.At(g.Status.Provider, g.Status.URL, g.Status.Repository)
	default:
		return links.Of(g.URL)
	}
}

// CommitLink returns the web address of a commit of the manifests at the forge; empty if
// it has none.
func (r *Reconciler) CommitLink(commit string) string { return r.repository.Commit(commit) }

// CommitLink returns the web address of a commit of the manifests at the forge; empty if
// it has none.
func (r *InventoryReader) CommitLink(commit string) string { return r.repository.Commit(commit) }
