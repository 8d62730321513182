package config

import (
	"os"
	"regexp"
	"testing"
)

// Every constant is a key of the file.
func TestKeys(t *testing.T) {
	text, err := os.ReadFile("keys.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"aerial.auth": true, "orgs.auth": true, "notify": true}
	new(file).walk(func(fd *field) { known[fd.path] = true })
	keys := regexp.MustCompile(`Key\w+ += "(.+)"`).FindAllSubmatch(text, -1)
	if len(keys) == 0 {
		t.Error("no keys")
	}
	for _, m := range keys {
		if !known[string(m[1])] {
			t.Errorf("there is no key %s", m[1])
		}
	}
}
