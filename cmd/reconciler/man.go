package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand is for building packages, and so is hidden.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write the manual pages of all commands into a folder",
		Long:   "Write the manual pages of all commands into a folder, which is created if it\nisn't there: reconciler.1, reconciler-apply.1 and so on.",
		Hidden: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("man takes one FOLDER")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return writeManPages(cmd.Root(), args[0])
		},
	}
}

// writeManPages writes the page of a command, and those of the commands below it.
func writeManPages(cmd *cobra.Command, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, manName(cmd)+".1"), manPage(cmd), 0o644); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if err := writeManPages(c, dir); err != nil {
			return err
		}
	}
	return nil
}

func manName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// manPage returns the page of a command in the macros of man(7), with the texts of its
// help. It has no date, so that one version has one page.
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 \"\" %s \"User Commands\"\n", manQuote(strings.ToUpper(manName(cmd))), manQuote("reconciler "+versionString()))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", manText(manName(cmd)), manText(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.nf\n%s\n.fi\n", manText(cmd.UseLine()))
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, ".PP\nAlso: %s\n", manText(strings.Join(cmd.Aliases, ", ")))
	}
	b.WriteString(".SH DESCRIPTION\n")
	manParagraphs(&b, cmd.Long)
	if cmd.HasExample() {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", manText(strings.Trim(cmd.Example, "\n")))
	}
	manCommands(&b, cmd)
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "COMMON OPTIONS", cmd.InheritedFlags())
	manRelated(&b, cmd)
	return b.Bytes()
}

// manParagraphs writes text as it is in the help: lines of a paragraph are filled, and
// those that are indented stay as they are.
func manParagraphs(b *bytes.Buffer, text string) {
	for paragraph := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		verbatim := slices.ContainsFunc(strings.Split(paragraph, "\n"), func(line string) bool { return strings.HasPrefix(line, " ") })
		if verbatim {
			fmt.Fprintf(b, ".PP\n.nf\n%s\n.fi\n", manText(paragraph))
		} else {
			fmt.Fprintf(b, ".PP\n%s\n", manText(paragraph))
		}
	}
}

// manCommands writes the commands below a command.
func manCommands(b *bytes.Buffer, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString(".SH COMMANDS\n")
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(b, ".TP\n.BR %s (1)\n%s\n", manQuote(manName(c)), manText(c.Short))
		}
	}
}

// manFlags writes a section of flags, where there are any.
func manFlags(b *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %q\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			value = " " + value
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR\\fI%s\\fR\n%s", manText(name), manText(value), manText(usage))
		if values, ok := f.Annotations[valuesAnnotation]; ok && !strings.Contains(usage, values[0]) {
			fmt.Fprintf(b, " (%s)", manText(strings.Join(values, ", ")))
		}
		if !slices.Contains([]string{"", "false", "0", "0s", "[]"}, f.DefValue) {
			fmt.Fprintf(b, " (default %s)", manText(f.DefValue))
		}
		b.WriteByte('\n')
	})
}

// manRelated writes the section with the page of the command above.
func manRelated(b *bytes.Buffer, cmd *cobra.Command) {
	if !cmd.HasParent() {
		return
	}
	fmt.Fprintf(b, ".SH \"SEE ALSO\"\n.BR %s (1)\n", manQuote(manName(cmd.Parent())))
}

// manText escapes text for the body of a page.
func manText(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// manQuote returns text as one argument of a macro.
func manQuote(text string) string {
	return `"` + strings.ReplaceAll(manText(text), `"`, `\(dq`) + `"`
}
