// Package strictyaml reads YAML that people write by hand into Go structs and
// lets nothing slip: unknown keys, duplicate keys, nulls and wrong types are
// errors, all of them are collected, and each has a place in the file.
//
// It is the only package that touches gopkg.in/yaml.v3, whose traps (panics on
// odd merge keys, silent empty input, aliases that explode) end here.
package strictyaml
