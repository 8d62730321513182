package tokens

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"reconciler/internal/store/program"
	"reconciler/internal/text"
)

const (
	// timeout is how long a command may run, and CommandTimeout how long it may
	// take until it is over.
	timeout        = 30 * time.Second
	CommandTimeout = timeout + program.WaitDelay
	// maxExcerpt is how much of an output is shown, in characters.
	maxExcerpt = 300

	envPrefix = "RECONCILER_"
	// mask replaces a token in what a command prints.
	mask = "[token]"
)

// command is a sink behind a program.
type command struct{ program.Program }

// Exec returns a sink that hands tokens to a program, as the package comment
// describes. argv is its absolute path, and its arguments. Variables of our own
// (RECONCILER_…), which may hold secrets, are removed from environ; if that is nil,
// the program gets a PATH and no more. After 30 seconds the program is killed, with
// all that it started. Whether it exists is for Probe to find out.
func Exec(argv, environ []string) (Sink, error) {
	c := &command{program.Program{Argv: slices.Clone(argv), Environ: slices.Clone(environ), Timeout: timeout}}
	if err := c.Check(); err != nil {
		return nil, text.WithHint(fmt.Errorf("token command: %w", err), text.Hint(err))
	}
	return c, nil
}

// Probe runs the program for a random word.
func (c *command) Probe(ctx context.Context) error {
	m := Meta{Domain: "probe.invalid", OrgID: "probe", Parent: "probe", CreatedAt: time.Now()}
	_, err := c.run(ctx, m, "probe-"+rand.Text(), envPrefix+"TOKEN_PROBE=1")
	return err
}

// Store runs the program for a token. If it is run again for the same token, the
// program has to notice.
func (c *command) Store(m Meta, t Token) (string, error) {
	secret, err := secretOf(m, t)
	if err != nil {
		return "", err
	}
	out, err := c.run(context.Background(), m, secret)
	if err != nil {
		return "", err
	}
	if line := lastLine(out); line != "" {
		return fmt.Sprintf("%s: %s", c, line), nil
	}
	return c.String(), nil
}

// Find fails: the program knows nothing but how to store, and one that doesn't
// understand a query would store that in the place of a token.
func (c *command) Find(string) ([]Stored, error) {
	return nil, text.WithHint(fmt.Errorf("%s can't tell which tokens it holds: %w", c, errors.ErrUnsupported), "look there by hand")
}

// Finish does nothing: the program alone knows what it does not finish.
func (c *command) Finish(string) error { return nil }

// run returns what the program printed, without the secret.
func (c *command) run(ctx context.Context, m Meta, secret string, more ...string) (string, error) {
	out, err := c.Run(ctx, program.Call{Stdin: []byte(secret), Environ: slices.Concat(describe(m), more), Secrets: []string{secret}})
	if err == nil {
		return program.Scrub(string(out.Data), mask, secret), nil
	}
	doing := fmt.Sprintf("storing the token of %q by the %s", m.Domain, c)
	if len(more) > 0 {
		doing = fmt.Sprintf("token %s: a trial run failed", c)
	}
	hint := text.Hint(err)
	if failed := new(program.Error); hint == "" && errors.As(err, &failed) && !failed.Interrupted {
		hint = "the command must read the token from its standard input, keep it, and end with 0: try it by hand"
	}
	return "", text.WithHint(fmt.Errorf("%s: %w", doing, err), hint)
}

// describe returns the variables that say what a token belongs to.
func describe(m Meta) []string {
	set := func(name, value string) string { return envPrefix + "TOKEN_" + name + "=" + oneLine(value) }
	vars := []string{
		set("DOMAIN", strings.ToLower(m.Domain)),
		set("ORG_ID", m.OrgID),
		set("PARENT", m.Parent),
	}
	if m.CreatedAt.IsZero() {
		return append(vars, set("CREATED_AT", ""))
	}
	return append(vars, set("CREATED_AT", m.CreatedAt.UTC().Format(time.RFC3339)))
}

// lastLine returns the last line that isn't empty, cut where it gets long.
func lastLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range slices.Backward(lines) {
		if line = text.OneLine(line, maxExcerpt+1); line != "" {
			return line
		}
	}
	return ""
}

func oneLine(s string) string { return text.OneLine(s, math.MaxInt) }
