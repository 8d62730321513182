package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"reconciler/internal/text"
)

// Age is Dir with each file encrypted to all of the recipients, in age's
// armored form: any of them decrypts it with `age -d -i KEY FILE`.
//
// A recipient is a public key as age-keygen prints it (age1… or age1pq1…), or
// the content of a file of them, one a line, with comments. SSH keys are
// rejected.
func Age(path string, recipients []string) (Sink, error) {
	var keys []age.Recipient
	for i, r := range recipients {
		parsed, err := age.ParseRecipients(strings.NewReader(r))
		if err != nil {
			return nil, badRecipient(i+1, r)
		}
		keys = append(keys, parsed...)
	}
	if len(keys) == 0 {
		return nil, text.WithHint(errors.New("age: no recipients are given"),
			"name the public key (age1…) of whoever is to read the tokens; age-keygen makes one")
	}
	how := ", encrypted to " + text.Plural(len(keys), "age recipient")
	f := newFolder(path, ageExt, how, func(secret string) ([]byte, error) { return encrypt(secret+"\n", keys) })
	// Keys that don't go together fail here, and not when there is a token.
	if _, err := f.seal("trial"); err != nil {
		return nil, text.WithHint(fmt.Errorf("age: the recipients can't be encrypted to: %w", err),
			"name either post-quantum recipients (age1pq1…) or others, not both")
	}
	return f, nil
}

// badRecipient rejects a recipient without quoting it: it may be a private key by
// mistake.
func badRecipient(n int, recipient string) error {
	what, hint := "is no public key", "name a public key as age-keygen prints it (age1…)"
	switch {
	case strings.Contains(strings.ToUpper(recipient), "AGE-SECRET-KEY"):
		what, hint = "is a private key", "take it out of the config at once; age-keygen -y prints the public key (age1…) that belongs there"
	case strings.Contains(recipient, "ssh-"):
		what, hint = "is an SSH key", "SSH keys can't be used: make a key with age-keygen and name its public key (age1…)"
	}
	return text.WithHint(fmt.Errorf("age: recipient %d %s", n, what), hint)
}

// encrypt returns another result each time, for the same text too.
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
