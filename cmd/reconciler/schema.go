package main

import (
	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/state"
)

func (a *app) schemaCommand() *cobra.Command {
	var forConfig bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the manifest or the config",
		Long: `Print the JSON Schema (2020-12) of the manifest, or with --config-schema of the
config file, for editors. VS Code's YAML extension uses it in a file that begins
with

  # yaml-language-server: $schema=manifest.schema.json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			schema := state.Schema
			if forConfig {
				schema = config.Schema
			}
			_, err := a.out.Write(schema)
			return err
		},
	}
	cmd.Flags().BoolVar(&forConfig, "config-schema", false, "print the schema of the config file instead")
	return cmd
}
