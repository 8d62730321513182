package signature

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"reconciler/internal/strictyaml"
)

// maxKeys bounds a file of keys, in bytes.
const maxKeys = 16 << 20

// Parse reads a file of keys. Name is what errors call it. The file holds
//
//   - lines as in OpenSSH's allowed_signers (ssh-keygen(1), ALLOWED SIGNERS)
//     with their options cert-authority, namespaces, valid-after and
//     valid-before; a time without Z is in the zone of this process;
//   - OpenPGP public keys, each block between its BEGIN and END line, as gpg
//     --armor --export writes them;
//   - or nothing but OpenPGP public keys in binary form.
//
// The error is for the first mistake, begins with FILE:LINE:COL: where there is
// a line, never repeats what could be a secret, and has a method Hint() string.
// A file without keys is a mistake, and so is one that holds a secret key.
func Parse(name string, data []byte) (*Keys, error) {
	return parseKeys(name, data, time.Local)
}

// keyFile is a file of keys that is being read.
type keyFile struct {
	name string
	zone *time.Location
	keys Keys
}

func parseKeys(name string, data []byte, zone *time.Location) (k *Keys, err error) {
	defer func() {
		if v := recover(); v != nil {
			k, err = nil, &fileError{name + ": reading the keys panicked: " + clean(fmt.Sprint(v)), "this is a bug: please report it"}
		}
	}()
	f := &keyFile{name: name, zone: zone}
	switch {
	case len(data) > maxKeys:
		return nil, f.fail(0, 0, fmt.Sprintf("a file of keys has at most %d bytes, and this one has %d", maxKeys, len(data)), hintFile)
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")):
		return nil, f.fail(0, 0, "the file is written in UTF-16", "save it as UTF-8")
	case bytes.HasPrefix(data, []byte("\ufeff")):
		return nil, f.fail(1, 1, "the file begins with a byte order mark, which OpenSSH takes for a part of the first principal", "save it as UTF-8 without a byte order mark")
	case !utf8.Valid(data):
		err = f.binary(data)
	default:
		err = f.text(string(data))
	}
	if err != nil {
		return nil, err
	}
	if len(f.keys.ssh)+len(f.keys.pgp) == 0 {
		return nil, f.fail(0, 0, "there is no key in it", hintFile)
	}
	return &f.keys, nil
}

const (
	hintFile = `one line a signer, such as: ada@example.com namespaces="git" ssh-ed25519 AAAA…; or what gpg --armor --export prints`
	hintKey  = "write the key as it stands in the .pub file: its type and its base64"
	hintTime = `write the time as "20270131", "202701311200" or "20270131120000", with a Z at its end for UTC`
	hintPGP  = "export it again: gpg --armor --export ADDRESS"
)

// fail makes an error; line and col are 0 when there is none.
func (f *keyFile) fail(line, col int, what, hint string) error {
	at := f.name
	if line > 0 {
		at = fmt.Sprintf("%s:%d", at, line)
		if col > 0 {
			at = fmt.Sprintf("%s:%d", at, col)
		}
	}
	return &fileError{at + ": " + what, hint}
}

func (f *keyFile) binary(data []byte) error {
	if data[0]&0x80 == 0 {
		if bytes.HasPrefix(data[min(8, len(data)):], []byte("KBXf")) {
			return f.fail(0, 0, "the file is a keybox of GnuPG and not made to be read by others", hintPGP)
		}
		return f.fail(0, 0, "the file is neither text nor a keyring", hintFile)
	}
	return f.pgp(data, 0)
}

func (f *keyFile) pgp(data []byte, line int) error {
	keys, err := readKeys(data)
	if err != nil {
		hint := hintPGP
		if errors.Is(err, errSecret) {
			hint = hintSecret
		}
		return f.fail(line, 0, err.Error(), hint)
	}
	for _, k := range keys {
		// Were one revoked and the other not, which would count?
		if slices.ContainsFunc(f.keys.pgp, func(o *pgpKey) bool { return o.fingerprint() == k.fingerprint() }) {
			return f.fail(line, 0, fmt.Sprintf("OpenPGP key %s is in the file twice", k.fingerprint()), "keep the one that was exported last")
		}
		f.keys.pgp = append(f.keys.pgp, k)
	}
	return nil
}

const hintSecret = "take it out of the file, keep it to yourself, and put the public key there: gpg --armor --export ADDRESS, or the .pub file"

func (f *keyFile) text(text string) error {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " \t\r")
		if strings.HasPrefix(line, "-----BEGIN ") {
			n, err := f.block(lines, i)
			if err != nil {
				return err
			}
			i = n
			continue
		}
		if err := f.line(line, i+1); err != nil {
			return err
		}
	}
	return nil
}

