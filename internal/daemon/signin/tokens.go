package signin

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// TokenPrefix is how each token begins, so that scanners for leaked secrets find it.
const TokenPrefix = "rcn_"

// tokenBytes is how many random bytes a token has.
const tokenBytes = 32

// maxTokens limits the size of a tokens file.
const maxTokens = 1 << 20

// TokenEntry is an entry of the tokens file.
type TokenEntry struct {
	// Name is who uses the token, for the history.
	Name string `json:"name"`
	Role Role   `json:"role"`
	// SHA256 is the hash of the token, in lower case hexadecimal.
	SHA256 string `json:"sha256"`
}

// String returns the entry as a line of the tokens file.
func (e *TokenEntry) String() string {
	return fmt.Sprintf("- {name: %s, role: %s, sha256: %s}", strictyaml.Scalar(e.Name), e.Role, e.SHA256)
}

// NewToken makes a random token, and the entry for it. The error is that of a name or a
// role that an entry can't have.
func NewToken(name string, role Role) (token string, entry *TokenEntry, err error) {
	if err := tokenName(name).Check(); err != nil {
		return "", nil, fmt.Errorf("the name %w", err)
	}
	if role != Viewer && role != Operator {
		return "", nil, fmt.Errorf("the role must be %s, not %q", strictyaml.OneOf(role.Values()), role)
	}
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // which never fails
	token = TokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	return token, &TokenEntry{Name: name, Role: role, SHA256: hashOf(token)}, nil
}

// The types of the tokens file as it is written.
type (
	tokenFile struct {
		Name   strictyaml.At[tokenName] `yaml:"name"`
		Role   strictyaml.At[Role]      `yaml:"role"`
		SHA256 strictyaml.At[tokenHash] `yaml:"sha256"`
	}
	tokenName string
	tokenHash string
)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$`)
	hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Check takes names that are one word.
func (n tokenName) Check() error {
	if !nameForm.MatchString(string(n)) {
		return fmt.Errorf("must be 1 to 100 letters, digits and any of ._@-, and begin with a letter or a digit, not %q", text.OneLine(string(n), 40))
	}
	return nil
}

// Verbatim makes a name of digits one.
func (tokenName) Verbatim() {}

// Check takes hashes. What else stands there may be the token itself, and is not
// repeated.
func (h tokenHash) Check() error {
	if !hashForm.MatchString(string(h)) {
		return errors.New("must be the 64 hexadecimal digits (in lower case) of the token's SHA-256")
	}
	if string(h) == hashOf("") {
		return errors.New("is the hash of an empty token")
	}
	return nil
}

// hashOf returns the hash of a token as entries have it.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Verbatim makes a hash of digits one.
func (tokenHash) Verbatim() {}

// ParseTokens reads a tokens file. The error has every mistake, with its place. A file
// without entries is valid, and lets nobody in, but one without a byte is not: it is one
// that somebody is about to write.
func ParseTokens(file string, data []byte) ([]TokenEntry, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		var errs strictyaml.Errors
		errs.Add(strictyaml.Pos{File: file, Line: 1, Column: 1}, "the file is empty: make a token with \"reconciler token\", or write [] if there are none")
		return nil, errs.Err()
	}
	var list []strictyaml.At[tokenFile]
	err := strictyaml.DecodeInto(file, data, &list)
	errs, ok := strictyaml.AsErrors(err)
	if err != nil && !ok {
		return nil, err
	}
	var all []TokenEntry
	names, hashes := map[string]strictyaml.Pos{}, map[string]strictyaml.Pos{}
	for i := range list {
		t := &list[i].V
		for _, need := range []struct {
			key string
			set bool
		}{{"name", t.Name.Set}, {"role", t.Role.Set}, {"sha256", t.SHA256.Set}} {
			if !need.set && list[i].OK() {
				errs.Add(list[i].Pos, "the token has no %q", need.key)
			}
		}
		if !t.Name.OK() || !t.Role.OK() || !t.SHA256.OK() {
			continue
		}
		e := TokenEntry{Name: string(t.Name.V), Role: t.Role.V, SHA256: string(t.SHA256.V)}
		if first, is := names[e.Name]; is {
			errs.Add(t.Name.Pos, "there is another token %q at %s: names must differ", e.Name, first)
		}
		if first, is := hashes[e.SHA256]; is {
			errs.Add(t.SHA256.Pos, "the same hash stands at %s: each entry needs a token of its own", first)
		}
		names[e.Name], hashes[e.SHA256] = t.Name.Pos, t.SHA256.Pos
		all = append(all, e)
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// ReadTokens reads the tokens file at a path.
func ReadTokens(path string) ([]TokenEntry, error) {
	data, err := readTokens(path)
	if err != nil {
		return nil, err
	}
	return ParseTokens(path, data)
}

func readTokens(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the tokens can't be read: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTokens+1))
	if err != nil {
		return nil, fmt.Errorf("the tokens can't be read: %w", err)
	}
	if len(data) > maxTokens {
		return nil, fmt.Errorf("the tokens can't be read: %s is larger than %d MB", path, maxTokens>>20)
	}
	return data, nil
}

// rereadAfter is how old what was read of the tokens file may be.
const rereadAfter = time.Second

// tokens are the tokens of a file, which is read again while the program runs.
type tokens struct {
	path string
	// refused is called with why the file can't be used, once for each reason, and with
	// nil once it can again.
	refused func(error)

	mu      sync.Mutex
	read    time.Time
	data    []byte
	entries []TokenEntry
	problem string
}

// openTokens reads the file, which must be valid at first.
func openTokens(path string, refused func(error)) (*tokens, error) {
	t := &tokens{path: path, refused: refused, read: time.Now()}
	var err error
	if t.data, err = readTokens(path); err == nil {
		t.entries, err = ParseTokens(path, t.data)
	}
	return t, err
}

// current returns the entries, from the file as it is now. A file with a mistake changes
// nothing.
func (t *tokens) current() []TokenEntry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := time.Since(t.read); age >= 0 && age < rereadAfter {
		return t.entries
	}
	t.read = time.Now()
	data, err := readTokens(t.path)
	if err == nil && (t.problem != "" || !bytes.Equal(data, t.data)) {
		var entries []TokenEntry
		if entries, err = ParseTokens(t.path, data); err == nil {
			t.data, t.entries = data, entries
		}
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != t.problem {
		t.problem = problem
		t.refused(err)
	}
	return t.entries
}

// find returns the entry of a token; nil if there is none. How long it takes doesn't
// depend on how much of a hash is right.
func (t *tokens) find(token string) *TokenEntry { return t.findHash(hashOf(token)) }

func (t *tokens) findHash(hash string) *TokenEntry {
	var found *TokenEntry
	entries := t.current()
	for i := range entries {
		if subtle.ConstantTimeCompare([]byte(entries[i].SHA256), []byte(hash)) == 1 {
			found = &entries[i]
		}
	}
	return found
}

// bearerOf returns the token of a request's header; ok reports whether there is one.
func bearerOf(header []string) (token string, ok bool) {
	for _, h := range header {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}
