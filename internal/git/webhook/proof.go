package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// tolerance is how far a signed time may be from the local clock. The
	// specification leaves it open; its libraries use five minutes.
	tolerance = 5 * time.Minute
	// signingPrefix begins a signing token, and minKey is the specified minimum
	// length of its key in bytes.
	signingPrefix = "whsec_"
	minKey        = 24
	// maxID limits the length of a message's id, and maxSignatures the number of
	// signatures that are checked.
	maxID         = 256
	maxSignatures = 16
)

// refusal is why a request is refused: for the log, never for the sender.
type refusal string

const (
	refusedUnsigned  refusal = "it has neither a signature nor a token: set the secret at the git server as well"
	refusedSHA1      refusal = "it is signed with SHA-1 alone, which can't be trusted: the git server must send X-Hub-Signature-256"
	refusedTwice     refusal = "it has a header twice that proves where it comes from"
	refusedMalformed refusal = "its signature is malformed, or empty because the hook at the git server has no secret"
	refusedSignature refusal = "its signature is wrong: the secret here and the one at the git server differ"
	refusedToken     refusal = "its token is wrong: the secret here and the one at GitLab differ"
	refusedPlain     refusal = "it is not signed with a signing token, and the secret here is one (whsec_…)"
	refusedSigned    refusal = "it is signed with a signing token, and the secret here is not one: put the token (whsec_…) into the secret"
	refusedHeaders   refusal = "its webhook-id or webhook-timestamp is missing or malformed"
	refusedTime      refusal = "its time is more than five minutes off: it is a replay, or one of the clocks is wrong"
)

// secret is shared with the sender.
type secret struct {
	text []byte
	// key is that of a signing token; nil when the secret is none.
	key []byte
}

// CheckSecret returns an error, which doesn't contain the secret, if it can't be
// used. With such a secret the handler refuses everything.
func CheckSecret(text []byte) error {
	_, err := parseSecret(text)
	return err
}

// parseSecret returns an error for a secret that is empty or too short.
func parseSecret(text []byte) (secret, error) {
	if len(text) == 0 {
		return secret{}, errors.New("the webhook's secret is empty")
	}
	rest, ok := bytes.CutPrefix(text, []byte(signingPrefix))
	if !ok {
		return secret{text: text}, nil
	}
	key, err := base64.StdEncoding.Strict().DecodeString(string(rest))
	if err != nil || len(key) < minKey {
		return secret{}, errors.New("the webhook's secret begins with whsec_ and is no signing token:" +
			" behind it there must be at least 24 bytes in base64")
	}
	return secret{text: text, key: key}, nil
}

// proofs authenticate the sender of a request.
type proofs struct {
	macs     [][]byte  // of the body; all are to be the same
	token    *string   // GitLab's secret token
	standard *standard // nil when there is no such signature
}

// readProofs returns the proofs among the headers. A malformed one is refused, not
// skipped.
func readProofs(h http.Header) (proofs, refusal) {
	var p proofs
	for _, name := range []string{"X-Hub-Signature-256", "X-Gitea-Signature", "X-Forgejo-Signature"} {
		text, problem := only(h, name)
		if problem != "" {
			return proofs{}, problem
		}
		if text == nil {
			continue
		}
		mac, ok := parseMAC(*text, name == "X-Hub-Signature-256")
		if !ok {
			return proofs{}, refusedMalformed
		}
		p.macs = append(p.macs, mac)
	}
	var problem refusal
	if p.token, problem = only(h, "X-Gitlab-Token"); problem != "" {
		return proofs{}, problem
	}
	if p.standard, problem = readStandard(h); problem != "" {
		return proofs{}, problem
	}
	if len(p.macs) > 0 || p.token != nil || p.standard != nil {
		return p, ""
	}
	if len(h.Values("X-Hub-Signature")) > 0 {
		return proofs{}, refusedSHA1
	}
	return proofs{}, refusedUnsigned
}

// only returns the header's value, or nil when there is none. Two values are
// refused: a proxy may have checked the other one.
func only(h http.Header, name string) (*string, refusal) {
	switch values := h.Values(name); len(values) {
	case 0:
		return nil, ""
	case 1:
		return &values[0], ""
	default:
		return nil, refusedTwice
	}
}

