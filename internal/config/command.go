package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"reconciler/internal/store/program"
	"reconciler/internal/text"
)

// commandLine is a program and its arguments. The path of a program without arguments
// needs no list.
type commandLine []at[string]

// Single makes the strict decoder accept a string as a list of one.
func (commandLine) Single() {}

const (
	minCommandTime, maxCommandTime = 100 * time.Millisecond, 5 * time.Minute
	maxCommandCache                = 24 * time.Hour
)

// command is a program that prints a secret, or signs.
type command struct {
	argv     []string
	programs *program.Cache
}

// hidden holds a value that package fmt doesn't print with any verb: it follows pointers
// to structs where a verb doesn't fit, and no pointers to pointers.
type hidden[T any] struct{ v **T }

func hide[T any](v *T) hidden[T] {
	if v == nil {
		return hidden[T]{}
	}
	return hidden[T]{&v}
}

// get returns the value; nil for none.
func (h hidden[T]) get() *T {
	if h.v == nil {
		return nil
	}
	return *h.v
}

// read returns what the program prints.
func (c *command) read(ctx context.Context) ([]byte, error) { return c.programs.Read(ctx, c.argv) }

// failed returns an error about the program, which the key names.
func (c *command) failed(key string, err error) error {
	hint := text.Hint(err)
	if failed := new(program.Error); hint == "" && errors.As(err, &failed) && !failed.Interrupted {
		hint = "run the program by hand, as the user and with the environment of this one"
	}
	return text.WithHint(fmt.Errorf("%s: command %q: %w", key, c.argv[0], err), hint)
}

// origin names the program. Of its arguments, which may be secret, it has a short hash
// that tells them from others.
func (c *command) origin() string {
	if len(c.argv) == 1 {
		return c.argv[0]
	}
	sum := sha256.Sum256([]byte(strings.Join(c.argv, "\x00")))
	return fmt.Sprintf("%s (arguments %x)", c.argv[0], sum[:4])
}

// replace returns the command with old replaced by new in its arguments. The program
// stays the same.
func (c *command) replace(old, new string) *command {
	if c == nil {
		return nil
	}
	argv := slices.Clone(c.argv)
	for i := 1; i < len(argv); i++ {
		argv[i] = strings.ReplaceAll(argv[i], old, new)
	}
	return &command{argv, c.programs}
}

// declared returns the command without what is kept of it, to be compared.
func (c *command) declared() *command {
	if c == nil {
		return nil
	}
	return &command{argv: c.argv}
}

// commands are the programs of a config by their keys, in the order of the file's blocks.
type commands []namedCommand

type namedCommand struct {
	key string
	*command
}

// CheckPrograms calls check with the path of each program that prints a secret or signs,
// and with those of its arguments that are files. It returns the first error, with the key
// and the program.
func (c *Config) CheckPrograms(check func(path string) error) error {
	all := c.commands.get()
	if all == nil {
		return nil
	}
	for _, command := range *all {
		for i, word := range command.argv {
			if info, err := os.Stat(word); i > 0 && (err != nil || !info.Mode().IsRegular()) {
				continue
			}
			if err := check(word); err != nil {
				return text.WithHint(fmt.Errorf("%s: command %q: %w", command.key, command.argv[0], err), text.Hint(err))
			}
		}
	}
	return nil
}

// command returns a program and its arguments; nil for none, and after an error.
// Messages repeat none of it: a secret may have been put in its place.
func (r *resolver) command(v *at[commandLine]) *command {
	switch {
	case !v.OK():
		return nil
	case len(v.V) == 0:
		r.fail(v, "names no program: give its path, or remove the key")
		return nil
	}
	c := &command{programs: r.programs}
	for _, item := range v.V {
		switch {
		case item.Bad:
			return nil
		case strings.ContainsRune(item.V, 0):
			r.fail(v, "has a NUL, which no argument can have")
			return nil
		}
		c.argv = append(c.argv, item.V)
	}
	path := c.argv[0]
	switch {
	case !strings.ContainsAny(path, `/`+string(filepath.Separator)) || strings.ContainsFunc(path, unicode.IsControl) || looksSecret(path):
		r.fail(v, "must begin with the path of a program, as in /usr/local/bin/NAME or ./NAME, and has its arguments as further items of a list: there is no shell, and PATH is not searched")
		return nil
	case !filepath.IsAbs(path):
		path = filepath.Join(r.dir, path)
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	c.argv[0] = filepath.Clean(path)
	if mode := fileMode(c.argv[0]); mode&0o022 != 0 {
		r.warn(v.Pos, "%q: other users of this machine can change %q (mode %#o), and with it what is run: chmod go-w it", r.fields[v].path, c.argv[0], mode)
	}
	r.commands = append(r.commands, namedCommand{r.fields[v].path, c})
	return c
}

// secret returns a secret, which at most one of the three has.
func (r *resolver) secret(value, file *at[string], cmd *at[commandLine]) Secret {
	path, c := r.privateFile(file), r.command(cmd)
	fileKey, cmdKey := r.fields[file].path, r.fields[cmd].path
	switch {
	case value.Set && file.Set:
		r.errs.Add(value.Pos, "%q is set too (%s): keep one", fileKey, file.Pos)
	case value.Set && cmd.Set:
		r.errs.Add(value.Pos, "%q is set too (%s): keep one", cmdKey, cmd.Pos)
	case file.Set && cmd.Set:
		r.exclusive(cmd, file)
	case value.Set:
		return Secret{name: value.Pos.File, value: &value.V}
	case c != nil:
		return Secret{name: cmdKey, command: hide(c)}
	case path != "":
		return Secret{name: fileKey, file: path}
	}
	return Secret{}
}
