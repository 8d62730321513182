package reconcile

import (
	"hash/maphash"
	"maps"
	"slices"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
)

// Most orgs of a fleet are alike: they have the same groups, features and labels that nobody
// declares for them alone. What is kept of each of them is kept once, so that memory grows
// with the differences. What is shared must not be changed.

// lists are lists of which equal ones are kept once, by a hash.
type lists[E comparable] map[uint64][]E

// share returns a list that is equal to v: v itself, unless there was one before.
func (l lists[E]) share(v []E) []E {
	if len(v) == 0 {
		return v
	}
	sum := listHash(v)
	old, is := l[sum]
	switch {
	case !is:
		l[sum] = v
	case slices.Equal(old, v):
		return old
	}
	return v
}

func listHash[E comparable](v []E) uint64 {
	var h maphash.Hash
	h.SetSeed(besideSeed)
	for i := range v {
		maphash.WriteComparable(&h, v[i])
	}
	return h.Sum64()
}

// texts are texts of which equal ones are kept once.
type texts map[string]string

func (t texts) share(s string) string {
	if old, is := t[s]; is {
		return old
	}
	t[s] = s
	return s
}

// sharedConfigurations is what the configurations of orgs have in common.
type sharedConfigurations struct {
	features lists[diff.Feature]
	refs     lists[objects.Ref]
	// inSync are comparisons without a difference, by a hash.
	inSync map[uint64]*objects.Comparison
}

func newSharedConfigurations() *sharedConfigurations {
	return &sharedConfigurations{lists[diff.Feature]{}, lists[objects.Ref]{}, map[uint64]*objects.Comparison{}}
}

// share has c share what it has in common with those before.
func (s *sharedConfigurations) share(c *diff.Configuration) {
	c.Features = s.features.share(c.Features)
	if c.Head == nil {
		return
	}
	if len(c.Head.Differences)+len(c.Head.Unfixable) == 0 {
		c.Head = s.comparison(c.Head)
		return
	}
	s.undeclared(c.Head)
}

// comparison returns a comparison that is equal to c, which has no difference.
func (s *sharedConfigurations) comparison(c *objects.Comparison) *objects.Comparison {
	var h maphash.Hash
	h.SetSeed(besideSeed)
	for _, kind := range slices.Sorted(maps.Keys(c.Kinds)) {
		maphash.WriteComparable(&h, kind)
		maphash.WriteComparable(&h, c.Kinds[kind])
		maphash.WriteComparable(&h, listHash(c.Undeclared[kind]))
	}
	sum := h.Sum64()
	old, is := s.inSync[sum]
	if is && old.Count == c.Count && maps.Equal(old.Kinds, c.Kinds) && maps.EqualFunc(old.Undeclared, c.Undeclared, slices.Equal) {
		return old
	}
	if !is {
		s.inSync[sum] = c
	}
	s.undeclared(c)
	return c
}

func (s *sharedConfigurations) undeclared(c *objects.Comparison) {
	for kind, refs := range c.Undeclared {
		c.Undeclared[kind] = s.refs.share(refs)
	}
}

// sharedOrgs is what the orgs of an inventory have in common.
type sharedOrgs struct {
	texts    texts
	objects  map[knownObject]*knownObject
	features lists[diff.Feature]
	products lists[string]
}

func newSharedOrgs() *sharedOrgs {
	return &sharedOrgs{texts{}, map[knownObject]*knownObject{}, lists[diff.Feature]{}, lists[string]{}}
}

// share has o share what it has in common with those before.
func (s *sharedOrgs) share(o *knownOrg) {
	for i, object := range o.objects {
		if s.objects[*object] == nil {
			s.objects[*object] = object
		}
		o.objects[i] = s.objects[*object]
	}
	o.features = s.features.share(o.features)
	item := &o.item
	item.Products, item.DeclaredProducts = s.products.share(item.Products), s.products.share(item.DeclaredProducts)
	item.Cell, item.Owner = s.texts.share(item.Cell), s.texts.share(item.Owner)
	item.Parent = s.texts.share(item.Parent)
}
