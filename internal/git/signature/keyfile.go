package signature

import (
	"bytes"
	"cmp"
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
	"reconciler/internal/text"
)

// maxKeys bounds a file of keys, in bytes.
const maxKeys = 16 << 20

// Parse reads a file of keys, which errors call by the name. The file holds
//
//   - lines as in OpenSSH's allowed_signers (ssh-keygen(1), ALLOWED SIGNERS)
//     with their options cert-authority, namespaces, valid-after and
//     valid-before; a time without Z is in the zone of this process;
//   - OpenPGP public keys, each block between its BEGIN and END line, as gpg
//     --armor --export writes them;
//   - or nothing but OpenPGP public keys in binary form.
//
// The error is for the first mistake, begins with FILE:LINE:COL: if there is a
// line, never repeats what could be a secret, and has a hint (text.Hint). A file
// without keys is a mistake, and so is one that holds a secret key.
func Parse(name string, data []byte) (*Keys, error) {
	return parseKeys(name, data, time.Local)
}

// keyFile is a file of keys that is being read.
type keyFile struct {
	zone *time.Location
	keys Keys

	number int    // of the line; 0 where there are no lines
	line   string // being read
	rest   string // of the line, from where a mistake would be; empty for all of it
}

func parseKeys(name string, data []byte, zone *time.Location) (k *Keys, err error) {
	f := &keyFile{zone: zone}
	defer func() {
		if v := recover(); v != nil {
			err = mistake("this is a bug: please report it", "reading the keys panicked: %s", text.OneLine(fmt.Sprint(v), maxText))
		}
		if err != nil {
			k, err = nil, f.locate(name, err)
		}
	}()
	size := len(data)
	data, err = text.Decode(data)
	valid := utf8.Valid(data)
	switch {
	case size > maxKeys:
		return nil, mistake(hintFile, "a file of keys has at most %d bytes, and this one has %d", maxKeys, size)
	case err != nil:
		return nil, mistake("save it as UTF-8", "the file is written in UTF-16")
	case !valid && bytes.HasPrefix(data[min(8, len(data)):], []byte("KBXf")):
		return nil, mistake(hintPGP, "the file is a keybox of GnuPG, which only GnuPG reads")
	case !valid && data[0]&0x80 == 0:
		return nil, mistake(hintFile, "the file is neither text nor a keyring")
	case valid:
		err = f.readText(string(data))
	default:
		err = f.readPGP(data)
	}
	if err == nil && len(f.keys.ssh)+len(f.keys.pgp) == 0 {
		err = mistake(hintFile, "there is no key in it")
	}
	return &f.keys, err
}

const (
	hintFile    = `one line a signer, such as: ada@example.com namespaces="git" ssh-ed25519 AAAA…; or what gpg --armor --export prints`
	hintKey     = "write the key as it stands in the .pub file: its type and its base64"
	hintOptions = `the options stand between principals and key, each once, separated by commas alone: cert-authority,namespaces="git,file",valid-after="20270131",valid-before="20280131"`
	hintTime    = `write the time as "20270131", "202701311200" or "20270131120000", with a Z at its end for UTC`
	hintPGP     = "export it again: gpg --armor --export ADDRESS"
	hintSecret  = "take it out of the file, keep it to yourself, and put the public key there: gpg --armor --export ADDRESS, or the .pub file"
)

func mistake(hint, format string, args ...any) error {
	return text.WithHint(fmt.Errorf(format, args...), hint)
}

func (f *keyFile) enter(number int, line string) { f.number, f.line, f.rest = number, line, line }

// locate returns the mistake with where it is.
func (f *keyFile) locate(name string, err error) error {
	if f.number > 0 {
		name = fmt.Sprintf("%s:%d", name, f.number)
	}
	if f.rest != "" {
		name = fmt.Sprintf("%s:%d", name, utf8.RuneCountInString(strings.TrimSuffix(f.line, f.rest))+1)
	}
	return text.WithHint(fmt.Errorf("%s: %w", name, err), text.Hint(err))
}

func (f *keyFile) readPGP(data []byte) error {
	keys, err := readKeys(data)
	if err != nil {
		return text.WithHint(err, cmp.Or(text.Hint(err), hintPGP))
	}
	for _, k := range keys {
		// One of them may be revoked and the other not.
		if slices.ContainsFunc(f.keys.pgp, func(o *pgpKey) bool { return o.fingerprint() == k.fingerprint() }) {
			return mistake("keep the one that was exported last", "OpenPGP key %s is in the file twice", k.fingerprint())
		}
		f.keys.pgp = append(f.keys.pgp, k)
	}
	return nil
}

