package web

import (
	"regexp"
	"testing"
	"time"
)

func TestNewRunID(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 15, 0, 0, time.FixedZone("", 3600))
	form := regexp.MustCompile(`^20261121T091500Z-[a-z2-7]{6}$`)
	seen := map[string]bool{}
	for range 100 {
		id := NewRunID(at)
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("id %q is malformed or was given before", id)
		}
		seen[id] = true
	}
}
