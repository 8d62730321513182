package tokens

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"

	"filippo.io/age/armor"
)

const (
	plainExt = ".token"
	ageExt   = ".token.age"
	// tempPrefix and tempSuffix are around the name of a file that is not final
	// yet. With a random word, they make it longer by 32 bytes.
	tempPrefix = "."
	tempSuffix = ".tmp"
)

// The longest names that file systems take have 255 bytes.
const (
	maxDomainName = 120
	maxIDName     = 80
)

// baseName is the name of a token's file without its ending. The underscore is
// the first one in it, because there is none in an escaped domain.
func baseName(domain, orgID string) string {
	base := escape(strings.ToLower(domain), "-", maxDomainName)
	if orgID != "" {
		base += "_" + escape(orgID, "-_", maxIDName)
	}
	return base
}

// numbered distinguishes several files for the same org. escape returns no
// tilde.
func numbered(base string, n int) string {
	if n == 1 {
		return base
	}
	return fmt.Sprintf("%s~%d", base, n)
}

// escape writes everything but letters, digits, dots that are inside, and the
// others as %XX, so that the name stays in its folder, is not hidden, and doesn't
// look like an option. A long one is cut and gets a hash, so that it stays unique.
func escape(s, others string, most int) string {
	if s == "" {
		return "%"
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		inside := i > 0
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			inside && (c == '.' || strings.IndexByte(others, c) >= 0):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= most {
		return b.String()
	}
	return fmt.Sprintf("%s%%%x", b.String()[:most-17], sha256.Sum256([]byte(s)))[:most]
}

// parseName reports whether a file holds a token of a domain, and of which org.
func parseName(name, domain string) (orgID string, ok bool) {
	base, ok := strings.CutSuffix(name, ageExt)
	if !ok {
		if base, ok = strings.CutSuffix(name, plainExt); !ok {
			return "", false
		}
	}
	rest, ok := strings.CutPrefix(base, baseName(domain, ""))
	if !ok {
		return "", false
	}
	id, _, _ := strings.Cut(rest, "~")
	if id == "" {
		return "", rest == "" || strings.HasPrefix(rest, "~")
	}
	if id[0] != '_' {
		return "", false // a longer domain
	}
	orgID, err := url.PathUnescape(id[1:])
	if err != nil {
		orgID = id[1:] // cut
	}
	return orgID, true
}

// tempName is the name under which a file is written. It has the final name in
// it.
func tempName(base, ext string) string {
	return tempPrefix + base + ext + "." + rand.Text() + tempSuffix
}

// parseTemp takes a tempName apart.
func parseTemp(name string) (base, ext string, ok bool) {
	name, ok = strings.CutPrefix(name, tempPrefix)
	if !ok {
		return "", "", false
	}
	name, ok = strings.CutSuffix(name, tempSuffix)
	if !ok {
		return "", "", false
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", "", false
	}
	name = name[:dot]
	for _, ext := range []string{ageExt, plainExt} {
		if base, ok := strings.CutSuffix(name, ext); ok {
			return base, ext, true
		}
	}
	return "", "", false
}

// whole reports whether a file was written to its end: both forms end with a mark.
// A loss of power may leave zeros.
func whole(ext string, data []byte) bool {
	if bytes.IndexByte(data, 0) >= 0 || len(data) < 2 {
		return false
	}
	end := "\n"
	if ext == ageExt {
		end = armor.Footer + "\n"
	}
	return bytes.HasSuffix(data, []byte(end))
}
