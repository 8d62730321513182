package source

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"reconciler/internal/strictyaml"
)

// Resolve gives the full hash of the commit that people mean by a revision:
// HEAD, a branch, a tag, "origin/main", "refs/…", FETCH_HEAD, a hash or the
// start of one, "BRANCH@{upstream}", each with any number of "~N" and "^N"
// behind it (https://git-scm.com/docs/gitrevisions). What it can't tell, such
// as what stands in logs of refs, it refuses. Errors are *Error, and their hint
// fits the clone: a shallow one lacks commits, one that a CI system made lacks
// branches. It fails with ErrNotFound or ErrIncomplete when there is no such
// commit here.
func (r *Repository) Resolve(rev string) (string, error) {
	g := r.git(rev)
	sto, err := g.openInsides(r.gitDir)
	if err != nil {
		return "", err
	}
	defer sto.Close()
	v := &revision{g: g, sto: sto, text: rev}
	h, err := v.resolve()
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// revision is one that is being looked for.
type revision struct {
	g    *Git
	sto  *disk
	text string
}

func (v *revision) resolve() (plumbing.Hash, error) {
	if err := v.check(); err != nil {
		return plumbing.ZeroHash, err
	}
	name, steps := v.text, ""
	if i := strings.IndexAny(name, "~^"); i >= 0 {
		name, steps = name[:i], name[i:]
	}
	h, err := v.named(name)
	if err != nil {
		return h, err
	}
	for steps != "" {
		if h, steps, err = v.step(h, steps); err != nil {
			return h, err
		}
	}
	commit, err := v.peel(h)
	if err != nil {
		return h, err
	}
	return commit.Hash, nil
}

// check refuses what is not one commit.
func (v *revision) check() error {
	switch {
	case v.text == "":
		return v.g.fail(ErrNotFound, "", "no revision is named")
	case strings.Contains(v.text, ".."):
		return v.g.fail(ErrNotFound, "name one with --base and the other with --head", "%q is a range, not one revision", v.text)
	case strings.HasPrefix(v.text, "^"):
		return v.g.fail(ErrNotFound, "", "%q leaves out a revision, and is none", v.text)
	case strings.Contains(v.text, ":"):
		return v.g.fail(ErrNotFound, "name the revision alone; --manifests names the file or folder", "%q is a file, not a revision", v.text)
	}
	return nil
}

// named finds what stands before any steps.
func (v *revision) named(name string) (plumbing.Hash, error) {
	if before, inner, ok := strings.Cut(name, "@{"); ok {
		inner, closed := strings.CutSuffix(inner, "}")
		if !closed {
			return plumbing.ZeroHash, v.g.fail(ErrNotFound, "", "%q lacks the \"}\"", v.text)
		}
		return v.at(before, strings.ToLower(inner))
	}
	if name == "@" {
		name = "HEAD"
	}
	if plumbing.IsHash(name) && len(name) == 40 {
		h := plumbing.NewHash(name)
		if _, err := v.sto.EncodedObject(plumbing.AnyObject, h); errors.Is(err, plumbing.ErrObjectNotFound) {
			return h, v.absent(h)
		}
		return h, nil
	}
	h, err := v.ref(name)
	if err != nil || !h.IsZero() {
		return h, err
	}
	if h, err = v.abbreviated(name); err != nil || !h.IsZero() {
		return h, err
	}
	return h, v.notFound(name)
}

// rootRef matches the names of refs that are in no folder.
var rootRef = regexp.MustCompile(`^([A-Z]+_)*HEAD$`)

// refNamesFor gives the full names that a short one may stand for, in the order
// in which git tries them.
func refNamesFor(name string) []plumbing.ReferenceName {
	var names []plumbing.ReferenceName
	if rootRef.MatchString(name) {
		names = append(names, plumbing.ReferenceName(name))
	}
	for _, pattern := range []string{"%s", "refs/%s", "refs/tags/%s", "refs/heads/%s", "refs/remotes/%s", "refs/remotes/%s/HEAD"} {
		full := plumbing.ReferenceName(fmt.Sprintf(pattern, name))
		if strings.HasPrefix(full.String(), "refs/") && full.Validate() == nil {
			names = append(names, full)
		}
	}
	return names
}

// ref gives what a ref points to, or no hash when there is none.
func (v *revision) ref(name string) (plumbing.Hash, error) {
	for _, full := range refNamesFor(name) {
		if full == "FETCH_HEAD" {
			return v.fetched()
		}
		ref, err := storer.ResolveReference(v.sto, full)
		switch {
		case errors.Is(err, plumbing.ErrReferenceNotFound):
			continue
		case err != nil:
			return plumbing.ZeroHash, v.g.fail(ErrContent, fsck, "%q can't be read: %s", full, oneLine(err.Error()))
		case ref.Hash().IsZero():
			return plumbing.ZeroHash, v.g.fail(ErrContent, fsck, "%q is damaged: it holds no hash", full)
		}
		return ref.Hash(), nil
	}
	return plumbing.ZeroHash, nil
}

// fetched reads FETCH_HEAD, which holds lines with words behind the hashes.
func (v *revision) fetched() (plumbing.Hash, error) {
	data, err := os.ReadFile(filepath.Join(v.sto.gitDir, "FETCH_HEAD"))
	if err != nil {
		return plumbing.ZeroHash, nil
	}
	if h, _, _ := strings.Cut(string(data), "\t"); plumbing.IsHash(h) && len(h) == 40 {
		return plumbing.NewHash(h), nil
	}
	return plumbing.ZeroHash, v.g.fail(ErrContent, `"git fetch" writes it anew`, "FETCH_HEAD holds no hash")
}

// at finds what is meant by words in braces.
func (v *revision) at(branch, words string) (plumbing.Hash, error) {
	if words != "u" && words != "upstream" {
		return plumbing.ZeroHash, v.g.fail(ErrNotFound, v.askGit(),
			"in %q, only @{upstream} is understood", v.text)
	}
	if branch == "" || branch == "@" || branch == "HEAD" {
		head, err := v.sto.Reference(plumbing.HEAD)
		if err != nil || head.Type() != plumbing.SymbolicReference || !head.Target().IsBranch() {
			return plumbing.ZeroHash, v.g.fail(ErrNotFound, "name the branch to compare with, as in origin/main", "HEAD is not on a branch, so it has no upstream")
		}
		branch = head.Target().Short()
	}
	upstream := v.upstream(branch)
	if upstream == "" {
		return plumbing.ZeroHash, v.g.fail(ErrNotFound, `"git branch --set-upstream-to=REMOTE/BRANCH BRANCH" gives it one`,
			"the branch %q has no upstream", branch)
	}
	h, err := v.ref(upstream)
	if err == nil && h.IsZero() {
		err = v.notFound(upstream)
	}
	return h, err
}

// askGit is the advice for what only git itself understands.
func (v *revision) askGit() string {
	return fmt.Sprintf(`"git rev-parse %s" gives the hash`, shellQuote(oneLine(v.text)))
}

// upstream gives the full name of the ref that follows what a branch is merged
// with, or "".
func (v *revision) upstream(branch string) string {
	cfg := v.config()
	b := cfg.Section("branch").Subsection(branch)
	remote, merge := b.Option("remote"), plumbing.ReferenceName(b.Option("merge"))
	if remote == "." {
		return merge.String()
	}
	for _, s := range cfg.Section("remote").Subsection(remote).OptionAll("fetch") {
		if spec := config.RefSpec(s); spec.Validate() == nil && spec.Match(merge) {
			return spec.Dst(merge).String()
		}
	}
	return ""
}

// abbreviated finds the commit whose hash begins like that, or no hash.
func (v *revision) abbreviated(name string) (plumbing.Hash, error) {
	const least = 4 // as for git
	name = strings.ToLower(name)
	if len(name) < least || len(name) > 40 || !isHex(name) {
		return plumbing.ZeroHash, nil
	}
	prefix, err := hex.DecodeString(name[:len(name)&^1]) // whole bytes of it
	if err != nil {
		return plumbing.ZeroHash, nil
	}
	var found []plumbing.Hash
	for _, s := range v.sto.stores() {
		hs, err := s.HashesWithPrefix(prefix)
		if err != nil {
			return plumbing.ZeroHash, v.g.fail(ErrContent, fsck, "looking for %q: %s", name, oneLine(err.Error()))
		}
		for _, h := range hs {
			if strings.HasPrefix(h.String(), name) && v.leadsToCommit(h) {
				found = append(found, h)
			}
		}
	}
	plumbing.HashesSort(found)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return plumbing.ZeroHash, nil
	case 1:
		return found[0], nil
	default:
		return plumbing.ZeroHash, v.g.fail(ErrNotFound, "more digits tell them apart", "%q is the start of several hashes: %s", name, listed(hashes(found)))
	}
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdefABCDEF") == "" }

func (v *revision) leadsToCommit(h plumbing.Hash) bool {
	o, err := v.sto.EncodedObject(plumbing.AnyObject, h)
	return err == nil && (o.Type() == plumbing.CommitObject || o.Type() == plumbing.TagObject)
}

// stepForm matches one step from a commit to another, and the rest of them.
var stepForm = regexp.MustCompile(`^(?:\^\{(?:|commit)\}|([~^])(\d*))((?:[~^].*)?)$`)

// step takes the first step, and gives the rest of them.
func (v *revision) step(h plumbing.Hash, steps string) (plumbing.Hash, string, error) {
	m := stepForm.FindStringSubmatch(steps)
	if m == nil {
		return h, "", v.g.fail(ErrNotFound, v.askGit(),
			"in %q, %q is not understood: only ~N, ^N and ^{commit} are", v.text, steps)
	}
	rest := m[3]
	commit, err := v.peel(h)
	if err != nil || m[1] == "" {
		return h, rest, err
	}
	n, err := strconv.Atoi(cmp.Or(m[2], "1"))
	if err != nil {
		return h, "", v.g.fail(ErrNotFound, "", "in %q, %q is too large", v.text, m[2])
	}
	if m[1] == "^" {
		h, err = v.parent(commit, n)
		return h, rest, err
	}
	for h = commit.Hash; n > 0; n-- {
		if h, err = v.parent(commit, 1); err != nil {
			return h, "", err
		}
		if commit, err = v.peel(h); err != nil {
			return h, "", err
		}
	}
	return h, rest, nil
}

// parent gives the nth parent, from 1 on, or the commit itself for 0.
func (v *revision) parent(c *object.Commit, n int) (plumbing.Hash, error) {
	switch {
	case n == 0:
		return c.Hash, nil
	case n <= len(c.ParentHashes):
		return c.ParentHashes[n-1], nil
	case len(c.ParentHashes) == 0:
		return c.Hash, v.g.fail(ErrNotFound, "", "there is no %q: %s is the first commit", v.text, c.Hash)
	default:
		return c.Hash, v.g.fail(ErrNotFound, "", "there is no %q: %s has no parent %d", v.text, c.Hash, n)
	}
}

func (v *revision) peel(h plumbing.Hash) (*object.Commit, error) {
	commit, _, err := v.g.peel(v.sto, h)
	if errors.Is(err, ErrNotFound) {
		return nil, v.absent(h)
	}
	return commit, err
}

// notFound says that there is no revision of that name, and what to do in a
// clone such as this one.
func (v *revision) notFound(name string) *Error {
	refs := refNames(v.sto)
	names := append(append(shortNames(refs, "refs/heads/"), shortNames(refs, "refs/remotes/")...), shortNames(refs, "refs/tags/")...)
	remotes := v.remotes()
	remote, branch := splitBranch(name, remotes)
	get := fmt.Sprintf(`"git fetch --depth=1 %s +%s:refs/remotes/%s/%s"`, remote, branch, remote, branch)
	didYouMean := cmp.Or(strictyaml.DidYouMean(name, names), strictyaml.DidYouMean(remote+"/"+branch, names))
	fail := func(kind error, hint string) *Error {
		return v.g.fail(kind, hint, "there is no revision %q%s", name, didYouMean)
	}
	for _, r := range remotes {
		if follows := r + "/" + branch; slices.Contains(refs, "refs/remotes/"+follows) {
			return v.g.fail(ErrNotFound, "", "there is no revision %q: did you mean %q?", name, follows)
		}
	}
	switch {
	case name == "HEAD":
		return v.g.fail(ErrNotFound, "commit something first", "HEAD is a branch without a commit")
	case len(names) == 0:
		return fail(ErrNotFound, "there is no other either: commit something first")
	case plumbing.NewBranchReferenceName(branch).Validate() != nil:
		return fail(ErrNotFound, "no branch can have that name")
	case v.sto.isShallow() && isHex(name):
		return fail(ErrIncomplete, v.shallow()+`: "git fetch --unshallow" completes it; for actions/checkout set fetch-depth: 0`)
	case v.sto.isShallow():
		return fail(ErrIncomplete, fmt.Sprintf("%s: %s gets it as %s/%s; for actions/checkout set fetch-depth: 0", v.shallow(), get, remote, branch))
	case isHex(name):
		return fail(ErrNotFound, `no hash of a commit here begins like that either; "git fetch" gets what others have pushed`)
	case len(remotes) > 0:
		return fail(ErrNotFound, fmt.Sprintf("there are %s; if the server has it, %s gets it", listed(names), strings.Replace(get, "--depth=1 ", "", 1)))
	default:
		return fail(ErrNotFound, "there are "+listed(names))
	}
}

// splitBranch tells which branch of which remote people mean by a name: of the
// first remote unless they say.
func splitBranch(name string, remotes []string) (remote, branch string) {
	branch = strings.TrimPrefix(strings.TrimPrefix(name, "refs/heads/"), "refs/remotes/")
	for _, r := range remotes {
		if b, ok := strings.CutPrefix(branch, r+"/"); ok {
			return r, b
		}
	}
	if len(remotes) == 0 {
		return "origin", branch
	}
	return remotes[0], branch
}

// absent says that a commit is not in the clone, and how to get it.
func (v *revision) absent(h plumbing.Hash) *Error {
	remote, _ := splitBranch("", v.remotes())
	fetch := fmt.Sprintf(`"git fetch --depth=1 %s %s" gets it`, remote, h)
	switch {
	case h.IsZero():
		return v.g.fail(ErrNotFound, "git hosts name it as what a new branch was before; compare with the branch that it came from, as in origin/main",
			"the revision %s stands for no commit", h)
	case v.sto.isShallow():
		return v.g.fail(ErrIncomplete, v.shallow()+": "+fetch+"; for actions/checkout set fetch-depth: 0", "the commit %s is not in this clone", h)
	case v.partial():
		return v.g.fail(ErrIncomplete, strings.Replace("this clone is partial: "+fetch, "--depth=1 ", "", 1), "the commit %s is not in this clone", h)
	default:
		return v.g.fail(ErrNotFound, `"git fetch" gets what others have pushed since; what was never pushed is only where it was made`,
			"the commit %s is not in this repository", h)
	}
}

// remotes gives the names of the remotes: origin first, the others sorted.
func (v *revision) remotes() []string {
	var names []string
	for _, s := range v.config().Section("remote").Subsections {
		names = append(names, s.Name)
	}
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case a == "origin":
			return -1
		case b == "origin":
			return 1
		}
		return cmp.Compare(a, b)
	})
	return names
}

func (v *revision) config() *gitconfig.Config {
	return readConfig(filepath.Join(v.sto.common, "config"))
}

// partial says whether the clone leaves objects on the server until they are
// needed.
func (v *revision) partial() bool {
	for _, s := range v.config().Section("remote").Subsections {
		if p := s.Option("promisor"); p != "" && p != "false" {
			return true
		}
	}
	return false
}

// shallow says that the clone is shallow, and how far it reaches from HEAD.
func (v *revision) shallow() string {
	const text = "this clone is shallow"
	head, err := storer.ResolveReference(v.sto, plumbing.HEAD)
	if err != nil {
		return text
	}
	const far = 1000 // from there on, nobody wants to know
	h, depth := head.Hash(), 0
	for ; depth < far; depth++ {
		c, err := object.GetCommit(v.sto, h)
		if err != nil || len(c.ParentHashes) == 0 {
			break
		}
		h = c.ParentHashes[0]
	}
	if depth == 0 || depth == far {
		return text
	}
	return fmt.Sprintf("%s (depth %d)", text, depth)
}
