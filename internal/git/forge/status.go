package forge

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// State is what a status says of a commit.
type State string

// The states.
const (
	Success State = "success"
	Failure State = "failure"
	Pending State = "pending"
	Errored State = "error" // could not be found out; GitLab shows it as a failure
)

// Status is what is reported on a commit.
type Status struct {
	State State
	// Context names what reports, such as "reconciler"; a commit has one status
	// for each.
	Context string
	// Description is one short line: GitHub takes 140 characters and GitLab
	// 255, and what is longer is cut.
	Description string
	// TargetURL is where to read more; empty, or http(s).
	TargetURL string
}

// maxName is the longest Context and TargetURL that GitLab keeps.
const maxName = 255

// SetStatus reports on a commit, which is its whole hash. It may be repeated,
// and is, when its outcome is unknown: the newest status of a context is the
// one that counts.
func (c *Client) SetStatus(ctx context.Context, commit string, s Status) error {
	if err := checkCommit(commit); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	return c.forge.setStatus(ctx, commit, c.forge.shown(s))
}

// LastStatus gives the newest status of this context on a commit; nil if there
// is none. Compare it with what Shown gives, to report a change only.
func (c *Client) LastStatus(ctx context.Context, commit, context string) (*Status, error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	return c.forge.lastStatus(ctx, commit, context)
}

// Shown gives s as LastStatus gives it back after SetStatus: the description
// on one line and cut to what the forge takes, and a state that the forge
// doesn't have replaced by the one that stands for it.
func (c *Client) Shown(s Status) Status { return c.forge.shown(s) }

func (s Status) check() error {
	switch s.State {
	case Success, Failure, Pending, Errored:
	default:
		return fmt.Errorf("%q is no state of a commit", s.State)
	}
	if s.Context == "" || len([]rune(s.Context)) > maxName {
		return fmt.Errorf("the context of a status must have 1 to %d characters", maxName)
	}
	if s.TargetURL == "" {
		return nil
	}
	u, err := url.Parse(s.TargetURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || len(s.TargetURL) > maxName {
		return fmt.Errorf("the target of a status must be an http(s) URL without credentials, of at most %d characters", maxName)
	}
	return nil
}

// checkCommit refuses what is not a whole hash, SHA-1 or SHA-256.
func checkCommit(commit string) error {
	if len(commit) != 40 && len(commit) != 64 || strings.Trim(commit, "0123456789abcdef") != "" {
		return errors.New("a status needs the whole hash of a commit, 40 or 64 hexadecimal digits")
	}
	return nil
}
