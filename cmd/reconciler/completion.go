package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

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
