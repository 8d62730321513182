package signature

import (
	"cmp"
	"fmt"

	"reconciler/internal/text"
)

// Reason is why a signature was not accepted, in a word that is fit for a
// metric's label.
type Reason string

// The reasons.
const (
	// Unsigned: there is no signature.
	Unsigned Reason = "unsigned"
	// Malformed: the object or its signature can't be read, or could be read in
	// more than one way.
	Malformed Reason = "malformed"
	// Unsupported: a kind of signature that is not checked here, such as X.509.
	Unsupported Reason = "unsupported"
	// UnknownKey: signed by a key that is not among the allowed ones.
	UnknownKey Reason = "unknown_key"
	// BadSignature: the signature doesn't fit: object or signature were changed
	// after signing, or the signature was made for another object.
	BadSignature Reason = "bad_signature"
	// WrongNamespace: an SSH signature that was made for something else than
	// git, or by a key that is not allowed to sign for git.
	WrongNamespace Reason = "wrong_namespace"
	// NotYetValid: the key's time had not come, at one of the two times.
	NotYetValid Reason = "not_yet_valid"
	// Expired: the key's or the signature's time was over, at one of the two
	// times.
	Expired Reason = "expired"
	// Revoked: the key was revoked by its owner.
	Revoked Reason = "revoked"
	// NotAllowed: the key is known and may not sign this: a certificate for
	// other principals or with conditions, or a key that is not for signing.
	NotAllowed Reason = "not_allowed"
	// Weak: key or hash are too weak to prove anything.
	Weak Reason = "weak"
)

// Reasons gives all reasons, in a fixed order, for whoever counts them.
func Reasons() []Reason {
	return []Reason{
		Unsigned, Malformed, Unsupported, UnknownKey, BadSignature, WrongNamespace,
		NotYetValid, Expired, Revoked, NotAllowed, Weak,
	}
}

// Error is a signature that was not accepted. It is one line that starts in the
// middle of a sentence, so that the caller can put the object's name in front.
type Error struct {
	// Reason is never empty.
	Reason Reason
	msg    string
	hint   string // in place of the reason's
}

// Error says what is wrong.
func (e *Error) Error() string { return e.msg }

// Hint says what to do about it.
func (e *Error) Hint() string { return cmp.Or(e.hint, hints[e.Reason]) }

var hints = map[Reason]string{
	Unsigned:       "sign it: git commit -S, or git config commit.gpgSign true for all that follow",
	Malformed:      "it was not written by git as it should be: make and sign it anew",
	Unsupported:    "sign with an SSH or an OpenPGP key: git config gpg.format ssh",
	UnknownKey:     "if the signer is to be trusted, add the public key to the file of allowed keys",
	BadSignature:   "don't trust it: find out who changed it, and have it signed anew",
	WrongNamespace: `sign with git itself (ssh-keygen -Y sign needs -n git), and allow "git" in namespaces="…" of the key's line`,
	NotYetValid:    "check the clock of whoever signed it and of this machine, and from when on the key is valid",
	Expired:        "have it signed by a valid key, or extend the key and put it into the file of allowed keys again",
	Revoked:        "have it signed by another key",
	NotAllowed:     "have it signed by a key that is made for it",
	Weak:           "sign with a strong key: ssh-keygen -t ed25519; for OpenPGP with SHA-256 or better",
}

func refuse(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, msg: fmt.Sprintf(format, args...)}
}

// fileError is a mistake in a file of keys.
type fileError struct{ msg, hint string }

// Error gives FILE:LINE:COL: and what is wrong there.
func (e *fileError) Error() string { return e.msg }

// Hint says what to do about it.
func (e *fileError) Hint() string { return e.hint }

// clean makes words of a stranger fit for one line: printable, and cut where
// they get long.
func clean(s string) string { return text.OneLine(s, 200) }
