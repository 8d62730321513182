package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

func (a *app) tokenCommand() *cobra.Command {
	var role, format string
	cmd := &cobra.Command{
		Use:   "token NAME --role ROLE",
		Short: "Make a token with which programs use a daemon",
		Long: `Make a random token, print it once, and print the line for the file that
` + config.KeyHTTPTokensFile + ` names. The file holds a hash: nobody can read the token from
it, and nothing is stored here. A running daemon takes up the file when it changes.

NAME says who uses the token; the history shows it. A viewer reads everything, an
operator may in addition run now, suspend, resume and acknowledge.`,
		Example: `  reconciler token ci --role viewer
  reconciler token on-call --role operator -o json`,
		Args: exactly("NAME", "such as ci, or the name of whoever uses the token"),
		RunE: func(_ *cobra.Command, args []string) error {
			roles := signin.Role("").Values()
			if role == "" {
				return withHint("--role is missing", "give --role "+strictyaml.OneOf(roles))
			}
			if role != string(signin.Viewer) && role != string(signin.Operator) {
				return fmt.Errorf("--role %q: must be %s%s", role, strictyaml.OneOf(roles), strictyaml.DidYouMean(role, roles))
			}
			if format != "text" && format != "json" {
				return fmt.Errorf("-o %q: must be %s", format, strictyaml.OneOf([]string{"text", "json"}))
			}
			token, entry, err := signin.NewToken(args[0], signin.Role(role))
			if err != nil {
				return err
			}
			if format == "json" {
				enc := json.NewEncoder(a.out)
				enc.SetIndent("", "  ")
				return enc.Encode(struct {
					Token string `json:"token"`
					*signin.TokenEntry
				}{token, entry})
			}
			fmt.Fprintln(a.err, "The token, which is not shown again:")
			if _, err := fmt.Fprintln(a.out, token); err != nil {
				return err
			}
			fmt.Fprintln(a.err, "The line for the file of "+config.KeyHTTPTokensFile+":")
			_, err = fmt.Fprintln(a.out, entry)
			return err
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`ROLE` of whoever has the token: viewer or operator; required")
	setValues(cmd.Flags(), "role", signin.Role("").Values())
	cmd.Flags().StringVarP(&format, "output", "o", "text", "`FORMAT`: text or json")
	setValues(cmd.Flags(), "output", []string{"text", "json"})
	return cmd
}

// The variables that have the token for a daemon, or the file with it.
const (
	tokenVariable     = "RECONCILER_TOKEN"
	tokenFileVariable = "RECONCILER_TOKEN_FILE"
)

// addDaemonToken adds the flag with the file of the token for a daemon.
func addDaemonToken(flags *pflag.FlagSet, file *string) {
	flags.StringVar(file, "token-file", "", "read the token for the daemon from `FILE` ("+tokenFileVariable+"; or the token itself in "+tokenVariable+")")
}

// maxTokenFile limits the file of a token.
const maxTokenFile = 4 << 10

// asUser returns a context in which the daemon at an address is asked with the token of
// the flag or the environment, if there is one.
func (a *app) asUser(ctx context.Context, file, address string) (context.Context, error) {
	token, where := a.getenv(tokenVariable, ""), tokenVariable
	if fromEnv := a.getenv(tokenFileVariable, ""); file == "" && fromEnv != "" {
		if token != "" {
			return nil, errors.New(tokenFileVariable + " and " + tokenVariable + " are both set: keep one")
		}
		file = fromEnv
	}
	if file != "" {
		data, err := readToken(file)
		if err != nil {
			return nil, fmt.Errorf("the token for the daemon can't be read: %w", err)
		}
		if len(data) > maxTokenFile {
			return nil, fmt.Errorf("the token for the daemon can't be read: %s is larger than %d kB", file, maxTokenFile>>10)
		}
		token, where = string(data), file
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "" && where == tokenVariable:
		return ctx, nil
	case token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return nil, withHint(fmt.Sprintf("%s holds no token: it must be one word", where), "reconciler token makes one, and prints it alone on its first line")
	}
	if u, err := url.Parse(address); err == nil && u.Scheme == "http" && u.Host != "" && !web.IsLoopback(u.Hostname()) {
		a.warn("the token is sent to " + u.Host + " unencrypted: use https")
	}
	return api.WithToken(ctx, token), nil
}

// readToken reads a file, but no more of it than shows that it is too long.
func readToken(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxTokenFile+1))
}

// withTokenHint adds to the error of a daemon that doesn't know who asks how to tell it.
func withTokenHint(err error) error {
	var unknown *api.UnauthorizedError
	if !errors.As(err, &unknown) {
		return err
	}
	return text.WithHint(err, "give a token with --token-file FILE or "+tokenVariable+`; "reconciler token" makes one`)
}
