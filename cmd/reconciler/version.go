package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in released builds.
var version = ""

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version of reconciler, of Go and of the platform.",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			_, err := fmt.Fprintln(a.out, versionLine(version, info))
			return err
		},
	}
}

// versionString returns the version in one word.
func versionString() string {
	info, _ := debug.ReadBuildInfo()
	word, _ := describe(version, info)
	return word
}

// versionLine returns what the version command prints.
func versionLine(version string, info *debug.BuildInfo) string {
	word, committed := describe(version, info)
	if committed != "" {
		word += " (" + committed + ")"
	}
	return fmt.Sprintf("reconciler %s %s %s/%s", word, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// describe returns the version that the linker set, else the commit that the
// program was built from and the time of that commit, else "devel". Changes that
// were not committed are marked.
func describe(version string, info *debug.BuildInfo) (word, committed string) {
	if version != "" {
		return version, ""
	}
	word = "devel"
	if info == nil {
		return word, ""
	}
	vcs := map[string]string{}
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	revision := vcs["vcs.revision"]
	if revision == "" {
		return word, ""
	}
	word += "-" + revision[:min(12, len(revision))]
	if vcs["vcs.modified"] == "true" {
		word += "+modified"
	}
	return word, vcs["vcs.time"]
}
