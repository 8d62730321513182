package parent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"reconciler/internal/okta/rest"
)

const (
	// A plan waits for an org to tell its id, and does without it: hence less
	// patience than with other calls.
	idTimeout  = 10 * time.Second
	idAttempts = 2
)

// OrgID returns the id of the parent org, as the org tells everybody. No credentials
// are sent, and none are needed.
func (c *Client) OrgID(ctx context.Context) (string, error) {
	call := c.call(http.MethodGet, "okta-organization", rest.Always)
	call.URL = c.base.JoinPath(".well-known", "okta-organization")
	p := &call.Policy
	p.Timeout, p.Attempts, p.Failing, p.Throttled = idTimeout, idAttempts, idAttempts*idTimeout, idTimeout
	id := ""
	call.Read = func(a *rest.Answer) error {
		org, err := rest.Decode[struct {
			ID string `json:"id"`
		}](a)
		if err == nil && org.ID == "" {
			err = errors.New("it has no id")
		}
		id = org.ID
		return err
	}
	if err := c.open.Do(ctx, call); err != nil {
		return "", fmt.Errorf("asking the parent %q for its id: %w", c.name, err)
	}
	return id, nil
}
