package strictyaml

import (
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// plainText matches texts whose characters need no quotes. It is much narrower
// than YAML.
var plainText = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._/@-]*[A-Za-z0-9._/@-])?$`)

// Scalar returns s as a YAML scalar that every YAML parser reads as the string
// s: without quotes where that is safe, otherwise in double quotes, always on one
// line. s must be UTF-8.
func Scalar(s string) string {
	if !plainText.MatchString(s) {
		return strconv.Quote(s)
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off": // booleans to YAML 1.1
		return strconv.Quote(s)
	}
	n := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	if n.ShortTag() != "!!str" {
		return strconv.Quote(s)
	}
	return s
}
