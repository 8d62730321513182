package tokens

import (
	"cmp"
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
	// defaultTimeout is for commands whose config doesn't say.
	defaultTimeout = 30 * time.Second
	// maxOutput is how much of each output is looked at.
	maxOutput = 64 << 10
	// maxExcerpt is how much of it is told, in characters.
	maxExcerpt = 300
	// lingering is how long the outputs of a command that has ended are waited
	// for when something that it started still holds them.
	lingering = 2 * time.Second

	envPrefix = "RECONCILER_"
	minPath   = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Command is a program that keeps tokens. The package comment says how it is
// called.
type Command struct {
	// Argv is the program, by its absolute path, and its arguments.
	Argv []string
	// Env is its environment, as NAME=VALUE. Variables of our own
	// (RECONCILER_…), which may hold secrets, are taken out of it. When it is
	// nil, the program gets a PATH and no more.
	Env []string
	// Timeout is how long it may take; 0 means 30 seconds. Then it is killed,
	// with all that it started.
	Timeout time.Duration
}

// Exec hands tokens to a command. That it is there is for Probe to find out.
func Exec(c Command) (Sink, error) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return nil, &Error{msg: "token command: no program is given", hint: "name it by its absolute path"}
	}
	if !filepath.IsAbs(c.Argv[0]) {
		return nil, &Error{
			msg:  fmt.Sprintf("token command: %q is no absolute path", c.Argv[0]),
			hint: "write the whole path, so that nothing else of that name can get the tokens",
		}
	}
	for _, word := range slices.Concat(c.Argv, c.Env) {
		if strings.ContainsRune(word, 0) {
			return nil, &Error{msg: "token command: arguments and environment can't hold a NUL"}
		}
	}
	if c.Timeout < 0 {
		return nil, &Error{msg: fmt.Sprintf("token command: its timeout can't be %v", c.Timeout)}
	}
	s := &command{argv: slices.Clone(c.Argv), timeout: cmp.Or(c.Timeout, defaultTimeout)}
	s.env = slices.DeleteFunc(slices.Clone(c.Env), func(v string) bool { return strings.HasPrefix(strings.ToUpper(v), envPrefix) })
	if c.Env == nil {
		s.env = []string{minPath}
	}
	return s, nil
}

// command is a sink behind a program.
type command struct {
	argv    []string
	env     []string
	timeout time.Duration
}

// String names the program. Its arguments may hold what isn't for everybody.
func (c *command) String() string { return fmt.Sprintf("command %q", c.argv[0]) }

// Probe runs the program for a random word.
func (c *command) Probe(ctx context.Context) error {
	m := Meta{Domain: "probe.invalid", OrgID: "probe", Parent: "probe", CreatedAt: time.Now()}
	_, err := c.run(ctx, m, "probe-"+rand.Text(), envPrefix+"TOKEN_PROBE=1")
	return err
}

// Store runs the program for a token. If it is run again for the same token, it
// is for the program to see that.
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

// Find can't be answered by a program that knows nothing but how to store: one
// that doesn't understand the question would store nothing in the place of a
// token.
func (c *command) Find(string) ([]Stored, error) {
	return nil, &Error{
		msg:  fmt.Sprintf("%s can't tell which tokens it holds", c),
		hint: "look there by hand",
		err:  errors.ErrUnsupported,
	}
}

// run gives what the program printed, without the secret.
func (c *command) run(ctx context.Context, m Meta, secret string, more ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var stdout, stderr ending
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = slices.Concat(c.env, describe(m), more)
	cmd.Stdin = strings.NewReader(secret)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = lingering
	group(cmd)
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() && ctx.Err() == nil {
		err = nil // it has made its promise; what it left running is its own affair
	}
	if err == nil {
		return scrub(stdout.String(), secret), nil
	}
	e := &Error{err: err, hint: "the command must read the token from its standard input, keep it, and end with 0: try it by hand"}
	what := fmt.Sprintf("storing the token of %q by the %s", m.Domain, c)
	if len(more) > 0 {
		what = fmt.Sprintf("token %s: a trial run failed", c)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e.msg = fmt.Sprintf("%s: it was killed after %v", what, c.timeout)
	case ctx.Err() != nil:
		e.msg, e.hint = fmt.Sprintf("%s: interrupted", what), ""
	case cmd.ProcessState == nil:
		e.msg, e.hint = fmt.Sprintf("%s: it can't be started: %s", what, reason(err)), "the program must exist and be executable for the user that this one runs as"
	default:
		e.msg = fmt.Sprintf("%s: %s", what, cmd.ProcessState)
	}
	if words := tail(scrub(stderr.String(), secret)); words != "" {
		e.msg += ": " + words
	}
	return "", e
}

// describe gives the variables that tell what a token belongs to.
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

// reason gives an error of a start without the path, which was named.
func reason(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// lastLine gives the last line that isn't empty, cut where it gets long.
func lastLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range slices.Backward(lines) {
		if line = oneLine(line); line != "" {
			if r := []rune(line); len(r) > maxExcerpt {
				line = string(r[:maxExcerpt]) + "…"
			}
			return line
		}
	}
	return ""
}

// tail gives the end of an output as one line: that is where errors stand.
func tail(s string) string {
	s = oneLine(s)
	if r := []rune(s); len(r) > maxExcerpt {
		return "…" + string(r[len(r)-maxExcerpt:])
	}
	return s
}

// oneLine makes foreign words printable.
func oneLine(s string) string { return text.OneLine(s, math.MaxInt) }

// ending keeps the end of what is written to it, which is where programs say
// what became of it all.
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
