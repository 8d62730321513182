package strictyaml

import (
	"strconv"

	"gopkg.in/yaml.v3"
)

const mergeKey = "<<"

// visitor is called with a key, its node and the node of its value.
type visitor func(key string, k, val *yaml.Node)

// pairs calls visit for each key of the mapping n, which is s: first its own keys
// in the order of the file, then those of merge keys that it doesn't have itself.
// Keys that are not strings and duplicate keys are errors and are skipped.
//
// taken holds the keys that are overridden; pairs adds those of n. It is nil
// unless n is merged into another mapping.
func (d *decoder) pairs(n *yaml.Node, s subject, taken map[string]bool, visit visitor) {
	if !d.spend(n, len(n.Content)) {
		return
	}
	own := make(map[string]*yaml.Node, len(n.Content)/2)
	var merge *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		key, ok := d.key(k)
		if !ok {
			continue
		}
		if first, dup := own[key]; dup {
			d.fail(d.pos(k), "duplicate key %s: it is already at %s", d.child(s, key), d.pos(first))
			continue
		}
		own[key] = k
		if k.Tag == "!!merge" {
			merge = val
			continue
		}
		if !taken[key] {
			visit(key, k, val)
		}
	}
	if merge == nil && taken == nil {
		return
	}
	if taken == nil {
		taken = make(map[string]bool, len(own))
	}
	for key := range own {
		taken[key] = true
	}
	if merge != nil {
		d.merge(merge, s, taken, visit)
	}
}

// merge visits the pairs of a merge key's value: a mapping, or a list of
// mappings. Earlier ones win.
func (d *decoder) merge(n *yaml.Node, s subject, taken map[string]bool, visit visitor) {
	if n.Kind != yaml.SequenceNode || n.Tag != "!!seq" {
		d.mergeOne(n, s, taken, visit)
		return
	}
	if !d.spend(n, len(n.Content)) {
		return
	}
	for _, c := range n.Content {
		d.mergeOne(c, s, taken, visit)
	}
}

func (d *decoder) mergeOne(n *yaml.Node, s subject, taken map[string]bool, visit visitor) {
	switch {
	case n.Kind == yaml.AliasNode && n.Alias.Kind == yaml.MappingNode:
		d.alias(n, func() bool { d.mergeOne(n.Alias, s, taken, visit); return true })
	case n.Kind == yaml.MappingNode && n.Tag == "!!map":
		d.pairs(n, s, taken, visit)
	default:
		d.fail(d.pos(n), "%q must be a mapping or a list of mappings", mergeKey)
	}
}

// key returns the string that k is; false, after an error, if it isn't one.
func (d *decoder) key(k *yaml.Node) (string, bool) {
	n := k
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fail(d.pos(k), "a key must be a string, not %s", describe(n))
		return "", false
	case n.Tag == "!!str", n.Tag == "!!merge" && n == k:
		return n.Value, true
	case n.Tag == "!!null":
		d.fail(d.pos(k), "a key must be a string, and this one is empty")
		return "", false
	default:
		d.fail(d.pos(k), "a key must be a string, not %s: quote it, %s", describe(n), strconv.Quote(short(n.Value)))
		return "", false
	}
}
