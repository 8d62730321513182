package forge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
)

// State is the state of a commit.
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
	// Context is the name of the report, such as "reconciler"; a commit has one
	// status for each.
	Context string
	// Description is one short line, cut to 140 characters on GitHub and to 255
	// elsewhere.
	Description string
	// TargetURL is where to read more; empty, or http(s).
	TargetURL string
}

// posted is a status as the provider has it.
type posted struct {
	id int64
	Status
}

// maxName is the length of the longest Context and TargetURL that GitLab stores.
const maxName = 255

// SetStatus reports on a commit, which is its whole hash. It may be repeated at any
// time: of the statuses of a context the newest counts.
func (c *Client) SetStatus(ctx context.Context, commit string, s Status) error {
	if err := checkCommit(commit); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	return c.setStatus(ctx, commit, c.shown(s))
}

// LastStatus returns the newest status of this context on a commit; nil if there
// is none. Compare it with what Shown returns, to report only a change.
func (c *Client) LastStatus(ctx context.Context, commit, context string) (*Status, error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	return newest(c.statuses(ctx, commit, context), context)
}

// newest returns the newest status of a context; nil if there is none.
func newest(all iter.Seq2[posted, error], context string) (*Status, error) {
	var last *posted
	for s, err := range all {
		if err != nil {
			return nil, err
		}
		if s.Context == context && (last == nil || s.id > last.id) {
			last = &s
		}
	}
	if last == nil {
		return nil, nil
	}
	return &last.Status, nil
}

// Shown returns s as LastStatus returns it after SetStatus: with the description on
// one line and cut to the provider's limit, and with a state that the provider has.
func (c *Client) Shown(s Status) Status { return c.shown(s) }

func (s Status) check() error {
	if !slices.Contains([]State{Success, Failure, Pending, Errored}, s.State) {
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

// checkCommit rejects what is not a whole hash, SHA-1 or SHA-256.
func checkCommit(commit string) error {
	if len(commit) != 40 && len(commit) != 64 || strings.Trim(commit, "0123456789abcdef") != "" {
		return errors.New("a status needs the whole hash of a commit, 40 or 64 hexadecimal digits")
	}
	return nil
}
