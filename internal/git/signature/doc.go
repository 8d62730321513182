// Package signature says who signed a git object, or why nobody did whom we trust.
//
// Git keeps a signature inside the object that it signs: in the header "gpgsig"
// of a commit, at the end of a tag's message. What is signed is the object
// without it. So a check has three parts: take the object apart exactly as git
// does, check the signature over what remains, and ask whether the key that
// made it may sign, now and when it did. Each part refuses what it doesn't
// understand: an object that two programs could read in two ways is malformed
// here, however good its signature.
//
// Keys come from one file that holds lines of OpenSSH's allowed_signers
// (ssh-keygen(1), ALLOWED SIGNERS), OpenPGP public keys, or both. Being in the
// file is all the trust there is: there is no web of trust, and the addresses
// of author and committer are not compared with the signer's, just as git
// doesn't.
//
// # Time
//
// The time in an object is written by whoever made it. If a key had to be valid
// only then, the thief of an expired key could sign what was made last year. So
// a key must be valid at two times: the one that the object claims (the
// committer's, the tagger's, or that in an OpenPGP signature), and one that the
// caller gives. The caller gives the present, or, for a commit that it once
// accepted, the time when it did.
//
// # Stricter than git
//
// What is accepted here, git accepts with the same keys at the same time, with
// two exceptions: GnuPG doesn't know the keys of RFC 9580, and of several lines
// with one SSH key git asks only the first whether it allows signatures for git.
//
// The reverse doesn't hold. Refused are X.509 signatures, objects of SHA-256
// repositories and of those on their way there (a header gpgsig-sha256, which no
// signature covers), objects with headers out of order or twice, several
// signatures on one object, RSA keys under 2048 bits, DSA keys, SHA-1 as the
// hash of a signature, OpenPGP signatures over text, signatures of a security
// key that nobody touched, SSH certificates with critical options, and a keys
// file with any line that can't be read, where OpenSSH would pass over it. SHA-1
// is let pass in what the owner of an OpenPGP key says about it, because that
// comes from the keys file.
//
// There is no list of revoked SSH keys: take the line out of the file.
package signature
