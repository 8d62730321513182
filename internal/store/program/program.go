package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reconciler/internal/text"
)

const (
	// WaitDelay is how long a program that has ended, or was killed, may keep us waiting
	// for its outputs, while something that it started still holds them.
	WaitDelay = 2 * time.Second
	// MaxOutput is how much of each output is kept.
	MaxOutput = 64 << 10
	// maxExcerpt is how much of it is shown, in characters.
	maxExcerpt = 300

	// ownPrefix is that of our own variables.
	ownPrefix = "RECONCILER_"
	// MinPath is the environment of a program that is given none.
	MinPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Program is a program and how it is run.
type Program struct {
	// Argv is its absolute path, and its arguments.
	Argv []string
	// Environ is its environment, in the form of os.Environ, of which our own
	// variables (RECONCILER_…), which may hold secrets, are removed; nil stands for a
	// PATH and no more.
	Environ []string
	// Timeout is how long it may run.
	Timeout time.Duration
}

// Call is one run of a program.
type Call struct {
	Stdin []byte
	// Environ are variables that this run gets besides.
	Environ []string
	// Secrets are masked in errors, besides what the program itself printed on its
	// standard output.
	Secrets []string
}

// Error is why a run failed.
type Error struct {
	// Interrupted means that the caller's context has ended.
	Interrupted bool

	msg, hint string
	cause     error
}

// Error returns what happened, with the end of what the program wrote to its standard
// error, without secrets.
func (e *Error) Error() string { return e.msg }

// Hint returns what to do about it; empty if that depends on what the program is for.
func (e *Error) Hint() string { return e.hint }

// Unwrap returns the cause of a program that couldn't be started, or the end of the
// context.
func (e *Error) Unwrap() error { return e.cause }

// String names the program. Its arguments may hold secrets.
func (p *Program) String() string { return fmt.Sprintf("command %q", p.Argv[0]) }

// Check returns why the program can never be run, whatever is on the disk.
func (p *Program) Check() error {
	switch {
	case len(p.Argv) == 0 || p.Argv[0] == "":
		return text.WithHint(errors.New("no program is given"), "name it by its absolute path")
	case !filepath.IsAbs(p.Argv[0]):
		return text.WithHint(fmt.Errorf("%q is no absolute path", p.Argv[0]),
			"write the whole path, so that nothing else of that name can get the secrets")
	}
	for _, word := range slices.Concat(p.Argv, p.Environ) {
		if strings.ContainsRune(word, 0) {
			return errors.New("arguments and environment can't hold a NUL")
		}
	}
	return nil
}

// Run runs the program and returns what it printed. The error is an *Error.
func (p *Program) Run(ctx context.Context, call Call) (Output, error) {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	var stdout, stderr ending
	cmd := exec.CommandContext(ctx, p.Argv[0], p.Argv[1:]...)
	cmd.Env = slices.Concat(p.environ(), call.Environ)
	cmd.Stdin = strings.NewReader(string(call.Stdin))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = WaitDelay
	group(cmd)
	err := cmd.Run()
	reap(cmd)
	if errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() && ctx.Err() == nil {
		err = nil // it is done; what it left running doesn't matter
	}
	if err == nil {
		return Output{stdout.bytes(), stdout.cut}, nil
	}
	failure := p.explain(asked, ctx, cmd, err)
	secrets := slices.Concat(call.Secrets, secretsOf(p.Environ), wordsOf(stdout.String()))
	if words := tail(HideLikely(Scrub(stderr.String(), Mask, secrets...))); words != "" && !failure.Interrupted {
		failure.msg += ": " + words
	}
	return Output{}, failure
}

// environ returns the environment of each run.
func (p *Program) environ() []string {
	if p.Environ == nil {
		return []string{MinPath}
	}
	return slices.DeleteFunc(slices.Clone(p.Environ), func(v string) bool { return strings.HasPrefix(strings.ToUpper(v), ownPrefix) })
}

// explain returns why a program failed.
func (p *Program) explain(asked, ctx context.Context, cmd *exec.Cmd, err error) *Error {
	switch {
	case asked.Err() != nil:
		return &Error{Interrupted: true, msg: "interrupted", cause: context.Cause(asked)}
	case ctx.Err() != nil:
		return &Error{msg: fmt.Sprintf("it was killed after %v", p.Timeout)}
	case cmd.ProcessState == nil:
		return &Error{msg: "it can't be started: " + reason(err), hint: "the program must exist and be executable for the user that this one runs as", cause: bare(err)}
	default:
		return &Error{msg: cmd.ProcessState.String()}
	}
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

// bare returns what can be asked about an error of a start, such as fs.ErrNotExist.
func bare(err error) error {
	for _, known := range []error{fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// Output is what a program printed on its standard output.
type Output struct {
	// Data is the end of it, and Cut means that there was more than MaxOutput.
	Data []byte
	Cut  bool
}

// tail returns the end of an output on one line: that is where errors are.
func tail(s string) string {
	s = text.OneLine(s, math.MaxInt)
	if r := []rune(s); len(r) > maxExcerpt {
		return "…" + string(r[len(r)-maxExcerpt:])
	}
	return s
}

// ending keeps the end of what is written to it, which is where programs report
// errors.
type ending struct {
	b   []byte
	cut bool
}

// Write never fails, so that nothing stops the program.
func (e *ending) Write(p []byte) (int, error) {
	e.b = append(e.b, p...)
	e.cut = e.cut || len(e.b) > MaxOutput
	if len(e.b) > 2*MaxOutput {
		e.b = append([]byte(nil), e.b[len(e.b)-MaxOutput:]...)
	}
	return len(p), nil
}

func (e *ending) bytes() []byte { return e.b[max(0, len(e.b)-MaxOutput):] }

// String returns the end of what was written.
func (e *ending) String() string { return string(e.bytes()) }
