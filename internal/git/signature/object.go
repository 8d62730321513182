package signature

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object is a git object taken apart.
type object struct {
	// payload is what was signed: the object without its signature. It may be
	// part of what was parsed, and must not be changed.
	payload []byte
	// signature is the armored signature; nil without one.
	signature []byte
	// time is what the object says of its making: the committer's or tagger's
	// time, in seconds of Unix time.
	time time.Time
}

// header is one header with the lines that continue it.
type header struct {
	key string
	// value is without the newline at its end. The lines after the first still
	// have the space that they start with.
	value      string
	start, end int // where it stands in the object
}

// unfolded gives the value without the spaces that its lines after the first
// start with.
func (h header) unfolded() string { return strings.ReplaceAll(h.value, "\n ", "\n") }

// Git's names for the headers that hold signatures: of an object by its SHA-1
// name, and by its SHA-256 name in a repository that is on its way from one to
// the other. Git leaves both out of what was signed, and here it checks the
// first alone: whatever somebody puts into the other, the signature stays good,
// and the object gets another name. So the other is refused.
const (
	sigHeader    = "gpgsig"
	sigHeader256 = "gpgsig-sha256"
)

// parseCommit takes a commit apart as git does when it checks a signature
// (parse_buffer_signed_by_header in git's commit.c): the signature is the
// header gpgsig, and what was signed is the commit without it. Where git is
// lenient, about order and number of headers, this is not.
func parseCommit(raw []byte) (object, error) {
	all, _, err := splitHeaders(raw)
	if err != nil {
		return object{}, err
	}
	if len(all) == 0 || all[0].key != "tree" {
		return object{}, refuse(Malformed, `not a commit: it doesn't begin with "tree"`)
	}
	rest := all[1:]
	names := []string{all[0].value}
	for len(rest) > 0 && rest[0].key == "parent" {
		names = append(names, rest[0].value)
		rest = rest[1:]
	}
	if len(rest) < 2 || rest[0].key != "author" || rest[1].key != "committer" {
		return object{}, refuse(Malformed, "the commit's headers are not tree, parents, author and committer")
	}
	if err := checkNames(names); err != nil {
		return object{}, err
	}
	if _, err := madeAt(rest[0]); err != nil {
		return object{}, err
	}
	o := object{}
	if o.time, err = madeAt(rest[1]); err != nil {
		return object{}, err
	}
	sig, err := signatureHeaders(rest[2:], "tree", "parent", "author", "committer")
	if err != nil {
		return object{}, err
	}
	if sig == nil {
		o.payload = raw
		return o, nil
	}
	o.signature = []byte(sig.unfolded() + "\n")
	o.payload = slices.Concat(raw[:sig.start], raw[sig.end:])
	return o, nil
}

// parseTag takes an annotated tag apart as git does (parse_signature in git's
// gpg-interface.c): the signature is what begins with the last line that looks
// like the begin of one, and all before it was signed.
func parseTag(raw []byte) (object, error) {
	all, body, err := splitHeaders(raw)
	if err != nil {
		return object{}, err
	}
	order := []string{"object", "type", "tag", "tagger"}
	if len(all) < len(order) || !slices.EqualFunc(all[:len(order)], order, func(h header, key string) bool { return h.key == key }) {
		return object{}, refuse(Malformed, "the tag's headers are not object, type, tag and tagger")
	}
	if err := checkNames([]string{all[0].value}); err != nil {
		return object{}, err
	}
	o := object{}
	if o.time, err = madeAt(all[3]); err != nil {
		return object{}, err
	}
	sig, err := signatureHeaders(all[4:], order...)
	if err != nil {
		return object{}, err
	}
	if sig != nil {
		return object{}, refuse(Malformed, "the tag has a header %q, which is for commits", sigHeader)
	}
	at := body + lastSignature(raw[body:])
	o.payload = raw[:at]
	if at < len(raw) {
		o.signature = raw[at:]
	}
	return o, nil
}

// splitHeaders gives the headers, and where the message begins.
func splitHeaders(raw []byte) ([]header, int, error) {
	var all []header
	for at := 0; ; {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 {
			return nil, 0, refuse(Malformed, "it has no blank line after its headers")
		}
		line := raw[at : at+n]
		next := at + n + 1
		key, value, spaced := bytes.Cut(line, []byte(" "))
		switch {
		case len(line) == 0:
			return all, next, nil
		case bytes.IndexByte(line, 0) >= 0:
			return nil, 0, refuse(Malformed, "header %d holds a zero byte", len(all)+1)
		case !spaced:
			return nil, 0, refuse(Malformed, "header %d has no value", len(all)+1)
		case len(key) > 0:
			all = append(all, header{string(key), string(value), at, next})
		case len(all) == 0:
			return nil, 0, refuse(Malformed, "it begins with a space")
		default:
			// The value is made when the last of its lines is known: adding them
			// one by one would take a long time for a long one.
			last := &all[len(all)-1]
			last.end = next
			if next == len(raw) || raw[next] != ' ' {
				last.value = string(raw[last.start+len(last.key)+1 : next-1])
			}
		}
		at = next
	}
}

// signatureHeaders looks at what follows the headers that every object has. It
// gives the one that holds the signature, nil without one, and refuses those of
// the first group, which may be there but once, and what git would take out of
// the payload without looking at it. All others are signed with the rest.
func signatureHeaders(more []header, first ...string) (*header, error) {
	var sig *header
	for i, h := range more {
		switch {
		case slices.Contains(first, h.key):
			return nil, refuse(Malformed, "the header %q is out of place", h.key)
		case h.key == sigHeader:
			if sig != nil {
				return nil, refuse(Malformed, "it has more than one header %q", sigHeader)
			}
			sig = &more[i]
		case h.key == sigHeader256:
			return nil, refuse(Malformed, "it has a header %q, which no signature covers", sigHeader256)
		case strings.HasPrefix(h.key, sigHeader):
			return nil, refuse(Malformed, "it has an unknown header that begins with %q", sigHeader)
		}
	}
	return sig, nil
}

// lastSignature gives where the last line stands that git takes for the begin
// of a signature; the length of the message without one.
func lastSignature(message []byte) int {
	last := len(message)
	for at := 0; at < len(message); {
		if _, ok := format(message[at:]); ok {
			last = at
		}
		n := bytes.IndexByte(message[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	return last
}

var hexName = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkNames wants full SHA-1 names. In a SHA-256 repository gpgsig means
// something else.
func checkNames(names []string) error {
	for _, name := range names {
		if len(name) == 64 {
			return refuse(Unsupported, "it is from a SHA-256 repository, which is not supported")
		}
		if !hexName.MatchString(name) {
			return refuse(Malformed, "it refers to an object by something that is not its name")
		}
	}
	return nil
}

// stamped is a name, an address, a time and a time zone. Git finds the time
// from the right; there must be nothing that another reader could take for it.
var stamped = regexp.MustCompile(`^[^<>\n]*<[^<>\n]*> (0|[1-9][0-9]{0,11}) [+-][0-9]{4}$`)

// lastYear is the end of the year 9999, after which OpenSSH can't write times.
const lastYear = 253402300799

func madeAt(h header) (time.Time, error) {
	m := stamped.FindStringSubmatch(h.value)
	if m == nil {
		return time.Time{}, refuse(Malformed, "its header %q is not a name, an address and a time", h.key)
	}
	seconds, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || seconds > lastYear {
		return time.Time{}, refuse(Malformed, "its header %q has a time after the year 9999", h.key)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
