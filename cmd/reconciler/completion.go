package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reconciler/internal/strictyaml"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Print the completion script for bash, zsh, fish or powershell",
		Long:      "Print the completion script for bash, zsh, fish or powershell, as in\n\n  source <(reconciler completion bash)",
		Args:      oneShell,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
		},
	}
}

// valuesAnnotation is the annotation of a flag that takes one of a few values.
const valuesAnnotation = "reconciler_values"

// setValues sets the values that a flag takes, for the completion of shells.
func setValues(flags *pflag.FlagSet, name string, values []string) {
	if err := flags.SetAnnotation(name, valuesAnnotation, values); err != nil {
		panic(err) // there is no such flag
	}
}

// completeValues makes shells complete the values of a command's flags.
func completeValues(cmd *cobra.Command) {
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			values, ok := f.Annotations[valuesAnnotation]
			if !ok {
				return
			}
			complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
			if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
				panic(err) // two functions for one flag
			}
		})
	}
}

// oneShell wants the one argument to be a shell that there is a script for.
func oneShell(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) != 1:
		return fmt.Errorf("completion takes one SHELL: %s", strictyaml.OneOf(cmd.ValidArgs))
	case !slices.Contains(cmd.ValidArgs, args[0]):
		return fmt.Errorf("unknown shell %q: must be %s", args[0], strictyaml.OneOf(cmd.ValidArgs))
	}
	return nil
}
