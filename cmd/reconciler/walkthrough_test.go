package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"reconciler/internal/git/forge/forgetest"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/strictyaml"
)

// walk is a repository with manifests, an account that has drifted from them, and a
// change on its way from a branch to Okta.
type walk struct {
	t     *testing.T
	files fs.FS
	// origin is what the git server holds, and desk the clone of who works on it.
	origin, desk string
	// parted is the commit that the branch begins at, and merge what the server
	// makes of it and the main branch before anybody merges.
	parted, merge string
	sim           *simulator.Simulator
	okta          string
	asked         atomic.Int64 // how often Okta was
	key           string
	secrets       []string
}

const (
	walkRepository = "acme/okta-orgs"
	walkNumber     = 7
	walkToken      = "ghs_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	walkLimited    = "ghs_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// newWalk makes a repository whose main branch goes on after a branch has parted
// from it.
func newWalk(t *testing.T) *walk {
	t.Helper()
	for _, tool := range []string{"git", "sh", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	archive, err := txtar.ParseFile("testdata/walkthrough/fleet.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, f := range archive.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	dir := t.TempDir()
	w := &walk{t: t, files: files, origin: filepath.Join(dir, "origin.git"), desk: filepath.Join(dir, "desk")}
	w.startOkta()
	w.git(dir, "init", "-q", "--bare", "-b", "main", w.origin)
	w.git(dir, "clone", "-q", w.origin, w.desk)
	w.git(w.desk, "checkout", "-q", "-b", "main")
	w.parted = w.commit("main", "main", "The orgs of Acme")
	w.commit("main", "others", "Say what this is")
	w.git(w.desk, "checkout", "-q", "-b", "lifecycle", w.parted)
	return w
}

// startOkta starts the simulator, where somebody changed two orgs by hand.
func (w *walk) startOkta() {
	w.t.Helper()
	text, err := fs.ReadFile(w.files, "seed.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	seed, err := simulator.LoadSeed("seed.yaml", text)
	if err != nil {
		w.t.Fatal(err)
	}
	access, err := simulator.Grant(seed, jose.RS256, false, "okta.accounts.read", "okta.accounts.manage")
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := access.Credentials.PEM()
	if err != nil {
		w.t.Fatal(err)
	}
	w.key = string(key)
	w.secrets = append(strings.Split(strings.TrimSpace(w.key), "\n"), walkToken, walkLimited)
	if w.sim, err = simulator.New(seed, simulator.Options{}); err != nil {
		w.t.Fatal(err)
	}
	for domain, products := range map[string][]string{
		"acme-nordics.okta.com": {"P000052"},
		"acme-latam.okta.com":   {"P000052", "P000131", "P000208"},
	} {
		if err := w.sim.SetOrgProducts(domain, products, "ivan@acme.example"); err != nil {
			w.t.Fatal(err)
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		w.sim.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(srv.Close)
	w.okta = srv.URL
}

// git runs git as somebody whose commits have the same hashes every time.
func (w *walk) git(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Ada Admin", "GIT_AUTHOR_EMAIL=ada@acme.example", "GIT_AUTHOR_DATE=2026-03-02T09:00:00Z",
		"GIT_COMMITTER_NAME=Ada Admin", "GIT_COMMITTER_EMAIL=ada@acme.example", "GIT_COMMITTER_DATE=2026-03-02T09:00:00Z")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// commit puts the files of a state on a branch, pushes it, and gives the commit.
func (w *walk) commit(branch, state, message string) string {
	w.t.Helper()
	sub, err := fs.Sub(w.files, state)
	if err != nil {
		w.t.Fatal(err)
	}
	err = fs.WalkDir(sub, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sub, path)
		if err != nil {
			return err
		}
		file := filepath.Join(w.desk, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, text, 0o644)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.git(w.desk, "add", "-A")
	w.git(w.desk, "commit", "-q", "-m", message)
	w.git(w.desk, "push", "-q", "origin", branch)
	return w.git(w.desk, "rev-parse", "HEAD")
}

// push pushes the state to the branch, and does what a server then does: it merges
// it with the main branch, for all but the main branch itself to see.
func (w *walk) push(state, message string) {
	w.t.Helper()
	w.commit("lifecycle", state, message)
	w.git(w.desk, "checkout", "-q", "--detach", "main")
	w.git(w.desk, "merge", "-q", "--no-ff", "-m", "Merge lifecycle into main", "lifecycle")
	w.merge = w.git(w.desk, "rev-parse", "HEAD")
	w.git(w.desk, "push", "-q", "--force", "origin", fmt.Sprintf("HEAD:refs/pull/%d/merge", walkNumber))
	w.git(w.desk, "checkout", "-q", "lifecycle")
}

// checkout clones one commit, as CI does.
func (w *walk) checkout(commit string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	w.git(dir, "init", "-q")
	w.git(dir, "remote", "add", "origin", "file://"+w.origin)
	w.git(dir, "fetch", "-q", "--no-tags", "--depth=1", "origin", "+"+commit+":refs/remotes/review")
	w.git(dir, "checkout", "-q", "refs/remotes/review")
	return dir
}

// credentials are what the environment of a job has where secrets are given to it.
func (w *walk) credentials() map[string]string {
	return map[string]string{
		"RECONCILER_AERIAL_URL":              w.okta,
		"RECONCILER_AERIAL_AUTH_ORG_URL":     w.okta,
		"RECONCILER_AERIAL_AUTH_PRIVATE_KEY": w.key,
	}
}

// land merges the branch, and gives the commit.
func (w *walk) land() string {
	w.t.Helper()
	w.git(w.desk, "checkout", "-q", "main")
	w.git(w.desk, "merge", "-q", "--no-ff", "-m", "Merge lifecycle", "lifecycle")
	w.git(w.desk, "push", "-q", "origin", "main")
	return w.git(w.desk, "rev-parse", "HEAD")
}

// apply does a single run with mode: apply, as a cron job would, that reports to a
// forge.
func (w *walk) apply(provider, url string) {
	w.t.Helper()
	dir := w.t.TempDir()
	for name, text := range map[string]string{"aerial.pem": w.key, "forge.token": walkToken} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "reconciler.yaml")
	text := fmt.Sprintf(`mode: apply
aerial:
  url: %[1]s
  accountID: 0200bs0617vvhv2v675mch1cukp
  auth: {orgURL: %[1]s, clientID: 0oa00000000000000001, keyID: key-1, privateKeyFile: aerial.pem}
git:
  url: %[2]s
  branch: main
  path: orgs
  status: {provider: %[3]s, url: %[4]s, repository: %[5]s, tokenFile: forge.token}
guards: {maxDestructivePercent: 25}
state: {dir: state}
`, w.okta, strictyaml.Scalar(w.origin), provider, url, walkRepository)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	var log buffer
	code := run(w.t.Context(), []string{"run", "--once", "--config", config, "--detailed-exitcode"},
		stdio{strings.NewReader(""), &log, &log}, nil)
	w.checkSecrets(log.String())
	if code != exitOK {
		w.t.Errorf("run --once ended with %d:\n%s", code, log.String())
	}
}

// checkApplied checks that what was merged is what is live: what the change
// declares, and what had drifted.
func (w *walk) checkApplied() {
	w.t.Helper()
	actual := map[string]string{}
	for _, o := range w.sim.Orgs() {
		actual[strings.TrimSuffix(o.Domain, ".okta.com")] = o.Status + " " + strings.Join(o.Products, " ")
	}
	const baseline, workforce = "ACTIVE P000052 P000131", "ACTIVE P000052 P000131 P000139"
	desired := map[string]string{
		"acme-aerial": baseline, "acme": baseline, "acme-labs.oktapreview.com": baseline,
		"acme-benelux": workforce, "acme-dach": workforce, "acme-emea": workforce, "acme-france": workforce,
		"acme-iberia": workforce, "acme-nordics": workforce,
		"acme-amer": baseline, "acme-bank": baseline + " P000207", "acme-careers": baseline, "acme-latam": baseline,
		"acme-travel": "INACTIVE P000052 P000131",
	}
	if diff := cmp.Diff(desired, actual); diff != "" {
		w.t.Errorf("the orgs after the merge (-desired +actual):\n%s", diff)
	}
}

func (w *walk) checkSecrets(text string) {
	w.t.Helper()
	for _, secret := range w.secrets {
		if strings.Contains(text, secret) {
			w.t.Errorf("a secret that begins with %q was printed", secret[:6])
		}
	}
}

// sole gives the one comment that there is, without its marker, and how often it
// was edited.
func (w *walk) sole(all []forgetest.Comment) (text string, edits int) {
	w.t.Helper()
	if len(all) != 1 {
		w.t.Fatalf("there are %d comments", len(all))
	}
	marker, text, _ := strings.Cut(all[0].Body, "\n")
	if marker != "<!-- reconciler:reconciler -->" {
		w.t.Errorf("the comment begins with %q", marker)
	}
	return strings.TrimSpace(text), all[0].Edits
}

// TestWalkthroughOnGitHub takes a pull request from its first push to Okta, the way
// that docs/pull-requests.md tells it, and holds the docs to what comes of it.
func TestWalkthroughOnGitHub(t *testing.T) {
	w := newWalk(t)
	gh := forgetest.NewGitHub(t, walkRepository)
	gh.AddToken(walkToken, forgetest.GitHubToken{Login: "github-actions[bot]", Comments: true, Statuses: true})
	gh.AddToken(walkLimited, forgetest.GitHubToken{Login: "github-actions[bot]"})
	gh.AddRequest(walkNumber)
	docs := openDocs(t)
	review := func(head, token string, with, env map[string]string, code int) string {
		t.Helper()
		return w.onGitHub(gh, head, token, with, env, code)
	}
	declared, live := docs.call(false).With, docs.call(true).With
	none, secrets := map[string]string{}, w.credentials()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(secrets)), slices.Sorted(maps.Keys(docs.call(true).Env))); diff != "" {
		t.Errorf("the environment with credentials (-here +docs):\n%s", diff)
	}

	w.push("push-1", "Lifecycle Management for EMEA")
	// From a fork there are no secrets, and the token can't write.
	log := review("mallory/okta-orgs", walkLimited, live, none, exitOK)
	if !strings.Contains(log, "review: no comment: a change from a fork") || len(gh.Comments(walkNumber)) != 0 {
		t.Errorf("from a fork: %d comments, and\n%s", len(gh.Comments(walkNumber)), log)
	}
	review(walkRepository, walkToken, declared, none, exitOK)
	text, _ := w.sole(gh.Comments(walkNumber))
	if !strings.Contains(text, "Declared change") || strings.Contains(text, "acme-labs") || strings.Contains(text, "acme-latam") {
		t.Errorf("the declared change is told as:\n%s", text)
	}
	docs.put("github diff", fenced("diff", w.change()))
	docs.put("github declared", quoted(text))

	w.push("push-2", "Careers is ours; travel agency closes")
	log = review(walkRepository, walkToken, declared, none, exitError)
	text, edits := w.sole(gh.Comments(walkNumber))
	if !strings.Contains(text, "orgs/americas.yaml:16:5: unknown key") || edits != 1 {
		t.Errorf("after %d edits, mistakes are told as:\n%s", edits, text)
	}
	docs.put("github mistakes", fenced("text", strings.Join(annotation.FindAllString(log, -1), "\n"))+"\n\n"+quoted(text))
	if n := w.asked.Load(); n != 0 {
		t.Errorf("without credentials, Okta was asked %d times", n)
	}

	w.push("push-3", "Spell it")
	review(walkRepository, walkToken, live, secrets, exitOK)
	text, edits = w.sole(gh.Comments(walkNumber))
	for _, part := range []string{"#### This change (", "#### Conflicts (1 difference in 1 org)", "#### Settings (", "<b>Existing drift</b> (1 difference in 1 org)"} {
		if !strings.Contains(text, part) {
			t.Errorf("the review lacks %q:\n%s", part, text)
		}
	}
	docs.put("github three-way", quoted(text))
	if log = review(walkRepository, walkToken, live, secrets, exitOK); !strings.Contains(log, `unchanged: the comment "reconciler"`) || edits != 2 {
		t.Errorf("the comment was edited %d times, and then:\n%s", edits, log)
	}

	commit := w.land()
	gh.AddCommit(commit)
	w.apply("github", gh.URL)
	w.checkApplied()
	w.apply("github", gh.URL) // of which nothing new is to be said
	docs.put("github status", fenced("text", statuses(gh.Statuses(commit))))
	docs.check()
}

// onGitHub carries out the action for a pull request from a repository, and gives
// what it printed.
func (w *walk) onGitHub(gh *forgetest.GitHub, head, token string, with, secrets map[string]string, code int) string {
	w.t.Helper()
	binary, err := exec.LookPath("reconciler")
	if err != nil {
		w.t.Fatal(err)
	}
	event := map[string]any{"action": "synchronize", "number": float64(walkNumber), "pull_request": map[string]any{
		"number": float64(walkNumber),
		// That of the last push, which others have overtaken.
		"base": map[string]any{"ref": "main", "sha": w.parted},
		"head": map[string]any{"ref": "lifecycle", "repo": map[string]any{"full_name": head}},
	}}
	text, err := json.Marshal(event)
	if err != nil {
		w.t.Fatal(err)
	}
	scratch := w.t.TempDir()
	if err := os.WriteFile(filepath.Join(scratch, "event.json"), text, 0o644); err != nil {
		w.t.Fatal(err)
	}
	j := job{dir: w.checkout(w.merge)}
	j.env = map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_API_URL": gh.URL, "GITHUB_REPOSITORY": walkRepository,
		"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": filepath.Join(scratch, "event.json"),
		"GITHUB_REF": fmt.Sprintf("refs/pull/%d/merge", walkNumber), "GITHUB_SHA": w.merge,
		"GITHUB_WORKSPACE": j.dir, "GITHUB_STEP_SUMMARY": filepath.Join(scratch, "summary"),
	}
	maps.Copy(j.env, secrets)
	with = maps.Clone(with)
	with["binary"] = binary
	context := map[string]any{"token": token, "repository": walkRepository, "event": event}
	outputs, log, actual := j.runAction(w.t, with, context)
	summary, err := os.ReadFile(filepath.Join(scratch, "summary"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkSecrets(log + string(summary))
	desired := map[string]string{"changes": "true", "exit-code": fmt.Sprint(code), "validate-json": "reconciler-review/validate.json", "sarif": "reconciler-review/validate.sarif"}
	if code == exitOK {
		desired["plan-json"], desired["plan-markdown"] = "reconciler-review/plan.json", "reconciler-review/plan.md"
	} else {
		desired["changes"], desired["plan-json"], desired["plan-markdown"] = "", "", ""
	}
	if diff := cmp.Diff(desired, outputs); diff != "" || actual != code {
		w.t.Errorf("the action ended with %d, not %d; outputs (-desired +actual):\n%s\n%s", actual, code, diff, log)
	}
	if all := gh.Comments(walkNumber); head == walkRepository && (len(all) == 0 || !strings.HasSuffix(strings.TrimSpace(all[0].Body), strings.TrimSpace(string(summary)))) {
		w.t.Errorf("the comment does not say what the summary says:\n%s", summary)
	}
	return log
}

// TestWalkthroughOnGitLab does the same with a merge request.
func TestWalkthroughOnGitLab(t *testing.T) {
	w := newWalk(t)
	gl := forgetest.NewGitLab(t, walkRepository, 42)
	gl.AddToken(walkToken, forgetest.GitLabToken{Login: "project_42_bot_1", Scopes: []string{"api"}, Developer: true})
	gl.AddRequest(walkNumber)
	docs := openDocs(t)

	w.push("push-1", "Lifecycle Management for EMEA")
	fork := map[string]string{"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "41", "REVIEW_LIVE": "true"}
	// The pipeline of a fork runs there, unless somebody starts it in the project,
	// which may be private: then its URL alone will not do.
	for id, url := range map[string]string{"41": "file://" + w.origin, "42": "file:///nowhere/okta-orgs"} {
		fork["CI_PROJECT_ID"], fork["CI_MERGE_REQUEST_PROJECT_URL"] = id, url
		w.onGitLab(gl, w.git(w.desk, "rev-parse", "lifecycle"), fork, exitOK)
	}
	if n := len(gl.Comments(walkNumber)); n != 0 {
		t.Errorf("%d notes without a token", n)
	}
	log := w.onGitLab(gl, w.git(w.desk, "rev-parse", "lifecycle"), map[string]string{"GITLAB_TOKEN": walkToken}, exitOK)
	first, _ := w.sole(gl.Comments(walkNumber))
	if !strings.Contains(first, "#### This change (7 differences in 7 orgs)") {
		t.Errorf("the note:\n%s", first)
	}
	docs.put("gitlab log", fenced("text", strings.ReplaceAll(log, strings.TrimSuffix(gl.URL, "/api/v4"), "https://gitlab.acme.example")))

	w.push("push-2", "Careers is ours; travel agency closes")
	w.onGitLab(gl, w.merge, map[string]string{"GITLAB_TOKEN": walkToken}, exitError)
	if n := w.asked.Load(); n != 0 {
		t.Errorf("without credentials, Okta was asked %d times", n)
	}
	w.push("push-3", "Spell it")
	secrets := w.credentials()
	maps.Copy(secrets, map[string]string{
		"GITLAB_TOKEN": walkToken, "REVIEW_LIVE": "true",
		"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": w.git(w.desk, "rev-parse", "main"), // a pipeline for merged results
	})
	w.onGitLab(gl, w.merge, secrets, exitOK)
	note, edits := w.sole(gl.Comments(walkNumber))
	if !strings.Contains(note, "#### Conflicts (1 difference in 1 org)") || edits != 2 {
		t.Errorf("after %d edits, the note:\n%s", edits, note)
	}
	if actual := gl.Commands(); len(actual) > 0 {
		t.Errorf("the note held commands: %q", actual)
	}

	commit := w.land()
	gl.AddCommit(commit)
	w.apply("gitlab", gl.URL)
	w.checkApplied()
	if all := gl.Statuses(commit); len(all) != 1 || all[0].State != "success" {
		t.Errorf("the statuses of the commit: %+v", all)
	}
	docs.check()
}

// onGitLab carries out the job of the template for a commit, and gives what it printed.
func (w *walk) onGitLab(gl *forgetest.GitLab, commit string, env map[string]string, code int) string {
	w.t.Helper()
	var g gitlabFile
	decodeTop(w.t, "integrations/gitlab.yml", &g)
	script, err := filepath.Abs(filepath.Join(top, "integrations", "review.sh"))
	if err != nil {
		w.t.Fatal(err)
	}
	j := job{w.checkout(commit), maps.Clone(g.Variables)}
	maps.Copy(j.env, g.Review.Variables)
	maps.Copy(j.env, map[string]string{
		"GITLAB_CI": "true", "CI_API_V4_URL": gl.URL, "CI_PROJECT_ID": "42", "CI_PROJECT_PATH": walkRepository,
		"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": fmt.Sprint(walkNumber),
		"CI_MERGE_REQUEST_PROJECT_ID": "42", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
		"CI_MERGE_REQUEST_DIFF_BASE_SHA": w.parted, "REVIEW_SCRIPT": script, "REVIEW_MANIFESTS": "orgs",
	})
	maps.Copy(j.env, env)
	log, actual := j.run(w.t, nil, "sh", "-ec", strings.Join(g.Review.Script, "\n"))
	w.checkSecrets(log)
	if actual != code {
		w.t.Errorf("the job ended with %d, not %d:\n%s", actual, code, log)
	}
	return log
}

// annotation matches the workflow commands that GitHub shows at files and lines.
var annotation = regexp.MustCompile(`(?m)^::(?:error|warning) .*$`)

// change is the whole of the branch as a pull request shows it.
func (w *walk) change() string {
	w.t.Helper()
	var lines []string
	for line := range strings.SplitSeq(w.git(w.desk, "diff", "--no-color", "-M", "main...lifecycle"), "\n") {
		if !strings.HasPrefix(line, "index ") && !strings.HasPrefix(line, "diff ") && !strings.HasPrefix(line, "new file ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// statuses gives the statuses of a commit as a list of them shows them.
func statuses(all []forgetest.Status) string {
	var lines []string
	for _, s := range all {
		// The head of the history is another one each time.
		description := statusHead.ReplaceAllString(s.Description, " · head 3f1c9a54d2b7")
		lines = append(lines, fmt.Sprintf("%s  %s: %s", s.State, s.Context, description))
	}
	return strings.Join(lines, "\n")
}

var statusHead = regexp.MustCompile(` · head [0-9a-f]{12}$`)

func fenced(language, text string) string {
	return "```" + language + "\n" + strings.TrimSpace(text) + "\n```"
}

// quoted makes a quotation of a comment, in which it looks as it does on its request.
func quoted(markdown string) string {
	lines := strings.Split(markdown, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight("> "+line, " ")
	}
	return strings.Join(lines, "\n")
}

// docs are docs/pull-requests.md, with places for what tests find out. A place is what
// stands between "<!-- walkthrough:NAME -->" and "<!-- /walkthrough -->".
type docs struct {
	t     *testing.T
	file  string
	text  string
	stale []string
}

func openDocs(t *testing.T) *docs {
	t.Helper()
	return &docs{t: t, file: filepath.Join(top, "docs", "pull-requests.md"), text: readTop(t, "docs/pull-requests.md")}
}

// call gives the first call of the action that the docs show, with credentials or
// without.
func (d *docs) call(live bool) workflowStep {
	d.t.Helper()
	_, calls := workflowsInDocs(d.t)
	i := slices.IndexFunc(calls, func(s workflowStep) bool { return (s.With["live"] == "true") == live })
	if i < 0 {
		d.t.Fatalf("the docs don't show the action with live: %v", live)
	}
	return calls[i]
}

// put fills in a place.
func (d *docs) put(name, text string) {
	d.t.Helper()
	begin, end := "<!-- walkthrough:"+name+" -->\n", "<!-- /walkthrough -->"
	before, rest, ok := strings.Cut(d.text, begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		d.t.Errorf("%s has no place for %q", d.file, name)
		return
	}
	if text = "\n" + text + "\n\n"; old != text {
		d.stale = append(d.stale, name)
		d.text = before + begin + text + end + after
	}
}

// check fails the test when something in the docs is not what came of the test; with
// -update it writes it there.
func (d *docs) check() {
	d.t.Helper()
	slices.Sort(d.stale)
	switch {
	case len(d.stale) == 0 || d.t.Failed():
	case *update:
		if err := os.WriteFile(d.file, []byte(d.text), 0o644); err != nil {
			d.t.Fatal(err)
		}
	default:
		d.t.Errorf("%s is stale at %q: go test ./cmd/reconciler -run Walkthrough -update", d.file, d.stale)
	}
}
