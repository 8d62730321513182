package source

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/object"

	"reconciler/internal/strictyaml"
)

// Resolve returns the full hash of the commit that people mean by a revision:
// HEAD, a branch, a tag, "origin/main", "refs/…", FETCH_HEAD, a hash or the
// start of one, "BRANCH@{upstream}", each with any number of "~N" and "^N"
// behind it (https://git-scm.com/docs/gitrevisions). It refuses other forms,
// such as what stands in logs of refs. The hint of an error fits the clone: a
// shallow one lacks commits, one that a CI system made lacks branches. It fails
// with ErrNotFound or ErrIncomplete when there is no such commit here.
//
// go-git's ResolveRevision refuses "^3", ignores "@{…}", and of several commits
// whose hashes begin alike returns any.
func (r *Repository) Resolve(rev string) (string, error) {
	g := r.git(rev)
	sto, err := g.openGitDir(r.gitDir)
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
	if v.text == "" || strings.Contains(v.text, "..") || strings.HasPrefix(v.text, "^") || strings.Contains(v.text, ":") {
		return plumbing.ZeroHash, v.g.fail(ErrNotFound, "name it as a branch, a tag or a hash, each end of a range by itself, and without a file",
			"%q is not one revision", v.text)
	}
	name, steps := v.text, ""
	if i := strings.IndexAny(name, "~^"); i >= 0 {
		name, steps = name[:i], name[i:]
	}
	h, err := v.named(name)
	for err == nil && steps != "" {
		h, steps, err = v.step(h, steps)
	}
	if err != nil {
		return h, err
	}
	commit, err := v.peel(h)
	if err != nil {
		return h, err
	}
	return commit.Hash, nil
}

// named finds what stands before any steps.
func (v *revision) named(name string) (plumbing.Hash, error) {
	if before, inner, ok := strings.Cut(name, "@{"); ok {
		inner = strings.ToLower(inner)
		if inner != "u}" && inner != "upstream}" {
			return plumbing.ZeroHash, v.notUnderstood(name)
		}
		return v.upstream(before)
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
	for _, find := range []func(string) (plumbing.Hash, error){v.ref, v.abbreviated} {
		if h, err := find(name); err != nil || !h.IsZero() {
			return h, err
		}
	}
	return plumbing.ZeroHash, v.notFound(name)
}

// notUnderstood is about a form that only git itself reads.
func (v *revision) notUnderstood(part string) error {
	return v.g.fail(ErrNotFound, fmt.Sprintf(`"git rev-parse %s" prints the hash`, shellQuote(oneLine(v.text))),
		"in %q, %q is not understood: only ~N, ^N, ^{commit} and @{upstream} are", v.text, part)
}

// rootRef matches the names of refs that are in no folder.
var rootRef = regexp.MustCompile(`^([A-Z]+_)*HEAD$`)

// ref returns what a ref points to, or no hash when there is none. The short
// name of a ref may stand for several, in the order in which git tries them.
// FETCH_HEAD has more behind its hash, which go-git skips.
func (v *revision) ref(name string) (plumbing.Hash, error) {
	for _, pattern := range plumbing.RefRevParseRules {
		full := plumbing.ReferenceName(fmt.Sprintf(pattern, name))
		if !rootRef.MatchString(full.String()) && (!strings.HasPrefix(full.String(), "refs/") || full.Validate() != nil) {
			continue
		}
		if h, err := v.g.resolveRef(v.sto, full); err != nil || !h.IsZero() {
			return h, err
		}
	}
	return plumbing.ZeroHash, nil
}

// upstream finds the ref that follows what a branch is merged with.
func (v *revision) upstream(branch string) (plumbing.Hash, error) {
	if branch == "" || branch == "@" {
		branch = "HEAD"
	}
	if head, err := v.sto.Reference(plumbing.HEAD); branch == "HEAD" && err == nil && head.Target().IsBranch() {
		branch = head.Target().Short()
	}
	cfg := v.config()
	b := cfg.Section("branch").Subsection(branch)
	remote, merge := b.Option("remote"), plumbing.ReferenceName(b.Option("merge"))
	follows := ""
	if remote == "." {
		follows = merge.String()
	}
	for _, s := range cfg.Section("remote").Subsection(remote).OptionAll("fetch") {
		if spec := config.RefSpec(s); spec.Validate() == nil && spec.Match(merge) {
			follows = cmp.Or(follows, spec.Dst(merge).String())
		}
	}
	if follows == "" {
		return plumbing.ZeroHash, v.g.fail(ErrNotFound, `name the branch to compare with, as in origin/main; "git branch --set-upstream-to=REMOTE/BRANCH BRANCH" sets one`,
			"%q has no upstream", branch)
	}
	h, err := v.ref(follows)
	if err == nil && h.IsZero() {
		err = v.notFound(follows)
	}
	return h, err
}

// hashStart matches the start of a hash, of as many digits as git wants.
var hashStart = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// abbreviated finds the commit whose hash begins like that, or no hash.
func (v *revision) abbreviated(name string) (plumbing.Hash, error) {
	name = strings.ToLower(name)
	start, err := hex.DecodeString(name[:len(name)&^1]) // whole bytes of it
	if err != nil || !hashStart.MatchString(name) {
		return plumbing.ZeroHash, nil
	}
	var found []string
	for _, s := range v.sto.stores {
		hs, err := s.HashesWithPrefix(start)
		if err != nil {
			return plumbing.ZeroHash, v.g.fail(ErrContent, fsck, "looking for %q: %s", name, oneLine(err.Error()))
		}
		for _, h := range hs {
			if strings.HasPrefix(h.String(), name) && v.leadsToCommit(h) {
				found = append(found, h.String())
			}
		}
	}
	slices.Sort(found)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return plumbing.ZeroHash, nil
	case 1:
		return plumbing.NewHash(found[0]), nil
	default:
		return plumbing.ZeroHash, v.g.fail(ErrNotFound, "more digits tell them apart", "%q is the start of several hashes: %s", name, listed(found))
	}
}

