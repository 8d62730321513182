package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// lists is what an org or the defaults of a file say of products; nil is "not
// said".
type lists struct{ products, sets []string }

func drawLists(t *rapid.T, names, sets []string, label string) lists {
	draw := func(from []string, label string) []string {
		if !rapid.Bool().Draw(t, label+" said") {
			return nil
		}
		return append([]string{}, rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 3, rapid.ID).Draw(t, label)...)
	}
	l := lists{draw(names, label+" products"), draw(sets, label+" sets")}
	if l.products != nil && len(l.products) == 0 && len(l.sets) > 0 {
		l.products = nil // none and some would contradict each other
	}
	return l
}

// yaml returns the keys of l, indented.
func (l lists) yaml(indent string) string {
	var b strings.Builder
	if l.products != nil {
		fmt.Fprintf(&b, "%sproducts: [%s]\n", indent, strings.Join(l.products, ", "))
	}
	if l.sets != nil {
		fmt.Fprintf(&b, "%sproductSets: [%s]\n", indent, strings.Join(l.sets, ", "))
	}
	return b.String()
}

// Random fleets in random files: each org has the products that the rules of
// docs/manifest.md give it, told here in another way than the loader does, and
// neither the order of files nor that of their parts matters.
func TestProductsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := map[string]string{"P000001": "P000001"} // what each name stands for
		head := "products: {"
		for i := range 4 {
			name := fmt.Sprintf("p%d", i)
			ids[name] = fmt.Sprintf("P00%d", rapid.IntRange(0, 5).Draw(t, "id")) // names may share an id
			head += name + ": " + ids[name] + ", "
		}
		names := []string{"p0", "p1", "p2", "p3", "P000001"}
		head += "}\nproductSets:\n"
		var sets []string
		gives := map[string][]string{} // ids of each set
		for i := range 3 {
			name := fmt.Sprintf("s%d", i)
			members := rapid.SliceOfNDistinct(rapid.SampledFrom(append(slices.Clone(names), sets...)), 0, 3, rapid.ID).Draw(t, "members")
			for _, m := range members {
				if id, ok := ids[m]; ok {
					gives[name] = append(gives[name], id)
				}
				gives[name] = append(gives[name], gives[m]...)
			}
			head += fmt.Sprintf("  %s: [%s]\n", name, strings.Join(members, ", "))
			sets = append(sets, name)
		}

		files := []string{"version: 1\n" + head}
		desired := map[string][]string{}
		for i := range rapid.IntRange(1, 3).Draw(t, "files") {
			def := drawLists(t, names, sets, "default")
			text := "version: 1\n"
			if y := def.yaml("  "); y != "" {
				text += "defaults:\n" + y
			}
			text += "orgs:\n"
			for j := range rapid.IntRange(1, 3).Draw(t, "orgs") {
				own := drawLists(t, names, sets, "own")
				domain := fmt.Sprintf("org-%d-%d.okta.com", i, j)
				text += "- domain: " + domain + "\n" + own.yaml("  ")
				desired[domain] = productsByRule(own, def, ids, gives)
			}
			files = append(files, text)
		}

		load := func(files []string) *Desired {
			fsys := fstest.MapFS{}
			for i, f := range files {
				fsys[fmt.Sprintf("%d.yaml", i)] = mapFile(f)
			}
			d, _, err := Load([]Input{{FS: fsys}}, LoadOptions{})
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(files, "---\n"))
			}
			return d
		}
		d := load(files)
		got := map[string][]string{}
		for _, o := range d.Orgs {
			got[o.Domain] = o.Products
			for _, id := range o.Products {
				if o.ProductPos.At(id).Line == 0 {
					t.Errorf("product %s of %s has no place", id, o.Domain)
				}
			}
		}
		if diff := cmp.Diff(desired, got); diff != "" {
			t.Errorf("products differ (-wanted +got):\n%s\n%s", diff, strings.Join(files, "---\n"))
		}
		shuffled := load(rapid.Permutation(files).Draw(t, "order"))
		if diff := cmp.Diff(d, shuffled, withoutPlaces); diff != "" {
			t.Errorf("the order of files matters:\n%s", diff)
		}
	})
}

// productsByRule is the rule for the products of an org.
func productsByRule(own, def lists, ids map[string]string, gives map[string][]string) []string {
	l := own
	switch {
	case own.products == nil && own.sets == nil && def.products == nil && def.sets == nil:
		return nil
	case own.products != nil && len(own.products) == 0:
		return []string{}
	}
	if l.products == nil {
		l.products = def.products
	}
	if l.sets == nil {
		l.sets = def.sets
	}
	all := []string{}
	for _, name := range l.products {
		all = append(all, ids[name])
	}
	for _, name := range l.sets {
		all = append(all, gives[name]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
