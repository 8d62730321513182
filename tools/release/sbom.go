package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// billVersion is the version of CycloneDX that bills of materials are written in.
const billVersion = cdx.SpecVersion1_6

// writeBills writes the bill of materials of each program: the modules that Go has put
// into it, as the program itself names them.
func (r *release) writeBills(context.Context) error {
	for _, b := range r.binaries {
		info, err := buildinfo.ReadFile(filepath.Join(r.out, b.name))
		if err != nil {
			return err
		}
		sum, err := digest(filepath.Join(r.out, b.name))
		if err != nil {
			return err
		}
		data, err := encodeBill(r.bill(b, info, sum))
		if err != nil {
			return err
		}
		if err := r.write(b.name+".cdx.json", data); err != nil {
			return err
		}
	}
	return nil
}

// bill returns the bill of materials of a program.
func (r *release) bill(b binary, info *debug.BuildInfo, sum string) *cdx.BOM {
	program := cdx.Component{
		BOMRef: packageURL(info.Main.Path, r.tag()), Type: cdx.ComponentTypeApplication, Name: name, Version: r.version,
		PackageURL: packageURL(info.Main.Path, r.tag()),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}},
		ExternalReferences: &[]cdx.ExternalReference{
			{Type: cdx.ERTypeVCS, URL: r.url, Comment: "commit " + r.commit},
		},
		Properties: &[]cdx.Property{{Name: "platform", Value: b.platform.String()}, {Name: "file", Value: b.name}},
	}
	components := []cdx.Component{{
		BOMRef: packageURL("std", info.GoVersion), Type: cdx.ComponentTypeLibrary, Name: "std",
		Version: info.GoVersion, PackageURL: packageURL("std", info.GoVersion), Scope: cdx.ScopeRequired,
	}}
	for _, module := range info.Deps {
		components = append(components, component(module))
	}
	slices.SortFunc(components, func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	refs := make([]string, len(components))
	dependencies := []cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	for i, c := range components {
		refs[i] = c.BOMRef
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(sum)
	bom.Metadata = &cdx.Metadata{Timestamp: r.time.Format(time.RFC3339), Component: &program}
	bom.Components, bom.Dependencies = &components, &dependencies
	return bom
}

// component returns what a bill of materials says of a module.
func component(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	return cdx.Component{
		BOMRef: packageURL(m.Path, m.Version), Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version,
		PackageURL: packageURL(m.Path, m.Version), Scope: cdx.ScopeRequired,
		// go.sum's hash, which is of the module's files, not of a file that could be hashed.
		Properties: &[]cdx.Property{{Name: "go.sum", Value: m.Sum}},
	}
}

// packageURL returns the package URL of a module.
func packageURL(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// serial returns a serial number that is made of a digest, as a UUID of version 8
// (RFC 9562): the same program has the same bill.
func serial(sum string) string {
	h := sha256.Sum256([]byte("bill of materials of " + sum))
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// encodeBill returns a bill as JSON.
func encodeBill(bom *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, billVersion)
	return out.Bytes(), err
}