// parseMAC parses an HMAC-SHA256 in hex, which GitHub prefixes with sha256=.
func parseMAC(text string, prefixed bool) ([]byte, bool) {
	if prefixed {
		var ok bool
		if text, ok = strings.CutPrefix(text, "sha256="); !ok {
			return nil, false
		}
	}
	mac, err := hex.DecodeString(text)
	return mac, err == nil && len(mac) == sha256.Size
}

// early checks what can be checked before the body is read. It compares hashes of
// the token, whose fixed length doesn't reveal that of the secret.
func (p *proofs) early(s secret, now time.Time) refusal {
	if s.key != nil {
		if p.standard == nil {
			return refusedPlain
		}
		// A secret token beside it is another secret, which isn't configured here.
		return p.standard.early(now)
	}
	if p.standard != nil {
		return refusedSigned
	}
	if p.token != nil {
		sent, kept := sha256.Sum256([]byte(*p.token)), sha256.Sum256(s.text)
		if subtle.ConstantTimeCompare(sent[:], kept[:]) != 1 {
			return refusedToken
		}
	}
	return ""
}

// late checks the signatures: of the body as it was sent for Standard Webhooks,
// and of the payload for the others.
func (p *proofs) late(s secret, body, payload []byte) refusal {
	for _, sent := range p.macs {
		if !hmac.Equal(sent, sum(s.text, payload)) {
			return refusedSignature
		}
	}
	if p.standard != nil && !p.standard.signed(s.key, body) {
		return refusedSignature
	}
	return ""
}

// sum returns the HMAC-SHA256 of all parts, one after the other.
func sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// standard is a signature of Standard Webhooks.
type standard struct {
	id, stamp string
	at        time.Time
	macs      [][]byte // one must be valid; more are sent while a secret is rotated
}

// readStandard returns nil when the request has no such signature.
func readStandard(h http.Header) (*standard, refusal) {
	signatures, problem := only(h, "webhook-signature")
	if signatures == nil {
		return nil, problem
	}
	id, problem := only(h, "webhook-id")
	if problem != "" {
		return nil, problem
	}
	stamp, problem := only(h, "webhook-timestamp")
	if problem != "" {
		return nil, problem
	}
	// A full stop in the id could be the one before the time.
	if id == nil || *id == "" || len(*id) > maxID || strings.Contains(*id, ".") || stamp == nil {
		return nil, refusedHeaders
	}
	at, ok := parseStamp(*stamp)
	if !ok {
		return nil, refusedHeaders
	}
	macs := parseSignatures(*signatures)
	if len(macs) == 0 {
		return nil, refusedMalformed
	}
	return &standard{id: *id, stamp: *stamp, at: at, macs: macs}, ""
}

// parseStamp parses seconds since 1970.
func parseStamp(text string) (time.Time, bool) {
	const maxDigits = 11
	if text == "" || len(text) > maxDigits || strings.Trim(text, "0123456789") != "" {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// parseSignatures returns those of version 1 (HMAC-SHA256). Other versions, such
// as v1a, may stand beside them and are skipped.
func parseSignatures(text string) [][]byte {
	var macs [][]byte
	for i, field := range strings.Fields(text) {
		if i == maxSignatures {
			break
		}
		encoded, ok := strings.CutPrefix(field, "v1,")
		if !ok {
			continue
		}
		mac, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err == nil && len(mac) == sha256.Size {
			macs = append(macs, mac)
		}
	}
	return macs
}

func (s *standard) early(now time.Time) refusal {
	if d := now.Sub(s.at); d > tolerance || d < -tolerance {
		return refusedTime
	}
	return ""
}

// signed reports whether one of the signatures is valid.
func (s *standard) signed(key, body []byte) bool {
	expected := sum(key, []byte(s.id+"."+s.stamp+"."), body)
	ok := false
	for _, mac := range s.macs {
		ok = hmac.Equal(mac, expected) || ok
	}
	return ok
}
