package state

import _ "embed" // for Schema

//go:generate go test . -run ^TestSchemaIsFresh$ -update

// Schema is the JSON Schema (draft 2020-12) of one document of a manifest. It
// must not be changed.
//
// It knows what can be said of a document alone. What needs other documents,
// defaults or the config (unknown names, duplicates, cycles) only Load finds.
//
//go:embed manifest.schema.json
var Schema []byte
