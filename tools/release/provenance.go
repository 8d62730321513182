package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// predicateType is SLSA's. https://slsa.dev/spec/v1.0/provenance
const predicateType = "https://slsa.dev/provenance/v1"

// provenanceName returns the name of the file with the statement.
func (r *release) provenanceName() string { return fmt.Sprintf("%s_%s.intoto.json", name, r.version) }

// writeProvenance writes the statement of how all files were made.
func (r *release) writeProvenance(context.Context) error {
	statement, err := r.statement()
	if err != nil {
		return err
	}
	data, err := protojson.Marshal(statement)
	if err != nil {
		return err
	}
	// protojson's own spaces differ from build to build, on purpose.
	var plain, out bytes.Buffer
	if err := json.Compact(&plain, data); err != nil {
		return err
	}
	if err := json.Indent(&out, plain.Bytes(), "", "  "); err != nil {
		return err
	}
	return r.write(r.provenanceName(), append(out.Bytes(), '\n'))
}

// statement returns the in-toto statement with SLSA's predicate. It has neither times
// nor an ID of the build, so that the same build makes the same statement.
func (r *release) statement() (*intoto.Statement, error) {
	predicate, err := r.predicate()
	if err != nil {
		return nil, err
	}
	if err := predicate.Validate(); err != nil {
		return nil, err
	}
	data, err := protojson.Marshal(predicate)
	if err != nil {
		return nil, err
	}
	s := &intoto.Statement{Type: intoto.StatementTypeUri, PredicateType: predicateType, Predicate: &structpb.Struct{}}
	if err := protojson.Unmarshal(data, s.Predicate); err != nil {
		return nil, err
	}
	for _, f := range r.files {
		s.Subject = append(s.Subject, &intoto.ResourceDescriptor{Name: f.name, Digest: map[string]string{"sha256": f.sha256}})
	}
	if r.imageDigest != "" {
		s.Subject = append(s.Subject, &intoto.ResourceDescriptor{
			Name: r.image, Digest: map[string]string{"sha256": strings.TrimPrefix(r.imageDigest, "sha256:")},
		})
	}
	return s, s.Validate()
}

// predicate returns how the files were made.
func (r *release) predicate() (*provenance.Provenance, error) {
	var targets []any
	for _, p := range r.platforms {
		targets = append(targets, p.String())
	}
	external, err := structpb.NewStruct(map[string]any{
		"repository": r.url, "ref": "refs/tags/" + r.tag(), "version": r.version, "platforms": targets, "image": r.image,
	})
	if err != nil {
		return nil, err
	}
	var settings []any
	for _, setting := range buildSettings {
		settings = append(settings, setting)
	}
	internal, err := structpb.NewStruct(map[string]any{
		"go": r.goVersion, "environment": settings, "ldflags": r.ldflags(), "flags": []any{"-trimpath", "-buildvcs=true"},
	})
	if err != nil {
		return nil, err
	}
	return &provenance.Provenance{
		BuildDefinition: &provenance.BuildDefinition{
			BuildType:          r.url + "/blob/" + r.tag() + "/docs/releases.md",
			ExternalParameters: external, InternalParameters: internal,
			ResolvedDependencies: []*intoto.ResourceDescriptor{
				{Uri: "git+" + r.url + "@refs/tags/" + r.tag(), Digest: map[string]string{"gitCommit": r.commit}},
				{Uri: "pkg:golang/toolchain@v0.0.1-" + r.goVersion, Name: r.goVersion},
			},
		},
		RunDetails: &provenance.RunDetails{Builder: &provenance.Builder{Id: r.builder}},
	}, nil
}
