package state

import (
	"bytes"
	"fmt"
	"testing"
	"testing/fstest"
)

// fleet writes manifests of n orgs with ten products each: one file, or one
// file for each org.
func fleet(n int, split bool) fstest.MapFS {
	var top, orgs bytes.Buffer
	top.WriteString("version: 1\nproducts:\n")
	for i := range 40 {
		fmt.Fprintf(&top, "  product-%02d: P%06d\n", i, i)
	}
	fsys := fstest.MapFS{}
	for i := range n {
		if split {
			orgs.Reset()
			orgs.WriteString("version: 1\n")
		}
		if split || i == 0 {
			orgs.WriteString("orgs:\n")
		}
		fmt.Fprintf(&orgs, "  - domain: acme-%05d.okta.com\n    id: 00oy0itaI2Y%05dXGGE\n    cell: ok1\n    status: ACTIVE\n    products: [", i, i)
		for j := range 10 {
			if j > 0 {
				orgs.WriteString(", ")
			}
			fmt.Fprintf(&orgs, "product-%02d", (i+j)%40)
		}
		orgs.WriteString("]\n")
		if split {
			fsys[fmt.Sprintf("orgs/%03d/%05d.yaml", i/100, i)] = &fstest.MapFile{Data: bytes.Clone(orgs.Bytes())}
		}
	}
	if !split {
		top.Write(orgs.Bytes())
	}
	fsys["orgs/all.yaml"] = &fstest.MapFile{Data: top.Bytes()}
	return fsys
}

func benchmarkLoad(b *testing.B, split bool) {
	const n = 10_000
	fsys := fleet(n, split)
	in := []Input{{FS: fsys, Root: "orgs", Name: "orgs"}}
	b.ReportAllocs()
	for b.Loop() {
		d, _, err := Load(in, LoadOptions{})
		if err != nil || len(d.Orgs) != n {
			b.Fatalf("%d orgs, %v", len(d.Orgs), err)
		}
	}
}

func BenchmarkLoadFile(b *testing.B)   { benchmarkLoad(b, false) }
func BenchmarkLoadFolder(b *testing.B) { benchmarkLoad(b, true) }