// block reads the armored block that begins at the line with that index, and
// gives the index of its last.
func (f *keyFile) block(lines []string, first int) (int, error) {
	head := strings.TrimRight(lines[first], " \t\r")
	switch {
	case strings.Contains(head, "PRIVATE KEY") || strings.Contains(head, "SECRET KEY"):
		return 0, f.fail(first+1, 1, errSecret.Error(), hintSecret)
	case head != begin(armorKeys):
		return 0, f.fail(first+1, 1, "a block that is not a PGP PUBLIC KEY BLOCK", hintFile)
	}
	for i := first + 1; i < len(lines); i++ {
		if strings.TrimRight(lines[i], " \t\r") != end(armorKeys) {
			continue
		}
		data, err := dearmor(strings.Join(lines[first:i+1], "\n"), armorKeys)
		if err != nil {
			return 0, f.fail(first+1, 0, "the block can't be read: "+err.Error(), hintPGP)
		}
		return i, f.pgp(data, first+1)
	}
	return 0, f.fail(first+1, 1, "the block has no END line", hintPGP)
}

// line reads one line: principals, options if any, key, and a comment if any.
func (f *keyFile) line(line string, n int) error {
	text := strings.TrimLeft(line, " \t\r")
	if text == "" || text[0] == '#' {
		return nil
	}
	col := func(rest string) int { return utf8.RuneCountInString(line[:len(line)-len(rest)]) + 1 }
	var s signer
	rest, err := s.readPrincipals(text)
	if err != nil {
		return f.fail(n, col(text), err.Error(), hintFile)
	}
	word, _ := cutField(rest)
	if word != "" && !slices.Contains(keyTypes, word) {
		after, at, problem := f.options(&s, rest)
		if problem != nil {
			return f.fail(n, col(at), problem.msg, problem.hint)
		}
		rest = after
	}
	if rest == "" {
		return f.fail(n, 0, "the line has no key", hintFile)
	}
	if err := s.readKey(rest); err != nil {
		return f.fail(n, col(rest), err.Error(), hintKey)
	}
	f.keys.ssh = append(f.keys.ssh, s)
	return nil
}

// cutField gives the first field and what follows it.
func cutField(s string) (field, rest string) {
	i := strings.IndexAny(s, " \t\r")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t\r")
}

// readPrincipals reads the first field, which is in quotes when a principal
// holds a space, and gives the rest of the line.
func (s *signer) readPrincipals(text string) (string, error) {
	list, rest := cutField(text)
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		var closed bool
		list, rest, closed = strings.Cut(quoted, `"`)
		if !closed {
			return "", fmt.Errorf("the quote of the principals is not closed")
		}
		if rest != "" && !strings.ContainsAny(rest[:1], " \t\r") {
			return "", fmt.Errorf("there is no space after the principals' closing quote")
		}
		rest = strings.TrimLeft(rest, " \t\r")
	}
	switch {
	case slices.Contains(keyTypes, list):
		return "", fmt.Errorf("the line begins with a key, and not with the principals whom it belongs to")
	case strings.Contains(list, `"`):
		return "", fmt.Errorf("a quote in the middle of the principals")
	}
	s.principals = strings.Split(list, ",")
	for _, p := range s.principals {
		switch {
		case p == "" || p == "!":
			return "", fmt.Errorf("an empty principal")
		case p != clean(p):
			return "", fmt.Errorf("a principal is too long, or holds what can't be printed")
		}
	}
	if firstPrincipal(s.principals) == "" {
		return "", fmt.Errorf("the line allows nobody: it excludes each principal that it lists")
	}
	return rest, nil
}

// typeDSA is known only to be refused.
const typeDSA = "ssh-dss"

// keyTypes are the types of keys that can sign.
var keyTypes = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoRSA, typeDSA,
}

// readKey reads type and base64. What follows is a comment. The text is not
// repeated in errors.
func (s *signer) readKey(text string) error {
	typ, rest := cutField(text)
	if !slices.Contains(keyTypes, typ) {
		if strings.Contains(typ, "-cert-v01@") {
			return fmt.Errorf("a certificate stands where a key is needed: write the key of its authority, with the option cert-authority")
		}
		return fmt.Errorf("there is no key of a known type here")
	}
	encoded, _ := cutField(rest)
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || encoded == "" {
		return fmt.Errorf("the key is not base64")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return fmt.Errorf("the key can't be read")
	}
	if key.Type() != typ {
		return fmt.Errorf("the key is of type %q, and the line says %q", clean(key.Type()), typ)
	}
	if weak := weakness(key); weak != "" {
		return fmt.Errorf("%s is too weak", weak)
	}
	s.key = key
	return nil
}

// The options, as ssh-keygen(1) names them.
const (
	optCA         = "cert-authority"
	optNamespaces = "namespaces"
	optAfter      = "valid-after"
	optBefore     = "valid-before"
)

var optionNames = []string{optCA, optNamespaces, optAfter, optBefore}

