package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noArgs is for commands that take flags alone.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no arguments, and got %q: see %q", cmd.Name(), args[0], cmd.CommandPath()+" --help")
}

// diffArgs is noArgs for diff, with a hint: other programs of that name take
// revisions and folders as arguments.
func diffArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	flag := "--base"
	if _, err := os.Stat(args[0]); err == nil {
		flag = "--manifests"
	}
	return fmt.Errorf("%s takes no arguments, and got %q: did you mean %s %s?", cmd.Name(), args[0], flag, args[0])
}

// atMostOne is for commands that take one argument, called what, or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%s takes one %s, and got %d", cmd.Name(), what, len(args))
		}
		return nil
	}
}

// exactly accepts one argument. hint says where to find it; empty if that is plain.
func exactly(what, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := noneEmpty(cmd, args); err != nil || len(args) == 1 {
			return err // before what is missing
		}
		return withHint(fmt.Sprintf("%s takes one %s, and got %d", cmd.Name(), what, len(args)), hint)
	}
}

// noneEmpty refuses empty values of flags and empty arguments, of all commands.
// They are unset variables of a script, and to ignore them would do more than was
// asked for: all orgs instead of one, no check instead of a check.
func noneEmpty(cmd *cobra.Command, args []string) error {
	const hint = "is a variable of your script not set?"
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && slices.ContainsFunc(flagValues(f), blank) {
			err = withHint("--"+f.Name+" is empty", hint)
		}
	})
	if i := slices.IndexFunc(args, blank); err == nil && i >= 0 {
		err = withHint(fmt.Sprintf("argument %d of %s is empty", i+1, cmd.Name()), hint)
	}
	return err
}

func flagValues(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// flagError words an error of a flag.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return fmt.Errorf("%w: see %q", err, cmd.CommandPath()+" --help")
	}
	flag := bad.GetFlag()
	expected, known := map[string]string{
		"bool":     "true or false",
		"int":      "a number",
		"duration": "a duration, such as 90m or 72h",
	}[flag.Value.Type()]
	switch {
	case !known:
		return fmt.Errorf("--%s %q: %w", flag.Name, bad.GetValue(), bad.Unwrap())
	case errors.Is(err, strconv.ErrRange):
		expected += " that is smaller"
	}
	return fmt.Errorf("--%s %q: must be %s", flag.Name, bad.GetValue(), expected)
}
