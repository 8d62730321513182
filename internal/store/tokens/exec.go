package tokens

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reconciler/internal/text"
)

const (
	// timeout is how long a command may run, and CommandTimeout how long it may
	// take until it is over.
	timeout        = 30 * time.Second
	CommandTimeout = timeout + waitDelay
	// maxOutput is how much of each output is kept.
	maxOutput = 64 << 10
	// maxExcerpt is how much of it is shown, in characters.
	maxExcerpt = 300
	// waitDelay is how long to wait for the outputs of a command that has ended,
	// while something that it started still holds them.
	waitDelay = 2 * time.Second

	envPrefix = "RECONCILER_"
	minPath   = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// command is a sink behind a program.
type command struct {
	argv    []string
	env     []string
	timeout time.Duration
}

// Exec returns a sink that hands tokens to a program, as the package comment
// describes. argv is its absolute path, and its arguments. Variables of our own
// (RECONCILER_…), which may hold secrets, are removed from environ; if that is nil,
// the program gets a PATH and no more. After 30 seconds the program is killed, with
// all that it started. Whether it exists is for Probe to find out.
func Exec(argv, environ []string) (Sink, error) {
	switch {
	case len(argv) == 0 || argv[0] == "":
		return nil, text.WithHint(errors.New("token command: no program is given"), "name it by its absolute path")
	case !filepath.IsAbs(argv[0]):
		return nil, text.WithHint(fmt.Errorf("token command: %q is no absolute path", argv[0]),
			"write the whole path, so that nothing else of that name can get the tokens")
	}
	for _, word := range slices.Concat(argv, environ) {
		if strings.ContainsRune(word, 0) {
			return nil, errors.New("token command: arguments and environment can't hold a NUL")
		}
	}
	if environ == nil {
		environ = []string{minPath}
	}
	env := slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(strings.ToUpper(v), envPrefix) })
	return &command{slices.Clone(argv), env, timeout}, nil
}

// String names the program. Its arguments may hold secrets.
func (c *command) String() string { return fmt.Sprintf("command %q", c.argv[0]) }

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
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var stdout, stderr ending
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = slices.Concat(c.env, describe(m), more)
	cmd.Stdin = strings.NewReader(secret)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = waitDelay
	group(cmd)
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() && ctx.Err() == nil {
		err = nil // the token is safe; what the program left running doesn't matter
	}
	if err == nil {
		return scrub(stdout.String(), secret), nil
	}
	what, hint := c.explain(ctx, cmd, err)
	doing := fmt.Sprintf("storing the token of %q by the %s", m.Domain, c)
	if len(more) > 0 {
		doing = fmt.Sprintf("token %s: a trial run failed", c)
	}
	if words := tail(scrub(stderr.String(), secret)); words != "" {
		what += ": " + words
	}
	return "", text.WithHint(fmt.Errorf("%s: %s", doing, what), hint)
}

// explain returns why a command failed, and what to do about it.
func (c *command) explain(ctx context.Context, cmd *exec.Cmd, err error) (what, hint string) {
	hint = "the command must read the token from its standard input, keep it, and end with 0: try it by hand"
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("it was killed after %v", c.timeout), hint
	case ctx.Err() != nil:
		return "interrupted", ""
	case cmd.ProcessState == nil:
		return "it can't be started: " + reason(err), "the program must exist and be executable for the user that this one runs as"
	default:
		return cmd.ProcessState.String(), hint
	}
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

// reason returns an error of a start without the path, which the message has.
func reason(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
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

// tail returns the end of an output on one line: that is where errors are.
func tail(s string) string {
	s = oneLine(s)
	if r := []rune(s); len(r) > maxExcerpt {
		return "…" + string(r[len(r)-maxExcerpt:])
	}
	return s
}

func oneLine(s string) string { return text.OneLine(s, math.MaxInt) }

// ending keeps the end of what is written to it, which is where programs report
// errors.
type ending struct{ b []byte }

// Write never fails, so that nothing stops the program.
func (e *ending) Write(p []byte) (int, error) {
	e.b = append(e.b, p...)
	if len(e.b) > 2*maxOutput {
		e.b = append([]byte(nil), e.b[len(e.b)-maxOutput:]...)
	}
	return len(p), nil
}

func (e *ending) String() string { return string(e.b[max(0, len(e.b)-maxOutput):]) }