func (f *keyFile) readText(content string) error {
	lines := strings.Split(content, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], blanks)
	}
	for i := 0; i < len(lines); i++ {
		f.enter(i+1, lines[i])
		n, err := 1, error(nil)
		if strings.HasPrefix(f.line, "-----BEGIN ") {
			n, err = f.readBlock(lines[i:])
		} else {
			err = f.readLine()
		}
		if err != nil {
			return err
		}
		i += n - 1
	}
	f.enter(0, "")
	return nil
}

// readBlock reads the armored block that the lines begin with, and returns how
// many lines it has.
func (f *keyFile) readBlock(lines []string) (int, error) {
	last := slices.Index(lines, end(armorKeys))
	switch {
	case strings.Contains(f.line, "PRIVATE KEY") || strings.Contains(f.line, "SECRET KEY"):
		return 0, errSecret
	case f.line != begin(armorKeys):
		return 0, mistake(hintFile, "a block that is not a PGP PUBLIC KEY BLOCK")
	case last < 0:
		return 0, mistake(hintPGP, "the block has no END line")
	}
	f.rest = ""
	data, err := dearmor(strings.Join(lines[:last+1], "\n"), armorKeys)
	if err != nil {
		return 0, mistake(hintPGP, "the block can't be read: %w", err)
	}
	return last + 1, f.readPGP(data)
}

// readLine reads one line: principals, options if any, key, and a comment if
// any.
func (f *keyFile) readLine() error {
	f.rest = strings.TrimLeft(f.line, blanks)
	if f.rest == "" || f.rest[0] == '#' {
		return nil
	}
	var s signer
	for _, read := range []func(*signer) error{f.readPrincipals, f.readOptions, f.readKey} {
		if err := read(&s); err != nil {
			return err
		}
	}
	f.keys.ssh = append(f.keys.ssh, s)
	return nil
}

const blanks = " \t\r"

// cutField returns the first field and what follows it.
func cutField(s string) (field, rest string) {
	i := strings.IndexAny(s+" ", blanks)
	return s[:i], strings.TrimLeft(s[i:], blanks)
}

// principalsField is the first field of a line, which is in quotes if a
// principal holds a space, and what separates it from the next.
var principalsField = regexp.MustCompile(`^(?:"([^"]*)"|([^" \t\r]*))(?:[ \t\r]+|$)`)

func (f *keyFile) readPrincipals(s *signer) error {
	m := principalsField.FindStringSubmatch(f.rest)
	if m == nil {
		return mistake(hintFile, "the principals have a quote in the middle, an unclosed one, or one without a space behind it")
	}
	list := m[1] + m[2]
	if slices.Contains(keyTypes, list) {
		return mistake(hintFile, "the line begins with a key, and not with the principals that it belongs to")
	}
	s.principals = strings.Split(list, ",")
	for _, p := range s.principals {
		switch {
		case p == "" || p == "!":
			return mistake(hintFile, "an empty principal")
		case p != text.OneLine(p, maxText):
			return mistake(hintFile, "a principal is too long, or holds what can't be printed")
		}
	}
	if firstPrincipal(s.principals) == "" {
		return mistake(hintFile, "the line excludes each principal that it lists")
	}
	f.rest = f.rest[len(m[0]):]
	return nil
}

// typeDSA is known only to be rejected.
const typeDSA = "ssh-dss"

// keyTypes are the types of keys that can sign.
var keyTypes = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoRSA, typeDSA,
}

var errCertificate = text.WithHint(
	errors.New("a certificate stands where a key is needed"), "write the key of its authority, with the option cert-authority")

