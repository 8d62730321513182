package tokens

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Age is Dir with each file encrypted to all of the recipients, in age's
// armored form: any of them decrypts it with `age -d -i KEY FILE`.
//
// A recipient is a public key as age-keygen prints it (age1… or age1pq1…), or
// the text of a file of them, one a line, with comments. Keys of SSH are not
// taken.
func Age(path string, recipients []string) (Sink, error) {
	var keys []age.Recipient
	for i, text := range recipients {
		parsed, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, badRecipient(i+1, text)
		}
		keys = append(keys, parsed...)
	}
	if len(keys) == 0 {
		return nil, &Error{msg: "age: no recipients are given", hint: "name the public key (age1…) of whoever is to read the tokens; age-keygen makes one"}
	}
	f := &folder{path: absolute(path), ext: ageExt, sealed: map[[sha256.Size]byte][]byte{}}
	f.how = fmt.Sprintf(", encrypted to %d age recipients", len(keys))
	if len(keys) == 1 {
		f.how = ", encrypted to 1 age recipient"
	}
	f.seal = func(secret string) ([]byte, error) { return encrypt(secret+"\n", keys) }
	// Keys that don't go together fail here, and not when there is a token.
	if _, err := f.seal("trial"); err != nil {
		return nil, &Error{
			msg:  "age: the recipients can't be encrypted to: " + err.Error(),
			hint: "name either post-quantum recipients (age1pq1…) or others, not both",
			err:  err,
		}
	}
	return f, nil
}

// badRecipient tells of a recipient without its text, which may be a private
// key by mistake.
func badRecipient(n int, text string) error {
	e := &Error{
		msg:  fmt.Sprintf("age: recipient %d is no public key", n),
		hint: "name a public key as age-keygen prints it (age1…)",
	}
	switch {
	case strings.Contains(strings.ToUpper(text), "AGE-SECRET-KEY"):
		e.msg = fmt.Sprintf("age: recipient %d is a private key", n)
		e.hint = "take it out of the config at once; age-keygen -y prints the public key (age1…) that belongs there"
	case strings.Contains(text, "ssh-"):
		e.msg = fmt.Sprintf("age: recipient %d is an SSH key", n)
		e.hint = "SSH keys are not taken: make a key with age-keygen and name its public key (age1…)"
	}
	return e
}

// encrypt gives another text each time, for the same text too.
func encrypt(text string, keys []age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	armored := armor.NewWriter(&b)
	w, err := age.Encrypt(armored, keys...)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := armored.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
