package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"reconciler/internal/text"
)

// topic is what a call is about; advice depends on it.
type topic int

const (
	aboutComments topic = iota
	aboutStatus
	aboutUser
	aboutApp
)

// Error is a refusal: an answer with another status than success.
type Error struct {
	// Forge is "GitHub" or "GitLab".
	Forge string
	// Method and Path are of the request; the query is left out.
	Method, Path string
	// Status is the HTTP status.
	Status int
	// Message is the server's, fit for one line; empty when the answer was not
	// the API's.
	Message string

	topic   topic
	page    bool // the answer was not JSON
	limited bool // a rate limit's, whatever is asked
	hint    string
}

// Error gives all of it on one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s %s: %d", e.Forge, e.Method, e.Path, e.Status)
	words := e.Message
	if words == "" {
		words = http.StatusText(e.Status)
	}
	if words != "" {
		s += " " + strings.TrimPrefix(words, fmt.Sprintf("%d ", e.Status)) // GitLab says it twice
	}
	return s
}

// Hint says what to do about it; it may be empty.
func (e *Error) Hint() string { return e.hint }

// denied says whether an error is the refusal of what isn't allowed, or isn't
// there for this token, and will be refused tomorrow as well.
func denied(err error) bool {
	var e *Error
	return errors.As(err, &e) && !e.limited && (e.Status == http.StatusForbidden || e.Status == http.StatusNotFound)
}

// uncertainError is a creation that may or may not have taken effect.
type uncertainError struct{ error }

func (e *uncertainError) Error() string {
	return e.error.Error() + "; it may have taken effect all the same"
}

func (e *uncertainError) Unwrap() error { return e.error }

// message reads the words of a refusal. GitHub has a message and a list of
// errors, which are objects or strings; GitLab's message is a string, a list or
// an object of lists, and OAuth's part of it says error and error_description.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
// https://docs.gitlab.com/api/rest/troubleshooting/
func message(data []byte, secret string) string {
	var body struct {
		Message          any   `json:"message"`
		Errors           []any `json:"errors"`
		Error            any   `json:"error"`
		ErrorDescription any   `json:"error_description"`
	}
	if json.Unmarshal(data, &body) != nil {
		return ""
	}
	var words []string
	for _, v := range append([]any{body.Message, body.Error, body.ErrorDescription}, body.Errors...) {
		if s := flat(v); s != "" && !slices.Contains(words, s) {
			words = append(words, s)
		}
	}
	return clean(strings.Join(words, ": "), secret)
}

// flat gives what a refusal says in one of its forms.
func flat(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, flat(e))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		if m := flat(v["message"]); m != "" {
			return m
		}
		var keys, parts []string
		for k := range v {
			if k != "resource" {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			parts = append(parts, k+" "+flat(v[k]))
		}
		return strings.Join(parts, ", ")
	default:
		return ""
	}
}

// tokenLike is what tokens of GitHub and GitLab look like, and JSON Web Tokens.
// https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
// https://docs.gitlab.com/security/tokens/#token-prefixes
var tokenLike = regexp.MustCompile(`eyJ[\w-]{8,}[\w.-]*|gh[a-z]_\w{10,}|github_pat_\w{10,}|gl[a-z]{1,6}-[\w.-]{10,}`)

// clean makes a server's words fit for one line of a terminal, without tokens,
// should it quote what it was sent.
func clean(s, secret string) string {
	if secret != "" {
		s = strings.ReplaceAll(s, secret, "[token]")
	}
	return text.OneLine(tokenLike.ReplaceAllString(s, "[token]"), 300)
}
