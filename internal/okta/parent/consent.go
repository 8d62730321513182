package parent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// ErrNoConsent is wrapped by the error of a parent that doesn't let the Aerial
// account add its orgs.
var ErrNoConsent = errors.New("the parent has not granted its consent to the Aerial account")

// CheckConsent asks whether the parent lets the Aerial account with this id add
// its orgs. Its children have the parent's consent and can't grant it
// themselves. Nil means that it does.
func (c *Client) CheckConsent(ctx context.Context, account string) error {
	if err := c.checkConsent(ctx, account); err != nil {
		return fmt.Errorf("consent of the parent %q: %w", c.name, err)
	}
	return nil
}

func (c *Client) checkConsent(ctx context.Context, account string) error {
	var body []byte
	call := c.call(http.MethodGet, "org/privacy/aerial", rest.Always)
	call.Read = func(a *rest.Answer) error {
		body = a.Body
		return a.Cut
	}
	err := c.caller.Do(ctx, call)
	var refused *rest.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Code == "E0000007" {
		return text.WithHint(ErrNoConsent, fmt.Sprintf(
			"a super admin of %s grants it, once for all its children: Admin Console, Settings, Account, Okta Aerial account management, Edit, account id %s, Grant",
			c.base.Host, account))
	}
	if err != nil {
		return err
	}
	var consent struct {
		AccountID string `json:"accountId"`
	}
	if err := json.Unmarshal(body, &consent); err != nil {
		return errors.New("the answer is not the JSON of a consent")
	}
	if id := consent.AccountID; id != "" && id != account {
		return text.WithHint(
			fmt.Errorf("%w %q, but to the account %q", ErrNoConsent, account, text.Clean(id)),
			"an org can be managed by one Aerial account only: check "+c.keys.AccountID+", or let a super admin of the parent revoke the other consent and grant this one")
	}
	return nil
}
