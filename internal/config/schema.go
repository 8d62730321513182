package config

import _ "embed" // for Schema

//go:generate go test . -run ^(TestSchemaIsFresh|TestDocsAreFresh|TestChartSchemaIsFresh)$ -update

// Schema is the JSON Schema (draft 2020-12) of the config file, for editors. It
// must not be changed.
//
// It checks keys, single values, and which keys exclude one another. The rest, such
// as whether a schedule ever comes due, is checked by Load.
//
//go:embed config.schema.json
var Schema []byte
