package signature

import (
	"fmt"
	"time"
)

// Keys are those whose signatures are accepted. They don't change once they are
// read, so they may be used by many goroutines at once. Nil Keys accept none.
type Keys struct {
	ssh []signer
	pgp []*pgpKey
}

// Signer is who signed an object.
type Signer struct {
	// Principal is who the key belongs to, by the file of keys: for SSH a
	// principal of the key's line as it is written there, wildcards and all, or
	// one of a certificate; for OpenPGP the mail address in the key's primary
	// user id, the whole of it when there is no address, or the fingerprint of
	// a key without any. It is one printable line.
	Principal string
	// Key is the fingerprint: "SHA256:…" for SSH, of the key that is certified
	// in case of a certificate; for OpenPGP that of the primary key in upper
	// case hexadecimal digits, even when a subkey signed.
	Key string
	// Kind is "ssh" or "pgp".
	Kind string
}

// String gives it for people, on one line; "nobody" for the zero Signer.
func (s Signer) String() string {
	if s == (Signer{}) {
		return "nobody"
	}
	return clean(fmt.Sprintf("%s (%s %s)", s.Principal, s.Kind, s.Key))
}

// Commit says who signed a commit, of which raw is the content: what "git
// cat-file commit" prints, and what the commit's name is the hash of. That it
// is, the caller has to see to.
//
// The key must be valid both at the time that the commit claims and at the time
// given, so a commit that is dated back under an expired key is refused. Give
// the present, or, for the very commit that was accepted before, the time when
// it was. An error is an *Error. Parents are not looked at: a signed merge says
// nothing about what it merges.
func (k *Keys) Commit(raw []byte, at time.Time) (Signer, error) {
	o, err := parseCommit(raw)
	if err != nil {
		return Signer{}, err
	}
	return k.check(o, at)
}

// Tag says who signed an annotated tag, of which raw is the content: what "git
// cat-file tag" prints. All that is said of Commit holds for it too. Who signed
// a tag vouches for the name in it and the object that it points to; the caller
// has to compare both, lest another good tag is passed off as this one.
func (k *Keys) Tag(raw []byte, at time.Time) (Signer, error) {
	o, err := parseTag(raw)
	if err != nil {
		return Signer{}, err
	}
	if o.signature == nil {
		no := refuse(Unsigned, notSigned)
		no.hint = "sign it: git tag -s, or git config tag.gpgSign true for all that follow"
		return Signer{}, no
	}
	return k.check(o, at)
}

const notSigned = "it is not signed"

// maxSignature is more bytes than any signature has that is worth looking at.
const maxSignature = 128 << 10

// check checks the signature. What it looks at was written by whoever can push,
// and much of the looking is done by libraries; should one panic at it, that
// must not end the program.
func (k *Keys) check(o object, at time.Time) (by Signer, err error) {
	defer func() {
		if v := recover(); v != nil {
			by, err = Signer{}, refuse(Malformed, "checking its signature panicked, which is a bug: %s", clean(fmt.Sprint(v)))
		}
	}()
	if o.signature == nil {
		return Signer{}, refuse(Unsigned, notSigned)
	}
	if len(o.signature) > maxSignature {
		return Signer{}, refuse(Malformed, "its signature has %d bytes, and no more than %d are looked at", len(o.signature), maxSignature)
	}
	if k == nil {
		k = &Keys{}
	}
	typ, _ := format(o.signature)
	switch typ {
	case armorSSH:
		return k.checkSSH(o, at)
	case armorPGP:
		return k.checkPGP(o, at)
	case armorX509:
		return Signer{}, refuse(Unsupported, "it is signed with an X.509 certificate, which is not supported")
	case armorMessage:
		return Signer{}, refuse(Unsupported, "its signature is an OpenPGP message, and not a signature by itself")
	default:
		return Signer{}, refuse(Malformed, "its signature is of no kind that git makes")
	}
}

// times are the two times at which a key must be valid.
type times struct{ claimed, at time.Time }

// each calls f for both and stops at the first error. With each comes a clause
// for the message that says what time it is.
func (t times) each(f func(clause string, t time.Time) *Error) *Error {
	if err := f("it says that it was made at "+stamp(t.claimed), t.claimed); err != nil {
		return err
	}
	return f("it was checked at "+stamp(t.at), t.at)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
