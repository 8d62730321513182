package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"reconciler/internal/git/forge"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// maxCommentInput is how much is read of what is to be posted, of which the
// forge takes a small part; maxEvent how much of CI's description of an event.
const (
	maxCommentInput = 64 << 20
	maxEvent        = 32 << 20
)

// commentFlags say which comment on which request of which repository.
type commentFlags struct {
	provider, repository, url, name string
	number                          int
}

func (a *app) commentCommand() *cobra.Command {
	var f commentFlags
	cmd := &cobra.Command{
		Use:   "comment [FILE]",
		Short: "Write a comment on a pull or merge request, or update it",
		Long: `Write FILE, or stdin, as a comment on a pull or merge request. There is one
comment for each --name: later calls update it, unless it already says the same.
Comments of others are never changed.

GitHub Actions, GitLab CI and the Actions of Gitea and Forgejo provide the values
of all flags. The token is in GITHUB_TOKEN, GITLAB_TOKEN, GITEA_TOKEN or
FORGEJO_TOKEN and never a flag. The comment's URL, if the server returns it, goes
to stdout, the outcome to stderr.`,
		Example: `  reconciler diff --base origin/main -o markdown | reconciler comment`,
		Args:    atMostOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("number") && f.number < 1 {
				return fmt.Errorf("--number %d: must be 1 or more", f.number)
			}
			return a.comment(cmd.Context(), f, append(args, "-")[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.provider, "provider", "", "`PROVIDER`: github, gitlab, gitea or forgejo (GITHUB_ACTIONS, GITLAB_CI, GITEA_ACTIONS, FORGEJO_ACTIONS)")
	setValues(flags, "provider", forge.Providers())
	flags.StringVar(&f.repository, "repository", "", "`OWNER/NAME`, on GitLab the path or number of the project (GITHUB_REPOSITORY, CI_MERGE_REQUEST_PROJECT_ID)")
	flags.IntVar(&f.number, "number", 0, "`NUMBER` of the pull or merge request (GITHUB_REF, GITHUB_EVENT_PATH, CI_MERGE_REQUEST_IID)")
	flags.StringVar(&f.url, "url", "", "`URL` of the API (GITHUB_API_URL, CI_API_V4_URL; for Gitea and Forgejo also GITHUB_SERVER_URL)")
	flags.StringVar(&f.name, "name", "reconciler", "`NAME` of the comment, to tell several on one request apart")
	return cmd
}

func (a *app) comment(ctx context.Context, f commentFlags, file string) error {
	logger, err := a.logger()
	if err != nil {
		return err
	}
	if err := a.fillFromCI(&f); err != nil {
		return err
	}
	token, err := a.forgeToken(f.provider)
	if err != nil {
		return err
	}
	body, err := a.readComment(file)
	if err != nil {
		return err
	}
	transport := aerial.BaseTransport(1)
	defer transport.CloseIdleConnections()
	client, err := forge.New(forge.Options{
		Provider: f.provider, URL: f.url, Repository: f.repository,
		Token: func(context.Context) (string, error) { return token, nil },
		HTTP:  transport, Logger: logger,
	})
	if err != nil {
		return err
	}
	done, err := client.Comment(ctx, f.number, f.name, body)
	if err != nil {
		return err
	}
	if done.Guessed {
		a.warn(fmt.Sprintf("the server doesn't tell who the token belongs to: which comment %q is its own was guessed", f.name))
	}
	fmt.Fprintf(a.err, "%s: the comment %q on number %d of %s\n", done.Outcome, f.name, f.number, f.repository)
	if done.URL == "" { // the server doesn't tell
		return nil
	}
	_, err = fmt.Fprintln(a.out, done.URL)
	return err
}

// forgeToken returns the token for a provider. The Actions of Gitea and Forgejo name
// it as GitHub's do; elsewhere, GITHUB_TOKEN is one for GitHub and goes to no other.
func (a *app) forgeToken(provider string) (string, error) {
	variable := strings.ToUpper(provider) + "_TOKEN"
	token := a.getenv(variable, "")
	if token == "" && a.onActionsOf(provider) {
		token = a.getenv("GITHUB_TOKEN", "")
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", withHint(fmt.Sprintf("no token: %s is not set", variable), tokenHints[provider])
	}
	return token, nil
}

// actionsOf returns whose Actions run this job; "" for none. Those of Gitea and
// Forgejo set the variables of GitHub's too.
func (a *app) actionsOf() string {
	set := func(name string) bool { return a.getenv(name, "") == "true" }
	switch {
	case set("FORGEJO_ACTIONS"):
		return forge.Forgejo
	case set("GITEA_ACTIONS"), set("GITHUB_ACTIONS") && strings.HasSuffix(strings.TrimRight(a.getenv("GITHUB_API_URL", ""), "/"), "/api/v1"):
		return forge.Gitea
	case set("GITHUB_ACTIONS"):
		return forge.GitHub
	}
	return ""
}

// onActionsOf reports whether Actions of that provider run this job. Those of Forgejo
// may say that they are Gitea's.
func (a *app) onActionsOf(provider string) bool {
	actions := a.actionsOf()
	return actions == provider || actions == forge.Gitea && provider == forge.Forgejo
}

var tokenHints = map[string]string{
	forge.GitHub:  "in a workflow give the step env: GITHUB_TOKEN: ${{ github.token }}, and the job permissions: pull-requests: write",
	forge.GitLab:  "make a project access token with the scope api and the role Reporter, and keep it as the masked CI/CD variable GITLAB_TOKEN; a job's own CI_JOB_TOKEN can't comment",
	forge.Gitea:   giteaTokenHint,
	forge.Forgejo: giteaTokenHint,
}

const giteaTokenHint = "in a workflow give the step env: GITHUB_TOKEN: ${{ github.token }}; elsewhere make a token with the scopes write:issue and read:user"

// fillFromCI takes from the CI environment what no flag gives, and checks that nothing is missing.
func (a *app) fillFromCI(f *commentFlags) error {
	if f.provider == "" {
		f.provider = a.actionsOf()
	}
	if f.provider == "" && a.getenv("GITLAB_CI", "") == "true" {
		f.provider = forge.GitLab
	}
	var err error
	number := f.number
	switch f.provider {
	case "":
		return withHint("--provider is missing: must be "+strictyaml.OneOf(forge.Providers()), "it is detected only in GitLab CI and in the Actions of GitHub, Gitea and Forgejo; elsewhere pass --provider")
	case forge.Gitea, forge.Forgejo:
		if a.onActionsOf(f.provider) {
			f.url = cmp.Or(f.url, a.getenv("GITHUB_API_URL", a.getenv("GITHUB_SERVER_URL", "")))
		}
		if f.url == "" {
			return withHint("--url is missing", "it is that of the server's API, as in https://git.example/api/v1")
		}
		f.repository = cmp.Or(f.repository, a.getenv("GITHUB_REPOSITORY", ""))
		if number == 0 {
			number, err = a.githubNumber()
		}
	case forge.GitHub:
		f.url = cmp.Or(f.url, a.getenv("GITHUB_API_URL", ""))
		f.repository = cmp.Or(f.repository, a.getenv("GITHUB_REPOSITORY", ""))
		if number == 0 {
			number, err = a.githubNumber()
		}
	case forge.GitLab:
		f.url = cmp.Or(f.url, a.getenv("CI_API_V4_URL", ""))
		// A pipeline for a fork's merge request may run in the fork; the request
		// is in the project that it is to be merged into.
		f.repository = cmp.Or(f.repository, a.getenv("CI_MERGE_REQUEST_PROJECT_ID", a.getenv("CI_PROJECT_ID", a.getenv("CI_PROJECT_PATH", ""))))
		if number == 0 {
			number, err = a.gitlabNumber()
		}
	default:
		return fmt.Errorf("--provider %q: must be %s", f.provider, strictyaml.OneOf(forge.Providers()))
	}
	switch {
	case err != nil:
		return err
	case f.repository == "":
		return withHint("--repository is missing", "it is detected only in GitLab CI and in the Actions of GitHub, Gitea and Forgejo; elsewhere pass --repository")
	}
	f.number = number
	return nil
}

// githubNumber finds the pull request that a workflow runs for: by its ref,
// such as refs/pull/7/merge, else by the event.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
func (a *app) githubNumber() (int, error) {
	if rest, ok := strings.CutPrefix(a.getenv("GITHUB_REF", ""), "refs/pull/"); ok {
		first, _, _ := strings.Cut(rest, "/")
		if n, err := strconv.Atoi(first); err == nil && n > 0 {
			return n, nil
		}
	}
	path := a.getenv("GITHUB_EVENT_PATH", "")
	if path == "" {
		return 0, notARequest("pull request", "give --number, or run this for the event pull_request")
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("GITHUB_EVENT_PATH: %w", err)
	}
	defer file.Close()
	var event struct {
		Number      int `json:"number"`
		PullRequest *struct {
			Number int `json:"number"`
		} `json:"pull_request"`
		Issue *struct { // a comment was written
			Number      int       `json:"number"`
			PullRequest *struct{} `json:"pull_request"`
		} `json:"issue"`
	}
	if err := json.NewDecoder(io.LimitReader(file, maxEvent)).Decode(&event); err != nil {
		return 0, fmt.Errorf("GITHUB_EVENT_PATH: %s: %w", path, err)
	}
	switch {
	case event.PullRequest != nil && event.PullRequest.Number > 0:
		return event.PullRequest.Number, nil
	case event.Issue != nil && event.Issue.PullRequest != nil && event.Issue.Number > 0:
		return event.Issue.Number, nil
	case event.Issue == nil && event.Number > 0:
		return event.Number, nil
	default:
		return 0, notARequest("pull request", "run this step only if github.event_name is pull_request, or give --number")
	}
}

// gitlabNumber finds the merge request that a pipeline runs for.
// https://docs.gitlab.com/ci/variables/predefined_variables/
func (a *app) gitlabNumber() (int, error) {
	iid := a.getenv("CI_MERGE_REQUEST_IID", "")
	if iid == "" {
		return 0, notARequest("merge request", "run this job only if $CI_PIPELINE_SOURCE is merge_request_event, or give --number")
	}
	n, err := strconv.Atoi(iid)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("CI_MERGE_REQUEST_IID %q is no number", iid)
	}
	return n, nil
}

func notARequest(kind, hint string) error {
	return withHint("this is not the run of a "+kind+", and --number is missing", hint)
}

// readComment reads what is to be posted; "-" is stdin.
func (a *app) readComment(file string) (string, error) {
	in, name := a.in, "stdin"
	switch {
	case file != "-":
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in, name = f, file
	case isTerminal(a.in):
		return "", withHint("nothing to post: stdin is a terminal", "name a FILE, or pipe a report into this: reconciler diff -o markdown | reconciler comment")
	}
	data, err := io.ReadAll(io.LimitReader(in, maxCommentInput+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading %s: %w", name, err)
	case len(data) > maxCommentInput:
		return "", fmt.Errorf("%s is longer than %d MiB", name, maxCommentInput>>20)
	}
	data, err = text.Decode(data)
	switch {
	case err != nil:
		return "", withHint(fmt.Sprintf("%s can't be posted: %v", name, err), utf16Hint)
	case strings.TrimSpace(string(data)) == "":
		return "", withHint(name+" is empty: there is nothing to post", "did the command before this one fail?")
	}
	return string(data), nil
}
