package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// find finds what is released, and fills in what no flag has said.
func (r *release) find(ctx context.Context) error {
	top, err := command(ctx, r.repository, nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	r.repository = top
	if r.out == "" {
		r.out = filepath.Join(top, "dist", r.version)
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	if r.commit, err = r.git(ctx, "rev-parse", "--verify", "HEAD^{commit}"); err != nil {
		return err
	}
	seconds, err := r.git(ctx, "show", "--no-show-signature", "--no-patch", "--format=%ct", r.commit)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	r.time = time.Unix(n, 0).UTC()
	if err := r.checkTag(ctx); err != nil {
		return err
	}
	return r.findURL(ctx)
}

func (r *release) git(ctx context.Context, args ...string) (string, error) {
	return command(ctx, r.repository, nil, "git", args...)
}

// checkTag rejects a commit that doesn't have the tag of the version, and a clone in
// which it isn't what one sees.
func (r *release) checkTag(ctx context.Context) error {
	if r.trial {
		return nil
	}
	changed, err := r.git(ctx, "status", "--porcelain")
	if err != nil {
		return err
	}
	if changed != "" {
		first, _, _ := strings.Cut(changed, "\n")
		return fmt.Errorf("the clone has changes that are not committed (%s): commit or remove them", strings.TrimSpace(first))
	}
	tagged, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "refs/tags/"+r.tag()+"^{commit}")
	if err != nil {
		return fmt.Errorf("there is no tag %s: make it, with git tag -s", r.tag())
	}
	if tagged != r.commit {
		return fmt.Errorf("the tag %s is not at HEAD, but at %.12s: check it out", r.tag(), tagged)
	}
	return nil
}

// sshRemote matches remotes as git@host:path.
var sshRemote = regexp.MustCompile(`^(?:ssh://)?(?:[\w.-]+@)?([\w.-]+)[:/]([\w./-]+?)(?:\.git)?/?$`)

// findURL fills in where the project and its releases are.
func (r *release) findURL(ctx context.Context) error {
	if r.url == "" {
		remote, err := r.git(ctx, "remote", "get-url", "origin")
		if err != nil {
			return fmt.Errorf("it is not known where the project is: name it by -url")
		}
		if m := sshRemote.FindStringSubmatch(remote); m != nil && !strings.HasPrefix(remote, "https:") {
			remote = "https://" + m[1] + "/" + m[2]
		}
		r.url = strings.TrimSuffix(strings.TrimSuffix(remote, "/"), ".git")
	}
	r.download = cmp.Or(r.download, r.url+"/releases/download/v{version}")
	r.builder = cmp.Or(r.builder, r.url+"/local-build")
	for _, url := range []string{r.url, r.download, r.builder} {
		if !strings.HasPrefix(url, "https://") || strings.ContainsAny(url, " '\"\\@`$\n") {
			return fmt.Errorf("%q can't be published: must be https://…, without credentials", url)
		}
	}
	return nil
}

// checkOut puts the commit's files into a clone of their own, in which there is no other
// commit or tag, whatever the clone has that is released from.
func (r *release) checkOut(ctx context.Context) error {
	r.source = filepath.Join(r.work, "source")
	if err := os.Mkdir(r.source, 0o755); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q"},
		// Files as they are in the commit, whatever the user has set.
		{"config", "core.autocrlf", "false"}, {"config", "core.eol", "lf"},
		{"fetch", "-q", "--no-tags", "--depth=1", r.repository, r.commit},
		{"-c", "advice.detachedHead=false", "checkout", "-q", r.commit},
		{"update-ref", "refs/tags/" + r.tag(), r.commit},
	} {
		if _, err := command(ctx, r.source, nil, "git", args...); err != nil {
			return err
		}
	}
	return nil
}
