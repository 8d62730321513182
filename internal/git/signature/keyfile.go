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
// line, never repeats what could be a secret, and has a method Hint() string.
// A file without keys is a mistake, and so is one that holds a secret key.
func Parse(name string, data []byte) (*Keys, error) {
	return parseKeys(name, data, time.Local)
}

// keyFile is a file of keys that is being read.
type keyFile struct {
	zone      *time.Location
	line, col int // where reading is; 0 if it is at no line or column
	keys      Keys
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
	valid := utf8.Valid(data)
	switch {
	case len(data) > maxKeys:
		return nil, mistake(hintFile, "a file of keys has at most %d bytes, and this one has %d", maxKeys, len(data))
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")):
		return nil, mistake("save it as UTF-8", "the file is written in UTF-16")
	case bytes.HasPrefix(data, []byte("\ufeff")):
		f.line, f.col = 1, 1
		return nil, mistake("save it as UTF-8 without a byte order mark",
			"the file begins with a byte order mark, which OpenSSH takes for a part of the first principal")
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
	hintFile   = `one line a signer, such as: ada@example.com namespaces="git" ssh-ed25519 AAAA…; or what gpg --armor --export prints`
	hintKey    = "write the key as it stands in the .pub file: its type and its base64"
	hintTime   = `write the time as "20270131", "202701311200" or "20270131120000", with a Z at its end for UTC`
	hintPGP    = "export it again: gpg --armor --export ADDRESS"
	hintSecret = "take it out of the file, keep it to yourself, and put the public key there: gpg --armor --export ADDRESS, or the .pub file"
)

func mistake(hint, format string, args ...any) error {
	return text.WithHint(fmt.Errorf(format, args...), hint)
}

// locate returns the mistake with where it is.
func (f *keyFile) locate(name string, err error) error {
	for _, n := range []int{f.line, f.col} {
		if n > 0 {
			name = fmt.Sprintf("%s:%d", name, n)
		}
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
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	for len(lines) > 0 {
		f.line, f.col = f.line+1, 0
		n, err := 1, error(nil)
		if strings.HasPrefix(lines[0], "-----BEGIN ") {
			n, err = f.readBlock(lines)
		} else {
			err = f.readLine(lines[0])
		}
		if err != nil {
			return err
		}
		f.line, lines = f.line+n-1, lines[n:]
	}
	f.line = 0
	return nil
}

// readBlock reads the armored block that the lines begin with, and returns how
// many lines it has.
func (f *keyFile) readBlock(lines []string) (int, error) {
	f.col = 1
	switch head := lines[0]; {
	case strings.Contains(head, "PRIVATE KEY") || strings.Contains(head, "SECRET KEY"):
		return 0, errSecret
	case head != begin(armorKeys):
		return 0, mistake(hintFile, "a block that is not a PGP PUBLIC KEY BLOCK")
	}
	last := slices.Index(lines, end(armorKeys))
	if last < 0 {
		return 0, mistake(hintPGP, "the block has no END line")
	}
	f.col = 0
	data, err := dearmor(strings.Join(lines[:last+1], "\n"), armorKeys)
	if err != nil {
		return 0, mistake(hintPGP, "the block can't be read: %w", err)
	}
	return last + 1, f.readPGP(data)
}

// readLine reads one line: principals, options if any, key, and a comment if
// any. What reads a part returns the rest of the line behind it, or, with an
// error, from where the mistake is.
func (f *keyFile) readLine(line string) error {
	rest := strings.TrimLeft(line, " \t\r")
	if rest == "" || rest[0] == '#' {
		return nil
	}
	var s signer
	rest, err := s.readPrincipals(rest)
	if word, _ := cutField(rest); err == nil && word != "" && !slices.Contains(keyTypes, word) {
		rest, err = s.readOptions(rest, f.zone)
	}
	if err == nil {
		err = s.readKey(rest)
	}
	if err == nil {
		f.keys.ssh = append(f.keys.ssh, s)
	} else if rest != "" {
		f.col = utf8.RuneCountInString(line[:len(line)-len(rest)]) + 1
	}
	return err
}

// cutField returns the first field and what follows it.
func cutField(s string) (field, rest string) {
	i := strings.IndexAny(s, " \t\r")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t\r")
}

// principalsField is the first field of a line, which is in quotes if a
// principal holds a space, and what separates it from the next.
var principalsField = regexp.MustCompile(`^(?:"([^"]*)"|([^" \t\r]*))(?:[ \t\r]+|$)`)

func (s *signer) readPrincipals(line string) (string, error) {
	m := principalsField.FindStringSubmatch(line)
	if m == nil {
		return line, mistake(hintFile, "the principals have a quote in the middle, an unclosed one, or one without a space behind it")
	}
	list := m[1] + m[2]
	if slices.Contains(keyTypes, list) {
		return line, mistake(hintFile, "the line begins with a key, and not with the principals that it belongs to")
	}
	s.principals = strings.Split(list, ",")
	for _, p := range s.principals {
		switch {
		case p == "" || p == "!":
			return line, mistake(hintFile, "an empty principal")
		case p != text.OneLine(p, maxText):
			return line, mistake(hintFile, "a principal is too long, or holds what can't be printed")
		}
	}
	if firstPrincipal(s.principals) == "" {
		return line, mistake(hintFile, "the line excludes each principal that it lists")
	}
	return line[len(m[0]):], nil
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
func (s *signer) readKey(rest string) error {
	typ, blob := cutField(rest)
	blob, _ = cutField(blob)
	switch {
	case rest == "":
		return mistake(hintFile, "the line has no key")
	case strings.Contains(typ, "-cert-v01@"):
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

// The options, as ssh-keygen(1) names them.
const (
	optCA         = "cert-authority"
	optNamespaces = "namespaces"
	optAfter      = "valid-after"
	optBefore     = "valid-before"
)

var optionNames = []string{optCA, optNamespaces, optAfter, optBefore}

// optionSyntax is an option: its name, and, with =, a value in quotes. A quote
// behind a backslash doesn't close it.
var optionSyntax = regexp.MustCompile(`^([^=, \t\r]*)(?:(=)("((?:[^"\\]|\\+[^\\])*)")?)?`)

func (s *signer) readOptions(line string, zone *time.Location) (string, error) {
	var seen []string
	for {
		m := optionSyntax.FindStringSubmatch(line)
		name, rest := strings.ToLower(m[1]), line[len(m[0]):]
		var err error
		switch {
		case !slices.Contains(optionNames, name):
			err = unknownOption(m[1])
		case slices.Contains(seen, name):
			err = mistake(`write it once; namespaces take a list: namespaces="git,file"`, "option %q is there twice", name)
		case name == optCA && m[2] != "":
			err = mistake("write it without =", "option %q takes no value", name)
		case name != optCA && m[3] == "":
			err = mistake(fmt.Sprintf(`write %s="…"`, name), "option %q needs a value in double quotes", name)
		case rest != "" && !strings.ContainsAny(rest[:1], ", \t\r"):
			err = mistake("separate options by commas, and write a space before the key", "there is neither a comma nor a space after option %q", name)
		default:
			err = s.setOption(name, strings.ReplaceAll(m[4], `\"`, `"`), zone)
		}
		if err != nil {
			return line, err
		}
		if !strings.HasPrefix(rest, ",") {
			return strings.TrimLeft(rest, " \t\r"), nil
		}
		seen, line = append(seen, name), rest[1:]
	}
}

func (s *signer) setOption(name, value string, zone *time.Location) (err error) {
	switch name {
	case optCA:
		s.ca = true
	case optNamespaces:
		s.namespaces = strings.Split(value, ",")
		if slices.ContainsFunc(s.namespaces, func(n string) bool { return n == "" || n == "!" || n != strings.TrimSpace(n) }) {
			err = mistake(`write namespaces="git", or namespaces="git,file"`, "an empty namespace, or one with a space beside it")
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

// readTime reads a time as ssh-keygen(1) describes it.
func readTime(option, value string, zone *time.Location) (time.Time, error) {
	digits := value
	for _, utc := range []string{"Z", "UTC"} {
		if n := len(value) - len(utc); n > 0 && strings.EqualFold(value[n:], utc) {
			digits, zone = value[:n], time.UTC
		}
	}
	layouts := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}
	t, err := time.ParseInLocation(layouts[len(digits)], digits, zone)
	if err != nil || digits == "" || t.Unix() <= 0 {
		return t, mistake(hintTime, "the value of option %q is not a time after 1970", option)
	}
	return t, nil
}

// plainWord is what can be repeated in an error without disclosing a secret.
var plainWord = regexp.MustCompile(`^[a-z-]{1,24}$`)

// unknownOption returns the mistake that stands in the place of an option's name.
func unknownOption(name string) error {
	hint := "the options are " + strings.Join(optionNames, ", ") + "; they stand between principals and key, separated by commas alone"
	near := strictyaml.DidYouMean(strings.ToLower(name), append(slices.Clone(optionNames), keyTypes...))
	switch {
	case name == "":
		return mistake(hint, "an empty option")
	case strings.Contains(name, "-cert-v01@"):
		return errCertificate
	case near == "" && !plainWord.MatchString(name):
		return mistake(hint, "neither an option nor the type of a key")
	}
	return mistake(hint, "unknown option %q%s", name, near)
}