func (v *revision) leadsToCommit(h plumbing.Hash) bool {
	o, err := v.sto.EncodedObject(plumbing.AnyObject, h)
	return err == nil && (o.Type() == plumbing.CommitObject || o.Type() == plumbing.TagObject)
}

// stepForm matches one step from a commit to another, and the rest of them.
var stepForm = regexp.MustCompile(`^(?:\^\{(?:|commit)\}|([~^])(\d*))((?:[~^].*)?)$`)

// step takes the first step, and returns the rest of them.
func (v *revision) step(h plumbing.Hash, steps string) (plumbing.Hash, string, error) {
	m := stepForm.FindStringSubmatch(steps)
	if m == nil {
		return h, "", v.notUnderstood(steps)
	}
	rest := m[3]
	commit, err := v.peel(h)
	if err != nil || m[1] == "" {
		return h, rest, err
	}
	n, err := strconv.Atoi(cmp.Or(m[2], "1"))
	if err != nil {
		return h, "", v.notUnderstood(m[2])
	}
	times, nth := n, 1 // "~N" is the first parent, N times
	if m[1] == "^" {
		times, nth = min(n, 1), n
	}
	for range times {
		if nth > len(commit.ParentHashes) {
			return h, "", v.g.fail(ErrNotFound, "", "there is no %q: %s has no parent %d", v.text, commit.Hash, nth)
		}
		if commit, err = v.peel(commit.ParentHashes[nth-1]); err != nil {
			return h, "", err
		}
	}
	return commit.Hash, rest, nil
}

func (v *revision) peel(h plumbing.Hash) (*object.Commit, error) {
	t, err := v.g.peel(v.sto, h)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, v.absent(h)
	case err != nil:
		return nil, err
	}
	return t.commit, nil
}

// notFound returns the error for a revision of which there is none of that name,
// with a hint that fits the clone.
func (v *revision) notFound(name string) error {
	refs := refNames(v.sto)
	names := slices.Concat(shortNames(refs, "refs/heads/"), shortNames(refs, "refs/remotes/"), shortNames(refs, "refs/tags/"))
	didYouMean := strictyaml.DidYouMean(name, names)
	remotes := v.remotes()
	for _, r := range remotes {
		follows := r + "/" + strings.TrimPrefix(name, "refs/heads/")
		if slices.Contains(names, follows) {
			didYouMean = fmt.Sprintf(": did you mean %q?", follows)
			break
		}
		didYouMean = cmp.Or(didYouMean, strictyaml.DidYouMean(follows, names))
	}
	kind, hint := ErrNotFound, ""
	switch {
	case len(names) == 0:
		hint = "commit something first"
	case v.sto.isShallow():
		kind, hint = ErrIncomplete, v.shallowHint()
	case len(remotes) > 0:
		hint = fmt.Sprintf(`available: %s; "git fetch %s" gets all branches of the server`, listed(names), v.allBranches())
	default:
		hint = "available: " + listed(names)
	}
	return v.g.fail(kind, hint, "there is no revision %q%s", name, didYouMean)
}

// absent returns the error for a commit that is not in the clone.
func (v *revision) absent(h plumbing.Hash) error {
	switch {
	case h.IsZero():
		return v.g.fail(ErrNotFound, "git hosts name it as what a new branch was before; compare with the branch that it came from, as in origin/main",
			"the revision %s stands for no commit", h)
	case v.sto.isShallow():
		return v.g.fail(ErrIncomplete, v.shallowHint(), "the commit %s is not in this clone", h)
	default:
		return v.g.fail(ErrNotFound, `"git fetch" gets what others have pushed since; what was never pushed is only where it was made`,
			"the commit %s is not in this repository", h)
	}
}

// shallowHint is what to do in a shallow clone.
func (v *revision) shallowHint() string {
	return fmt.Sprintf(`this clone is shallow: "git fetch --unshallow %s" completes it; for actions/checkout set fetch-depth: 0`, v.allBranches())
}

// allBranches are the arguments for git to fetch all branches of the first
// remote.
func (v *revision) allBranches() string {
	remote := "origin"
	if all := v.remotes(); len(all) > 0 {
		remote = all[0]
	}
	return fmt.Sprintf("%s +refs/heads/*:refs/remotes/%s/*", remote, remote)
}

// remotes returns the names of the remotes: origin first, the others sorted.
func (v *revision) remotes() []string {
	var names []string
	for _, s := range v.config().Section("remote").Subsections {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	if i := slices.Index(names, "origin"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "origin")
	}
	return names
}

func (v *revision) config() *gitconfig.Config {
	return readConfig(filepath.Join(v.sto.common, "config"))
}
