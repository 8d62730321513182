package tokens

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"filippo.io/age/armor"
)

const (
	plainExt = ".token"
	ageExt   = ".token.age"
)

// The longest names that file systems take have 255 bytes, and tempName adds 32.
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
	base, _, ok := cutExt(name)
	if !ok {
		return "", false
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

// cutExt takes the ending off a file's name.
func cutExt(name string) (base, ext string, ok bool) {
	for _, ext := range []string{ageExt, plainExt} {
		if base, ok := strings.CutSuffix(name, ext); ok {
			return base, ext, true
		}
	}
	return "", "", false
}

// tempName is the name under which a file is written. It has the final name in
// it.
func tempName(base, ext string) string {
	return "." + base + ext + "." + rand.Text() + ".tmp"
}

var tempNames = regexp.MustCompile(`^\.(.+)\.[^.]+\.tmp$`)

// parseTemp takes a tempName apart.
func parseTemp(name string) (base, ext string, ok bool) {
	m := tempNames.FindStringSubmatch(name)
	if m == nil {
		return "", "", false
	}
	return cutExt(m[1])
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
