package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// name is that of the program; files of a release begin with it.
const name = "reconciler"

// release is a release in the making.
type release struct {
	version                string
	repository, out        string
	url, download, builder string
	image                  string
	sshKey, cosign         string
	packages, trial        bool
	platforms              []platform
	log                    io.Writer
	commit                 string    // that is released
	time                   time.Time // of the commit; what is made has no other
	work                   string    // a folder that is removed at the end
	source                 string    // the commit's files, in work
	env                    []string  // for commands
	goVersion              string
	files                  []file // of the release, sorted by name
	imageDigest            string // of the image's index
	binaries               []binary
}

// file is a file of the release.
type file struct{ name, sha256 string }

// versionForm is that of Semantic Versioning without build metadata, which neither tags
// of images nor packages can have.
var versionForm = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

func isVersion(s string) bool { return versionForm.MatchString(s) }

// tag returns the tag of the version.
func (r *release) tag() string { return "v" + r.version }

// make makes the folder of the release, as a whole or not at all.
func (r *release) make(ctx context.Context) (err error) {
	if r.work, err = os.MkdirTemp("", "reconciler-release-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := r.find(ctx); err != nil {
		return err
	}
	target := r.out
	if _, err := os.Lstat(target); err == nil {
		return fmt.Errorf("%q exists already: remove it, or name another folder by -out", target)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if r.out, err = os.MkdirTemp(filepath.Dir(target), ".release-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.out)
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"source", r.checkOut}, {"notes", r.writeNotes}, {"programs", r.build}, {"bills of materials", r.writeBills},
		{"packages", r.makePackages},
		{"image", r.makeImage}, {"integrations", r.pin}, {"deployment", r.pinDeployment},
		{"provenance", r.writeProvenance}, {"checksums", r.writeSums}, {"signatures", r.sign},
	} {
		fmt.Fprintf(r.log, "release: %s\n", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if err := os.Chmod(r.out, 0o755); err != nil {
		return err
	}
	return os.Rename(r.out, target)
}

// add adds the file of this name to the release. It is in the folder already, and may be
// read by others whatever the umask.
func (r *release) add(name string) error {
	path := filepath.Join(r.out, name)
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(path, info.Mode()|0o444)
	}
	if err != nil {
		return err
	}
	sum, err := digest(path)
	if err != nil {
		return err
	}
	r.files = append(r.files, file{name, sum})
	slices.SortFunc(r.files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// write writes a file of the release.
func (r *release) write(name string, data []byte) error {
	if err := os.WriteFile(filepath.Join(r.out, name), data, 0o644); err != nil {
		return err
	}
	return r.add(name)
}

// digest returns the SHA-256 of a file, in hex.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// command runs a program in dir and returns what it prints. What it says of an error is
// in the error.
func command(ctx context.Context, dir string, env []string, program string, args ...string) (string, error) {
	return commandIn(ctx, dir, env, nil, program, args...)
}

// commandIn is command with an input.
func commandIn(ctx context.Context, dir string, env []string, stdin io.Reader, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, env, stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		if said != "" {
			said = ": " + said
		}
		return "", fmt.Errorf("%s %s: %w%s", program, strings.Join(args[:min(2, len(args))], " "), err, said)
	}
	return strings.TrimSpace(stdout.String()), nil
}
