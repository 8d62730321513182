package signature

import (
	"cmp"
	"fmt"

	"reconciler/internal/text"
)

// Reason is why a signature was rejected, as the value of a metric's label.
type Reason string

// The reasons. A key must be valid at two times; see the package's comment.
const (
	Unsigned       Reason = "unsigned"        // there is no signature
	Malformed      Reason = "malformed"       // object or signature can't be read, or in more than one way
	Unsupported    Reason = "unsupported"     // a kind of signature that is not checked here, such as X.509
	UnknownKey     Reason = "unknown_key"     // the key is not among the allowed ones
	BadSignature   Reason = "bad_signature"   // the signature is not by the key, or is over another object
	WrongNamespace Reason = "wrong_namespace" // an SSH signature or key that is not for git
	NotYetValid    Reason = "not_yet_valid"   // the key was not valid yet
	Expired        Reason = "expired"         // the key or the signature had expired
	Revoked        Reason = "revoked"         // the key's owner revoked it
	NotAllowed     Reason = "not_allowed"     // a certificate for others or with conditions, or a key not for signing
	Weak           Reason = "weak"            // key or hash are too weak to prove anything
)

// Reasons returns all reasons in a fixed order.
func Reasons() []Reason {
	return []Reason{
		Unsigned, Malformed, Unsupported, UnknownKey, BadSignature, WrongNamespace,
		NotYetValid, Expired, Revoked, NotAllowed, Weak,
	}
}

// Error is why an object was rejected: one line that starts in the middle of a
// sentence, so that the caller can put the object's name in front.
type Error struct {
	// Reason is never empty.
	Reason Reason
	msg    string
	hint   string // in place of the reason's
}

// Error returns what is wrong.
func (e *Error) Error() string { return e.msg }

// Hint returns what to do about it.
func (e *Error) Hint() string { return cmp.Or(e.hint, hints[e.Reason]) }

var hints = map[Reason]string{
	Unsigned:       "sign it: git commit -S, or git config commit.gpgSign true for all that follow",
	Malformed:      "it was not written by git as it should be: make and sign it anew",
	Unsupported:    "sign with an SSH or an OpenPGP key: git config gpg.format ssh",
	UnknownKey:     "if the signer is to be trusted, add the public key to the file of allowed keys",
	BadSignature:   "don't trust it: find out who changed it, and have it signed anew",
	WrongNamespace: `sign with git itself (ssh-keygen -Y sign needs -n git), and allow "git" in namespaces="…" of the key's line`,
	NotYetValid:    "check the clocks of the signer and of this machine, and from when on the key is valid",
	Expired:        "have it signed by a valid key, or extend the key and put it into the file of allowed keys again",
	Revoked:        "have it signed by another key",
	NotAllowed:     "have it signed by a key that is made for it",
	Weak:           "sign with a strong key: ssh-keygen -t ed25519; for OpenPGP with SHA-256 or better",
}

// maxText is how many characters of a name in foreign text are kept, maxMessage
// how many of a message.
const (
	maxText    = 200
	maxMessage = 500
)

func reject(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, msg: text.OneLine(fmt.Sprintf(format, args...), maxMessage)}
}