// readKey reads type and base64. What follows is a comment. Errors repeat
// nothing of it.
func (f *keyFile) readKey(s *signer) error {
	typ, blob := cutField(f.rest)
	blob, _ = cutField(blob)
	switch {
	case typ == "":
		return mistake(hintFile, "the line has no key")
	case strings.Contains(typ, certificateType):
		return errCertificate
	case !slices.Contains(keyTypes, typ):
		return mistake(hintKey, "there is no key of a known type here")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(typ + " " + blob))
	if errors.As(err, new(base64.CorruptInputError)) {
		return mistake(hintKey, "the key is not base64")
	}
	// Unlike OpenSSH, the library ignores spare bits at the end of base64.
	if err != nil || string(ssh.MarshalAuthorizedKey(key)) != typ+" "+blob+"\n" {
		return mistake(hintKey, "the key can't be read")
	}
	if weak := weakness(key); weak != "" {
		return mistake(hintKey, "%s is too weak", weak)
	}
	s.key = key
	return nil
}

// certificateType is a part of the types of certificates.
const certificateType = "-cert-v01@"

// The options, as ssh-keygen(1) names them.
const (
	optCA         = "cert-authority"
	optNamespaces = "namespaces"
	optAfter      = "valid-after"
	optBefore     = "valid-before"
)

var optionNames = []string{optCA, optNamespaces, optAfter, optBefore}

// optionSyntax is an option and what separates it from the next or from the key:
// its name, and with = a value in quotes. A quote behind a backslash doesn't
// close it.
var optionSyntax = regexp.MustCompile(`^([^=, \t\r]*)(="((?:[^"\\]|\\+[^\\])*)")?(,|[ \t\r]+|$)?`)

func (f *keyFile) readOptions(s *signer) error {
	if word, _ := cutField(f.rest); word == "" || slices.Contains(keyTypes, word) {
		return nil
	}
	var seen []string
	for more := true; more; {
		m := optionSyntax.FindStringSubmatch(f.rest)
		name, rest := strings.ToLower(m[1]), f.rest[len(m[0]):]
		var err error
		switch {
		case !slices.Contains(optionNames, name):
			err = unknownOption(m[1])
		case slices.Contains(seen, name):
			err = mistake(hintOptions, "option %q is there twice", name)
		case (name == optCA) != (m[2] == "") || m[4] == "" && rest != "":
			err = mistake(hintOptions, "option %q is not written as it should be", name)
		default:
			err = s.setOption(name, strings.ReplaceAll(m[3], `\"`, `"`), f.zone)
		}
		if err != nil {
			return err
		}
		seen, more, f.rest = append(seen, name), m[4] == ",", rest
	}
	return nil
}

func (s *signer) setOption(name, value string, zone *time.Location) (err error) {
	switch name {
	case optCA:
		s.ca = true
	case optNamespaces:
		s.namespaces = strings.Split(value, ",")
		if slices.ContainsFunc(s.namespaces, func(n string) bool { return n == "" || n == "!" || n != strings.TrimSpace(n) }) {
			err = mistake(hintOptions, "an empty namespace, or one with a space beside it")
		}
	case optAfter:
		s.after, err = readTime(name, value, zone)
	case optBefore:
		s.before, err = readTime(name, value, zone)
	}
	if err == nil && !s.after.IsZero() && !s.before.IsZero() && !s.before.After(s.after) {
		err = mistake(hintTime, "%s is not after %s", optBefore, optAfter)
	}
	return err
}

// timeSyntax is a time as ssh-keygen(1) describes it.
var timeSyntax = regexp.MustCompile(`^([0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?)((?i)Z|UTC)?$`)

func readTime(option, value string, zone *time.Location) (t time.Time, err error) {
	m := timeSyntax.FindStringSubmatch(value)
	if m != nil {
		if m[2] != "" {
			zone = time.UTC
		}
		t, err = time.ParseInLocation("20060102150405"[:len(m[1])], m[1], zone)
	}
	if m == nil || err != nil || t.Unix() <= 0 {
		return t, mistake(hintTime, "the value of option %q is not a time after 1970", option)
	}
	return t, nil
}

// plainWord is what can be repeated in an error without disclosing a secret.
var plainWord = regexp.MustCompile(`^[a-z-]{1,24}$`)

// unknownOption returns the mistake that stands in the place of an option's name.
func unknownOption(name string) error {
	near := strictyaml.DidYouMean(strings.ToLower(name), slices.Concat(optionNames, keyTypes))
	switch {
	case name == "":
		return mistake(hintOptions, "an empty option")
	case strings.Contains(name, certificateType):
		return errCertificate
	case near == "" && !plainWord.MatchString(name):
		return mistake(hintOptions, "neither an option nor the type of a key")
	}
	return mistake(hintOptions, "unknown option %q%s", name, near)
}
