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
	payload   []byte
	signature []byte    // armored; nil without one
	time      time.Time // when it claims to be made: the committer's or tagger's time
	hint      string    // what to do if it isn't signed; empty for the usual
}

// The headers that hold signatures: of an object by its SHA-1 name, and by its
// SHA-256 name in a repository that is converted from one to the other. Git leaves
// both out of what was signed and checks only the first: with anything in the
// other, the signature stays good, and the object gets another name. So the other
// is rejected.
const (
	sigHeader    = "gpgsig"
	sigHeader256 = "gpgsig-sha256"
)

// The headers that every commit and tag begins with; of the times the last
// counts. Git finds a time from the right: there must be nothing else that a
// reader could take for it. Times end in the year 5138, before those that
// OpenSSH can't write.
const (
	objectName = ` [0-9a-f]{40}(?:[0-9a-f]{24})?\n`
	stamped    = ` [^<>\n\x00]*<[^<>\n\x00]*> (0|[1-9][0-9]{0,10}) [+-][0-9]{4}\n`
)

var (
	commitHeaders = regexp.MustCompile(`^tree` + objectName + `(?:parent` + objectName + `)*author` + stamped + `committer` + stamped)
	tagHeaders    = regexp.MustCompile(`^object` + objectName + `type [^\n\x00]+\ntag [^\n\x00]+\ntagger` + stamped)
	nameOfSHA256  = regexp.MustCompile(`(?m)^(tree|parent|object) [0-9a-f]{64}$`)
)

// parseCommit takes a commit apart as git does when it checks a signature
// (parse_buffer_signed_by_header in git's commit.c): the signature is the
// header gpgsig, and what was signed is the commit without it. Unlike git, it
// rejects headers out of order and twice.
func parseCommit(raw []byte) (object, error) {
	h, err := parseHeaders(raw, commitHeaders, "tree", "parent", "author", "committer")
	if err != nil {
		return object{}, err
	}
	o := object{payload: raw, time: h.time}
	if h.end > 0 {
		o.signature = []byte(h.signature + "\n")
		o.payload = slices.Concat(raw[:h.start], raw[h.end:])
	}
	return o, nil
}

// parseTag takes an annotated tag apart as git does (parse_signature in git's
// gpg-interface.c): the signature starts with the last line that looks like the
// begin of one, and all before it was signed.
func parseTag(raw []byte) (object, error) {
	h, err := parseHeaders(raw, tagHeaders, "object", "type", "tag", "tagger")
	if err != nil {
		return object{}, err
	}
	if h.end > 0 {
		return object{}, reject(Malformed, "the tag has a header %q, which is for commits", sigHeader)
	}
	o, at := object{payload: raw, time: h.time, hint: "sign it: git tag -s, or git config tag.gpgSign true for all that follow"}, h.body
	for line := range bytes.Lines(raw[at:]) {
		if format(line) != "" {
			o.payload, o.signature = raw[:at], raw[at:]
		}
		at += len(line)
	}
	return o, nil
}

// headers is what matters of an object's headers.
type headers struct {
	time       time.Time
	signature  string
	start, end int // where the header with the signature stands; 0 without one
	body       int // where the message begins
}

// parseHeaders parses the headers of an object, which begins with those that
// first matches. All but the signature are signed, so further ones are accepted,
// except for those of the group and those that git leaves out of the payload
// without checking them.
func parseHeaders(raw []byte, first *regexp.Regexp, group ...string) (*headers, error) {
	head, _, ok := bytes.Cut(raw, []byte("\n\n"))
	if !ok || bytes.IndexByte(head, 0) >= 0 {
		return nil, reject(Malformed, "it has no blank line after its headers, or a zero byte in them")
	}
	// A zero byte marks a line that continues a header.
	text := strings.ReplaceAll(string(head), "\n ", "\x00 ") + "\n"
	m := first.FindStringSubmatch(text)
	if m == nil {
		return nil, reject(Malformed, "it doesn't begin with the headers %s, as git writes them", strings.Join(group, ", "))
	}
	if nameOfSHA256.MatchString(m[0]) {
		return nil, reject(Unsupported, "it is from a SHA-256 repository, which is not supported")
	}
	seconds, err := strconv.ParseInt(m[len(m)-1], 10, 64)
	if err != nil {
		return nil, reject(Malformed, "its time can't be read: %s", err)
	}
	h := &headers{time: time.Unix(seconds, 0).UTC(), body: len(head) + 2}
	at := len(m[0])
	for line := range strings.Lines(text[at:]) {
		key, value, spaced := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch {
		case key == "" || !spaced:
			return nil, reject(Malformed, "it has a header without a name or a value")
		case slices.Contains(group, key):
			return nil, reject(Malformed, "the header %q is out of place", key)
		case key == sigHeader && h.end > 0:
			return nil, reject(Malformed, "it has more than one header %q", sigHeader)
		case key == sigHeader:
			h.signature, h.start, h.end = strings.ReplaceAll(value, "\x00 ", "\n"), at, at+len(line)
		case key == sigHeader256:
			return nil, reject(Malformed, "it has a header %q, which no signature covers", sigHeader256)
		case strings.HasPrefix(key, sigHeader):
			return nil, reject(Malformed, "it has an unknown header that begins with %q", sigHeader)
		}
		at += len(line)
	}
	return h, nil
}
