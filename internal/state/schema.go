package state

import _ "embed" // for Schema

//go:generate go test . -run ^(TestSchemaIsFresh|TestKindsInDocsAreFresh|TestConfigurationDoc)$ -update

// Schema is the JSON Schema (draft 2020-12) of one document of a manifest. It
// must not be changed.
//
// It checks a document alone. Mistakes that depend on other documents, defaults
// or the config (unknown names, duplicates, cycles) are only found by Load.
//
//go:embed manifest.schema.json
var Schema []byte