// options reads the options that text begins with and gives what follows them.
// With a problem it gives where that is, too: a tail of text.
func (f *keyFile) options(s *signer, text string) (rest, at string, problem *fileError) {
	seen := map[string]bool{}
	for {
		at = text
		name, quoted, after, problem := cutOption(text)
		if problem != nil {
			return "", at, problem
		}
		if seen[name] {
			return "", at, &fileError{fmt.Sprintf("option %q is there twice", name), "write it once; namespaces take a list: namespaces=\"git,file\""}
		}
		seen[name] = true
		if problem := f.option(s, name, quoted); problem != nil {
			return "", at, problem
		}
		if !strings.HasPrefix(after, ",") {
			rest = strings.TrimLeft(after, " \t\r")
			break
		}
		text = after[1:]
	}
	if !s.after.IsZero() && !s.before.IsZero() && !s.before.After(s.after) {
		return "", text, &fileError{"valid-before is not after valid-after", hintTime}
	}
	return rest, "", nil
}

// cutOption cuts the first option off: its name in lower case, its value still
// in quotes or empty, and what follows it.
func cutOption(text string) (name, quoted, rest string, problem *fileError) {
	n := strings.IndexAny(text, "=, \t\r")
	if n < 0 {
		n = len(text)
	}
	name, rest = strings.ToLower(text[:n]), text[n:]
	if !slices.Contains(optionNames, name) {
		return "", "", "", unknownOption(text[:n])
	}
	value, assigned := strings.CutPrefix(rest, "=")
	if assigned == (name == optCA) {
		if assigned {
			return "", "", "", &fileError{fmt.Sprintf("option %q takes no value", name), "write it without ="}
		}
		return "", "", "", &fileError{fmt.Sprintf("option %q needs a value", name), fmt.Sprintf(`write %s="…"`, name)}
	}
	if assigned {
		if !strings.HasPrefix(value, `"`) {
			return "", "", "", &fileError{fmt.Sprintf("the value of option %q is not in double quotes", name), fmt.Sprintf(`write %s="…"`, name)}
		}
		end := closingQuote(value)
		if end < 0 {
			return "", "", "", &fileError{fmt.Sprintf("the quote of option %q is not closed", name), fmt.Sprintf(`write %s="…"`, name)}
		}
		quoted, rest = value[:end+1], value[end+1:]
	}
	if rest != "" && !strings.ContainsAny(rest[:1], ", \t\r") {
		return "", "", "", &fileError{fmt.Sprintf("there is neither a comma nor a space after option %q", name), "separate options by commas, and write a space before the key"}
	}
	return name, quoted, rest, nil
}

// closingQuote gives where the quote closes that s begins with; -1 when it
// doesn't. A quote behind a backslash doesn't close it.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		case s[i] == '"':
			return i
		}
	}
	return -1
}

// sayable is what can be repeated in an error without giving a secret away.
var sayable = regexp.MustCompile(`^[a-z-]{1,24}$`)

// unknownOption says what it is that stands for an option's name.
func unknownOption(name string) *fileError {
	hint := "the options are " + strings.Join(optionNames, ", ") + "; they stand between principals and key, separated by commas alone"
	near := strictyaml.DidYouMean(strings.ToLower(name), append(slices.Clone(optionNames), keyTypes...))
	switch {
	case name == "":
		return &fileError{"an empty option", hint}
	case strings.Contains(name, "-cert-v01@"):
		return &fileError{"a certificate stands where a key is needed", "write the key of its authority, with the option cert-authority"}
	case near == "" && !sayable.MatchString(name):
		return &fileError{"neither an option nor the type of a key", hint}
	}
	return &fileError{fmt.Sprintf("unknown option %q", name) + near, hint}
}

func (f *keyFile) option(s *signer, name, quoted string) *fileError {
	if name == optCA {
		s.ca = true
		return nil
	}
	value := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if name == optNamespaces {
		s.namespaces = strings.Split(value, ",")
		for _, p := range s.namespaces {
			if p == "" || p == "!" || p != strings.TrimSpace(p) {
				return &fileError{"an empty namespace, or one with a space beside it", `write namespaces="git", or namespaces="git,file"`}
			}
		}
		return nil
	}
	t, ok := f.time(value)
	if !ok {
		return &fileError{fmt.Sprintf("the value of option %q is not a time after 1970", name), hintTime}
	}
	if name == optAfter {
		s.after = t
	} else {
		s.before = t
	}
	return nil
}

// time reads a time as ssh-keygen(1) describes it.
func (f *keyFile) time(value string) (time.Time, bool) {
	digits, zone := value, f.zone
	if n := len(value); n > 1 && (value[n-1] == 'Z' || value[n-1] == 'z') {
		digits, zone = value[:n-1], time.UTC
	} else if n > 3 && strings.EqualFold(value[n-3:], "UTC") {
		digits, zone = value[:n-3], time.UTC
	}
	layouts := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}
	t, err := time.ParseInLocation(layouts[len(digits)], digits, zone)
	return t, err == nil && digits != "" && t.Unix() > 0
}
