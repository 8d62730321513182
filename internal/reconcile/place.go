package reconcile

import (
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

type placed struct {
	desired *state.Desired
	commit  string
	links   links.Repository
}

// set takes the places of a desired state. p may be nil.
func (p *places) set(d *Desired, repository links.Repository) {
	if p == nil {
		return
	}
	p.last.Store(&placed{d.State, d.Commit, repository})
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
	last, o := p.find(domain)
	if o == nil {
		return nil
	}
	return last.place(o.Pos)
}

// inside returns where the fields of an org are declared, by the names that drift gives
// them: objects of its configuration as a whole. p may be nil.
func (p *places) inside(domain string) map[string]*Place {
	last, o := p.find(domain)
	if o == nil {
		return nil
	}
	all := map[string]*Place{}
	add := func(field string, pos strictyaml.Pos) {
		if place := last.place(pos); place != nil {
			all[field] = place
		}
	}
	add(diff.FieldID, o.Places.At("id"))
	add(diff.FieldStatus, o.Places.At("status"))
	add(diff.FieldCell, o.Places.At("cell"))
	add(diff.FieldRequestDeletion, o.Places.At("requestDeletion"))
	if o.Config != nil {
		for _, object := range o.Config.Objects {
			add(diff.FieldOfRef(object.Ref), object.Pos)
		}
	}
	return all
}

func (p *places) find(domain string) (*placed, *state.DesiredOrg) {
	if p == nil {
		return nil, nil
	}
	last := p.last.Load()
	if last == nil {
		return nil, nil
	}
	i, found := slices.BinarySearchFunc(last.desired.Orgs, domain, func(o state.DesiredOrg, domain string) int { return strings.Compare(o.Domain, domain) })
	if !found {
		return nil, nil
	}
	return last, &last.desired.Orgs[i]
}

// Declared returns an org as the last plan has it declared; nil if it isn't, or nothing
// was compared yet. It must not be changed.
func (r *Reconciler) Declared(domain string) *state.DesiredOrg {
	_, o := r.places.find(domain)
	return o
}

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
