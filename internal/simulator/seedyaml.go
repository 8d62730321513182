package simulator

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"

	"reconciler/internal/strictyaml"
)

// LoadSeed reads a seed from YAML, strictly: unknown keys, wrong types and
// whatever Validate complains about are errors. file is what the input is
// called in messages.
func LoadSeed(file string, data []byte) (*Seed, error) {
	docs, err := strictyaml.Decode[Seed](file, data)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, fmt.Errorf("%s: want one YAML document, got %d", file, len(docs))
	}
	if err := docs[0].Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return docs[0], nil
}

// YAML gives the seed in the form that LoadSeed reads.
func (s *Seed) YAML() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	return b.Bytes(), nil
}
