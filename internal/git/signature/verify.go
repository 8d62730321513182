package signature

import (
	"fmt"
	"time"

	"reconciler/internal/text"
)

// Keys are those whose signatures are accepted. They don't change once they are
// read, so many goroutines may use them at once. Nil Keys accept none.
type Keys struct {
	ssh []signer
	pgp []*pgpKey
}

// Signer is who signed an object.
type Signer struct {
	// Principal is the owner of the key on one printable line: for SSH a
	// principal of the key's line as it is written there, wildcards and all, or
	// one of a certificate; for OpenPGP the mail address in the key's primary
	// user id, or all of that id, or the fingerprint of a key without any.
	Principal string
	// Key is the fingerprint: "SHA256:…" for SSH, of the certified key in case
	// of a certificate; for OpenPGP that of the primary key in upper case
	// hexadecimal digits, even if a subkey signed.
	Key string
	// Kind is "ssh" or "pgp".
	Kind string
}

// String returns the signer on one line; "nobody" for the zero Signer.
func (s Signer) String() string {
	if s == (Signer{}) {
		return "nobody"
	}
	return text.OneLine(fmt.Sprintf("%s (%s %s)", s.Principal, s.Kind, s.Key), maxText)
}

// Commit returns who signed a commit, given its content: what "git cat-file
// commit" prints, and what the commit's name is the hash of, which the caller
// has to check.
//
// The key must be valid both at the time that the commit claims and at the time
// given, so a commit that is backdated under an expired key is rejected. Pass
// the present, or, for a commit that was accepted before, the time when it was.
// An error is an *Error. Parents are not checked: the signature of a merge
// covers nothing of what it merges.
func (k *Keys) Commit(raw []byte, at time.Time) (Signer, error) {
	return k.check(parseCommit, raw, at)
}

// Tag returns who signed an annotated tag, given its content: what "git cat-file
// tag" prints. All of Commit's comment holds for it too. The signature covers
// the tag's name and the object that it points to; the caller has to compare
// both, or else another good tag could be passed off as this one.
func (k *Keys) Tag(raw []byte, at time.Time) (Signer, error) {
	return k.check(parseTag, raw, at)
}

// maxSignature bounds a signature, in bytes.
const maxSignature = 128 << 10

// check checks the signature of an object. Anybody who can push may have written
// it, and libraries parse it; if one of them panics, that must not end the program.
func (k *Keys) check(parse func([]byte) (object, error), raw []byte, at time.Time) (by Signer, err error) {
	defer func() {
		if v := recover(); v != nil {
			by, err = Signer{}, reject(Malformed, "checking its signature panicked, which is a bug: %v", v)
		}
	}()
	o, err := parse(raw)
	if err != nil {
		return Signer{}, err
	}
	if k == nil {
		k = &Keys{}
	}
	switch typ := format(o.signature); {
	case o.signature == nil:
		return Signer{}, &Error{Reason: Unsigned, msg: "it is not signed", hint: o.hint}
	case len(o.signature) > maxSignature:
		return Signer{}, reject(Malformed, "its signature has %d bytes, more than the limit of %d", len(o.signature), maxSignature)
	case typ == armorSSH:
		return k.checkSSH(o, at)
	case typ == armorPGP:
		return k.checkPGP(o, at)
	case typ == armorX509:
		return Signer{}, reject(Unsupported, "it is signed with an X.509 certificate, which is not supported")
	case typ == armorMessage:
		return Signer{}, reject(Unsupported, "its signature is an OpenPGP message, and not a detached signature")
	}
	return Signer{}, reject(Malformed, "its signature is of no kind that git makes")
}

// times are the two times at which a key must be valid.
type times struct{ claimed, at time.Time }

// each calls f for both and stops at the first error. With each comes a clause
// for the message that states what time it is.
func (t times) each(f func(clause string, t time.Time) *Error) *Error {
	if err := f("it claims to be made at "+stamp(t.claimed), t.claimed); err != nil {
		return err
	}
	return f("it was checked at "+stamp(t.at), t.at)
}

// inTime checks that the time is in the life of the signer's key; until is the
// first second after it.
func inTime(key string, from, until time.Time, clause string, t time.Time) *Error {
	switch {
	case t.Before(from):
		return reject(NotYetValid, "its signer's %s is valid from %s on, and %s", key, stamp(from), clause)
	case !t.Before(until):
		return reject(Expired, "its signer's %s was valid until %s, and %s", key, stamp(until), clause)
	}
	return nil
}

// forever is the end of a life without an end.
var forever = time.Unix(1<<40, 0)

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
