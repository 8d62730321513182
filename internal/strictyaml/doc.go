// Package strictyaml decodes handwritten YAML into Go structs. Unknown keys,
// duplicate keys, nulls and wrong types are errors; all of them are collected,
// each with its position in the file.
//
// It is the only package that imports gopkg.in/yaml.v3, and guards against its
// traps: panics on odd merge keys, empty input without an error, aliases that
// expand exponentially.
package strictyaml
