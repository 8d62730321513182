package state

import (
	"encoding/json"
	"slices"
	"strings"
)

// Places are the places of values by their keys, sorted by key. They take a third of the
// memory of a map, of which there would be two for each org of a fleet.
type Places []Place

// Place is the place of one value.
type Place struct {
	Key string
	Pos Pos
}

// newPlaces returns places, which may be in any order; of several with one key the last
// counts. It changes all.
func newPlaces(all []Place) Places {
	if all == nil {
		return nil
	}
	slices.SortStableFunc(all, func(a, b Place) int { return strings.Compare(a.Key, b.Key) })
	last := all[:0]
	for i, p := range all {
		if i+1 == len(all) || all[i+1].Key != p.Key {
			last = append(last, p)
		}
	}
	return slices.Clip(last)
}

// Find returns the place of a key, and whether there is one.
func (p Places) Find(key string) (Pos, bool) {
	i, found := slices.BinarySearchFunc(p, key, func(p Place, key string) int { return strings.Compare(p.Key, key) })
	if !found {
		return Pos{}, false
	}
	return p[i].Pos, true
}

// At returns the place of a key; the zero Pos if there is none.
func (p Places) At(key string) Pos {
	pos, _ := p.Find(key)
	return pos
}

// MarshalJSON returns an object, or null for nil.
func (p Places) MarshalJSON() ([]byte, error) {
	if p == nil {
		return []byte("null"), nil
	}
	all := make(map[string]Pos, len(p))
	for _, one := range p {
		all[one.Key] = one.Pos
	}
	return json.Marshal(all)
}
