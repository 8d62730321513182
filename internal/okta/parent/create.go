package parent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// Created is a new org, as far as the answer describes it.
type Created struct {
	// OrgID is empty when the answer was cut off before it.
	OrgID string
	// Subdomain and Domain, in lower case, are what Okta says that they are;
	// empty when it doesn't.
	Subdomain, Domain string
	// Token is that of the first super admin, which Okta returns only once. The
	// zero Token means that none could be read; then it is lost.
	Token Token
	// Flaw is why the answer is not whole, on one line; empty when it is.
	Flaw string
}

// edition is the only one that Okta's Org Creator API makes.
const edition = "SKU"

// wireOrg is the body of a creation. Without credentials the admin sets them
// at the first sign-in, so none are ever made up here.
type wireOrg struct {
	Subdomain string `json:"subdomain"`
	Name      string `json:"name"`
	Website   string `json:"website,omitempty"`
	Edition   string `json:"edition"`
	Admin     struct {
		Profile wireProfile `json:"profile"`
	} `json:"admin"`
}

type wireProfile struct {
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
	Login     string `json:"login"`
}

// CreateOrg makes a child org. This can't be undone, and the new org's token is
// in the answer and nowhere else.
//
// No error means that there is a new org, even if its token could not be read.
// A *rest.UncertainError means that there may be one. Any other error means that
// there is none; Taken reports whether that is because the subdomain is in use.
//
// Once the request has been sent, the answer is waited for, up to the timeout,
// also when ctx ends. A 429 is waited out and the request sent again, for Okta
// looked at nothing; ctx ends that.
//
// maySend is asked right before each time that the request is sent, with the
// credentials in hand: an earlier time did nothing then. It may call CheckConsent
// with the context that it is given. Its error forbids the send and is wrapped by
// what is returned.
func (c *Client) CreateOrg(ctx context.Context, subdomain string, org state.Create, maySend func(context.Context) error) (Created, error) {
	body := wireOrg{Subdomain: subdomain, Name: org.Name, Website: org.Website, Edition: edition}
	body.Admin.Profile = wireProfile(org.Admin)
	var made Created
	call := c.call(http.MethodPost, "orgs", rest.Never)
	call.ContentType = "application/json"
	call.MaySend = func(ctx context.Context) ([]byte, error) {
		if err := maySend(ctx); err != nil {
			return nil, err
		}
		return json.Marshal(body)
	}
	call.Read = func(a *rest.Answer) (err error) {
		made, err = readCreated(a)
		return err
	}
	if err := c.caller.Do(ctx, call); err != nil {
		return Created{}, fmt.Errorf("creating the org %q through the parent %q: %w", subdomain, c.name, err)
	}
	return made, nil
}

// readCreated reads an answer that says that there is a new org. It takes what
// there is of a body that was cut off. A body that tells neither an id nor a
// token may come from something on the way, and proves nothing.
func readCreated(a *rest.Answer) (Created, error) {
	var made Created
	var organization string // a second choice: it may lead to the parent
	err := eachString(a.Body, func(key, value string) {
		switch key {
		case "id":
			made.OrgID = value
		case "subdomain":
			made.Subdomain = strings.ToLower(value)
		case "token":
			made.Token = NewToken(value)
		case "_links.administrator.href":
			made.Domain = host(value)
		case "_links.organization.href":
			organization = host(value)
		}
	})
	if sub, _, _ := strings.Cut(organization, "."); made.Domain == "" && sub == made.Subdomain {
		made.Domain = organization
	}
	flaw := cmp.Or(a.Cut, err)
	switch {
	case made.OrgID == "" && made.Token.IsZero():
		return Created{}, cmp.Or(flaw, errors.New("it tells neither id nor token"))
	case flaw != nil:
		made.Flaw = "the answer is not whole: " + text.Clean(flaw.Error())
	case made.Token.IsZero():
		made.Flaw = "the answer holds no token"
	}
	return made, nil
}

// host returns the host of a URL in lower case, or "".
func host(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// maxDepth bounds how deep eachString follows objects.
const maxDepth = 50

// eachString calls f for each string of a JSON object, in their order; a key
// holds the keys on the way to it, with dots between, and [] for an array. It
// goes as far as the text does: what f was called with before an error stands.
// The error says nothing of the text, which may hold a secret.
func eachString(text []byte, f func(key, value string)) error {
	notOrg := errors.New("it is not the JSON of an org")
	dec := json.NewDecoder(bytes.NewReader(text))
	var value func(key string, depth int) error
	value = func(key string, depth int) error {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case string:
			f(key, token)
		case json.Delim: // one that opens
			if depth == maxDepth {
				return notOrg
			}
			for dec.More() {
				name := key + "[]"
				if token == '{' {
					next, err := dec.Token()
					if err != nil {
						return err
					}
					name = strings.TrimPrefix(key+"."+next.(string), ".") // a key is a string, or an error
				}
				if err := value(name, depth+1); err != nil {
					return err
				}
			}
			_, err = dec.Token()
		}
		return err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) || value("", 0) != nil {
		return notOrg
	}
	return nil
}
