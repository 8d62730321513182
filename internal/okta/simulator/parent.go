package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// subdomainForm matches subdomains that Okta accepts.
var subdomainForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

// createdOrg is the answer of the Org Creator API, the only one with the new org's
// token.
type createdOrg struct {
	ID          string          `json:"id"`
	Subdomain   string          `json:"subdomain"`
	Name        string          `json:"name"`
	Website     string          `json:"website,omitempty"`
	Status      string          `json:"status"`
	Edition     string          `json:"edition"`
	Created     string          `json:"created"`
	LastUpdated string          `json:"lastUpdated"`
	Token       string          `json:"token"`
	TokenType   string          `json:"tokenType"`
	Links       map[string]href `json:"_links"`
}

type href struct {
	Href string `json:"href"`
}

// createOrg is the Org Creator API of the caller's org. It is not idempotent.
func (s *Simulator) createOrg(c *call) *answer {
	parent := c.who.org
	if !parent.Creator || parent.Parent != "" {
		return s.fail(http.StatusForbidden, codeNoFeature, "You do not have permission to access the feature you are requesting")
	}
	if refusal := s.creatorLimit(parent); refusal != nil {
		return refusal
	}
	in := newObject(c.body)
	sub, _ := in.text("subdomain", 1, 57)
	name, _ := in.text("name", 1, 100)
	website, _ := in.text("website", 0, 255)
	edition, _ := in.text("edition", 1, 0)
	checkAdmin(in.nested("admin", true))
	if edition != "" && edition != "SKU" {
		in.complain("edition: The field must be SKU")
	}
	if u, err := url.Parse(website); website != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		in.complain("website: The field must be a URL")
	}
	if sub != "" && !subdomainForm.MatchString(sub) {
		in.complain("subdomain: The field must consist of letters, digits and hyphens")
	}
	_, base, _ := strings.Cut(parent.Domain, ".")
	domain := strings.ToLower(sub) + "." + base
	if s.byDomain[domain] != nil {
		in.complain("subdomain: An object with this field already exists in the current organization")
	}
	if causes := in.done(); len(causes) > 0 {
		return s.invalid("subdomain", causes...)
	}
	return s.addChild(c, domain, name, website)
}

// creatorLimit returns the error about the eleventh creation within a minute, or
// nil.
func (s *Simulator) creatorLimit(parent *Org) *answer {
	now, limit := s.opts.Now(), s.seed.Limits.CreatePerMinute
	recent := slices.DeleteFunc(s.creates[parent.Domain], func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(recent) >= limit {
		return s.tooMany(limit, recent[0].Add(time.Minute))
	}
	s.creates[parent.Domain] = append(recent, now)
	return nil
}

// checkAdmin checks the first super admin, who is not stored.
func checkAdmin(admin *object) {
	profile := admin.nested("profile", true)
	profile.text("firstName", 1, 50)
	profile.text("lastName", 1, 50)
	for _, key := range []string{"email", "login"} {
		address, _ := profile.text(key, 1, 100)
		if before, after, ok := strings.Cut(address, "@"); address != "" && (!ok || before == "" || !strings.Contains(after, ".")) {
			profile.complain("%s%s: The field must be in the form of an email address", profile.at, key)
		}
	}
	profile.text("mobilePhone", 0, 100)
	profile.text("secondEmail", 0, 100)
	profile.done()
	if credentials := admin.nested("credentials", false); credentials != nil {
		if password := credentials.nested("password", false); password != nil {
			password.text("value", 1, 72)
			password.done()
		}
		if question := credentials.nested("recovery_question", false); question != nil {
			question.text("question", 1, 100)
			question.text("answer", 1, 100)
			question.done()
		}
		credentials.done()
	}
	admin.done()
}

// addChild creates the org, which can be called only after it has settled.
func (s *Simulator) addChild(c *call, domain, name, website string) *answer {
	parent, now := c.who.org, s.opts.Now()
	token := "00" + newSecret()[:40]
	o := &Org{
		ID: s.newID("00o"), Domain: domain, Name: name, Cell: parent.Cell, Region: parent.Region,
		Status: active, Parent: parent.Domain, Tokens: []string{token},
		CreatedDate: formatTime(now), CreatedBy: c.who.actor.AlternateID,
	}
	if s.opts.Settle > 0 {
		o.ReadyDate = formatTime(now.Add(s.opts.Settle))
	}
	s.addOrg(o)
	return jsonAnswer(http.StatusCreated, createdOrg{
		ID: o.ID, Subdomain: o.subdomain(), Name: name, Website: website, Status: active, Edition: "SKU",
		Created: o.CreatedDate, LastUpdated: o.CreatedDate, Token: token, TokenType: "SSWS",
		Links: map[string]href{
			"organization":  {"https://" + domain},
			"administrator": {fmt.Sprintf("https://%s/admin", domain)},
		},
	})
}

// consent is who granted consent, and when.
type consent struct {
	by string
	at time.Time
}

type consentBody struct {
	AccountID   string `json:"accountId"`
	GrantedBy   string `json:"grantedBy,omitempty"`
	GrantedDate string `json:"grantedDate"`
}

func (s *Simulator) getConsent(c *call) *answer {
	o := s.consentOrg(c.who.org)
	if !o.Consent {
		return s.notFound(c.who.org.Domain, "AerialConsent")
	}
	granted := s.consents[o.Domain]
	return jsonAnswer(http.StatusOK, consentBody{s.seed.Account.ID, granted.by, formatTime(granted.at)})
}

// checkConsent checks the body of a grant or revocation and whether the org may
// decide.
func (s *Simulator) checkConsent(c *call) *answer {
	in := newObject(c.body)
	id, has := in.text("accountId", 1, 0)
	if has && id != "" && id != s.seed.Account.ID {
		in.complain("accountId: There is no account '%s' that the org is associated with", id)
	}
	if causes := in.done(); len(causes) > 0 {
		return s.invalid("accountId", causes...)
	}
	if c.who.org.Parent != "" {
		return s.forbidden("A child org inherits the consent of its parent")
	}
	return nil
}

func (s *Simulator) grantConsent(c *call) *answer {
	if refusal := s.checkConsent(c); refusal != nil {
		return refusal
	}
	if o := c.who.org; !o.Consent {
		s.setConsent(c.who, c, o)
	}
	return s.getConsent(c)
}

func (s *Simulator) setConsent(who *caller, c *call, o *Org) {
	o.Consent = true
	s.consents[o.Domain] = consent{who.actor.AlternateID, s.opts.Now()}
	s.record(who, c, "account.org.consent.grant", o)
}

func (s *Simulator) dropConsent(who *caller, c *call, o *Org) {
	o.Consent = false
	delete(s.consents, o.Domain)
	s.record(who, c, "account.org.consent.revoke", o)
}

func (s *Simulator) revokeConsent(c *call) *answer {
	if refusal := s.checkConsent(c); refusal != nil {
		return refusal
	}
	o := c.who.org
	switch {
	case o.Managed:
		return s.invalid("accountId", "accountId: Consent can't be revoked once the org has been added to the account")
	case !o.Consent:
		return s.notFound(o.Domain, "AerialConsent")
	}
	s.dropConsent(c.who, c, o)
	return jsonAnswer(http.StatusOK, struct {
		AccountID string `json:"accountId"`
	}{s.seed.Account.ID})
}
