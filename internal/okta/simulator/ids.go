package simulator

import (
	"crypto/sha256"
	"fmt"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID returns an id in Okta's form: a prefix for its kind, 20 characters in all.
func (s *Simulator) newID(prefix string) string {
	id := []byte(prefix)
	for len(id) < 20 {
		id = append(id, base62[s.random.IntN(len(base62))])
	}
	return string(id)
}

func (s *Simulator) newErrorID() string { return s.newID("oae") }

// newUUID returns a version 4 UUID (RFC 9562).
func (s *Simulator) newUUID() string {
	a, b := s.random.Uint64(), s.random.Uint64()
	a = a&^0xf000 | 0x4000
	b = b&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&(1<<48-1))
}

// userID returns the id of a person, always the same for a login.
func userID(login string) string {
	sum := sha256.Sum256([]byte(login))
	id := []byte("00u")
	for _, b := range sum[:17] {
		id = append(id, base62[int(b)%len(base62)])
	}
	return string(id)
}
