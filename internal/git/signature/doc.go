// Package signature verifies the signatures of git commits and annotated tags.
//
// Git keeps a signature inside the object that it signs: in the header "gpgsig"
// of a commit, at the end of a tag's message. A check removes it exactly as git
// does, verifies it over what remains, and checks that the key may sign. An object
// that two programs could read in two ways is malformed, however good its
// signature.
//
// Keys come from one file that holds lines of OpenSSH's allowed_signers
// (ssh-keygen(1), ALLOWED SIGNERS), OpenPGP public keys, or both. All keys in
// the file are trusted: there is no web of trust, and as in git the addresses of
// author and committer are not compared with the signer's.
//
// # Time
//
// The author of an object writes its time. If a key had to be valid only then, the
// thief of an expired key could backdate what they sign. So a key must be valid at
// two times: the one that the object claims (the committer's, the tagger's, or
// that in an OpenPGP signature), and one that the caller passes: the present, or
// the time when the commit was first accepted.
//
// # Stricter than git
//
// What is accepted here, git accepts with the same keys at the same time, with
// two exceptions: GnuPG doesn't know the keys of RFC 9580, and of several lines
// with one SSH key git uses only the namespaces of the first.
//
// The reverse doesn't hold. Rejected are X.509 signatures, objects of SHA-256
// repositories and of those on their way there (a header gpgsig-sha256, which no
// signature covers), objects with headers out of order or twice, several
// signatures on one object, RSA keys under 2048 bits, DSA keys, OpenPGP keys on
// the curve secp256k1, SHA-1 as the hash of a signature, OpenPGP signatures over
// text, signatures of a security key that nobody touched, SSH certificates with
// critical options, and a keys file with anything that can't be read and may
// matter, which OpenSSH and GnuPG would skip. SHA-1 is accepted in the
// signatures of an OpenPGP key's owner on that key: it comes from the keys file.
//
// There is no list of revoked SSH keys: take the line out of the file.
package signature
