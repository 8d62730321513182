package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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
	ExpiresAt   *string         `json:"expiresAt"`
	Created     string          `json:"created"`
	LastUpdated string          `json:"lastUpdated"`
	Admin       createdAdmin    `json:"admin"`
	Licensing   any             `json:"licensing"`
	Settings    any             `json:"settings"`
	Token       string          `json:"token"`
	TokenType   string          `json:"tokenType"`
	Links       map[string]href `json:"_links"`
}

// createdAdmin is the first super admin in an answer, without credentials.
type createdAdmin struct {
	Profile adminProfile `json:"profile"`
}

type adminProfile struct {
	FirstName   string `json:"firstName"`
	LastName    string `json:"lastName"`
	Email       string `json:"email"`
	Login       string `json:"login"`
	MobilePhone string `json:"mobilePhone,omitempty"`
	SecondEmail string `json:"secondEmail,omitempty"`
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
	sub, _ := in.text("subdomain", 1, 0)
	name, _ := in.text("name", 1, 0)
	website, _ := in.text("website", 0, 255)
	edition, _ := in.text("edition", 1, 0)
	admin := readAdmin(in.nested("admin", true))
	if edition != "" && edition != "SKU" {
		in.complain("edition: The field must be SKU")
	}
	if u, err := url.Parse(website); website != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		in.complain("website: The field must be a URL")
	}
	if causes := in.done(); len(causes) > 0 {
		return s.invalid("subdomain", causes...)
	}
	_, base, _ := strings.Cut(parent.Domain, ".")
	domain := strings.ToLower(sub) + "." + base
	if refusal := s.checkNames(sub, name, domain); refusal != nil {
		return refusal
	}
	return s.addChild(c, domain, createdOrg{Name: name, Website: website, Admin: admin})
}

// reservedSubdomains are hosts of Okta's own. Which others are reserved is
// unconfirmed, except for those of Admin Consoles.
var reservedSubdomains = []string{"www", "login"}

// reserved reports whether no org can have the subdomain.
func reserved(sub string) bool {
	sub = strings.ToLower(sub)
	return slices.Contains(reservedSubdomains, sub) || strings.HasSuffix(sub, "-admin")
}

// checkNames returns the error about a subdomain or name for which the Org
// Creator API has codes of its own, or nil.
func (s *Simulator) checkNames(sub, name, domain string) *answer {
	const subdomain = "Org Creator API subdomain validation exception: "
	bad := func(code, summary string) *answer { return s.fail(http.StatusBadRequest, code, summary) }
	switch taken := s.byDomain[domain]; {
	case utf8.RuneCountInString(name) > 100, !subdomainForm.MatchString(sub):
		return bad(codeOrgName, "Org Creator API name validation exception.")
	case len(sub) > 57:
		return bad(codeLong, subdomain+"The value exceeds the max length.")
	case reserved(sub):
		return bad(codeReserved, subdomain+"Using a reserved value. Try again with a different value.")
	case taken != nil && !s.ready(taken):
		return bad(codeLocked, subdomain+"The value is already in use by a different request.")
	case taken != nil:
		return bad(codeTaken, "An object with this field already exists.")
	}
	return nil
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

// readAdmin returns the first super admin, who is not stored.
func readAdmin(admin *object) createdAdmin {
	profile := admin.nested("profile", true)
	var p adminProfile
	p.FirstName, _ = profile.text("firstName", 1, 50)
	p.LastName, _ = profile.text("lastName", 1, 50)
	for _, f := range []struct {
		key   string
		value *string
	}{{"email", &p.Email}, {"login", &p.Login}} {
		address, _ := profile.text(f.key, 1, 100)
		*f.value = address
		if before, after, ok := strings.Cut(address, "@"); address != "" && (!ok || before == "" || !strings.Contains(after, ".")) {
			profile.complain("%s%s: The field must be in the form of an email address", profile.at, f.key)
		}
	}
	p.MobilePhone, _ = profile.text("mobilePhone", 0, 100)
	p.SecondEmail, _ = profile.text("secondEmail", 0, 100)
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
	return createdAdmin{p}
}

// addChild creates the org, which can be called only after it has settled. The
// answer has name, website and admin already.
func (s *Simulator) addChild(c *call, domain string, made createdOrg) *answer {
	parent, now := c.who.org, s.opts.Now()
	token := "00" + newSecret()[:40]
	o := &Org{
		ID: s.newID("00o"), Domain: domain, Name: made.Name, Cell: parent.Cell, Region: parent.Region,
		Status: active, Parent: parent.Domain, Tokens: []string{token},
		CreatedDate: formatTime(now), CreatedBy: c.who.actor.AlternateID,
	}
	if s.opts.Settle > 0 {
		o.ReadyDate = formatTime(now.Add(s.opts.Settle))
	}
	s.addOrg(o)
	made.ID, made.Subdomain, made.Status, made.Edition = o.ID, o.subdomain(), active, "SKU"
	made.Created, made.LastUpdated = o.CreatedDate, o.CreatedDate
	made.Token, made.TokenType = token, "SSWS"
	made.Licensing = map[string]any{"apps": []string{}}
	made.Settings = map[string]any{"app": map[string]any{"errorRedirectUrl": nil}, "logs": map[string]any{"level": "INFO"}}
	made.Links = map[string]href{
		// The administrator's link has the domain; what the organization's
		// leads to is unconfirmed, so a client must not take the domain from it.
		"administrator": {"https://" + domain},
		"organization":  {fmt.Sprintf("https://%s/api/v1/orgs/%s", parent.Domain, made.Subdomain)},
	}
	return jsonAnswer(http.StatusCreated, made)
}

// consent is the id of who granted consent, and when.
type consent struct {
	by string
	at time.Time
}

// consentBody is a consent as Okta returns it; grantedBy is the id of a person
// or a service app.
type consentBody struct {
	AccountID   string          `json:"accountId"`
	GrantedBy   string          `json:"grantedBy,omitempty"`
	GrantedDate string          `json:"grantedDate"`
	Links       map[string]href `json:"_links"`
}

// consentLink returns the link to grant or revoke consent.
func consentLink(c *call, action string) map[string]href {
	origin, _, _ := strings.Cut(c.url, "/api/")
	return map[string]href{action: {origin + "/api/v1/org/privacy/aerial/" + action}}
}

func (s *Simulator) getConsent(c *call) *answer {
	o := s.consentOrg(c.who.org)
	if !o.Consent {
		return s.notFound(c.who.org.Domain, "AerialConsent")
	}
	granted := s.consents[o.Domain]
	return jsonAnswer(http.StatusOK, consentBody{s.seed.Account.ID, granted.by, formatTime(granted.at), consentLink(c, "revoke")})
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
	s.consents[o.Domain] = consent{who.actor.ID, s.opts.Now()}
	s.record(who, c, "account.org.consent.grant", orgEntity(o))
}

func (s *Simulator) dropConsent(who *caller, c *call, o *Org) {
	o.Consent = false
	delete(s.consents, o.Domain)
	s.record(who, c, "account.org.consent.revoke", orgEntity(o))
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
		Links map[string]href `json:"_links"`
	}{consentLink(c, "grant")})
}
