// Package packages makes the packages of a release for servers: deb and rpm, with the
// program, its units for systemd, manual pages and completions.
package packages

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the formats register themselves
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// Options are what packages are made of.
type Options struct {
	// Version is that of the release, such as v1.2.3 or v1.2.3-rc.1.
	Version string
	// Arch is Go's name of the processor.
	Arch string
	// Program is the file of the program for linux and Arch.
	Program string
	// Root is the folder of the source.
	Root string
	// Documents is the folder that the function of that name has written.
	Documents string
	// Time is what all files in the packages are dated to, so that one commit makes the
	// same packages at any time.
	Time time.Time
	// Out is the folder for the packages.
	Out string
}

// Formats are the formats of packages.
func Formats() []string { return []string{"deb", "rpm"} }

// Build makes a package of each format, and returns their files.
func Build(o Options) ([]string, error) {
	var made []string
	for _, format := range Formats() {
		file, err := build(o, format)
		if err != nil {
			return nil, fmt.Errorf("making the %s for %s: %w", format, o.Arch, err)
		}
		made = append(made, file)
	}
	return made, nil
}

func build(o Options, format string) (file string, err error) {
	contents, err := o.contents(format)
	if err != nil {
		return "", err
	}
	scripts := filepath.Join(o.Root, "packaging/scripts")
	info := nfpm.WithDefaults(&nfpm.Info{
		Name:        "reconciler",
		Arch:        o.Arch,
		Version:     o.Version,
		Release:     "1",
		Section:     "admin",
		Priority:    "optional",
		Maintainer:  "The reconciler project <reconciler@localhost>",
		Description: "Manage the orgs of an Okta Aerial account from manifests in git\nreconciler compares the Okta orgs and products that manifests declare with the\nAerial API, shows the differences, and applies them.",
		MTime:       o.Time,
		Overridables: nfpm.Overridables{
			Contents: contents,
			Scripts: nfpm.Scripts{
				PostInstall: filepath.Join(scripts, "postinstall.sh"),
				PreRemove:   filepath.Join(scripts, "preremove.sh"),
				PostRemove:  filepath.Join(scripts, "postremove.sh"),
			},
			RPM: nfpm.RPM{BuildHost: "localhost"},
		},
	})
	switch format { // whose useradd the scripts use
	case "deb":
		info.Depends = []string{"passwd"}
	case "rpm":
		info.Depends = []string{"/usr/sbin/useradd"}
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := packager.Package(info, &b); err != nil {
		return "", err
	}
	// Before the version of a prerelease is a ~, so that it sorts before the release. Forges
	// rename files with one, and then checksums name files that aren't there.
	file = filepath.Join(o.Out, strings.ReplaceAll(packager.ConventionalFileName(info), "~", "-"))
	return file, os.WriteFile(file, b.Bytes(), 0o644)
}

// contents returns the files of a package.
func (o *Options) contents(format string) (files.Contents, error) {
	c := contents{time: o.Time}
	c.file(o.Program, "/usr/bin/reconciler", 0o755)
	c.folder("/etc/reconciler", 0o755)
	c.folder("/etc/reconciler/credentials", 0o700)
	units := filepath.Join(o.Root, "packaging/systemd")
	for _, unit := range []string{"reconciler.service", "reconciler-once.service", "reconciler-once.timer"} {
		c.file(filepath.Join(units, unit), "/usr/lib/systemd/system/"+unit, 0o644)
	}
	c.file(filepath.Join(units, "sysusers.conf"), "/usr/lib/sysusers.d/reconciler.conf", 0o644)

	const doc = "/usr/share/doc/reconciler/"
	for _, folder := range []string{doc, doc + "docs", doc + "examples"} {
		c.folder(folder, 0o755)
	}
	c.file(filepath.Join(o.Root, "packaging/reconciler.yaml"), doc+"examples/reconciler.yaml", 0o644)
	c.file(filepath.Join(o.Root, "examples/orgs.yaml"), doc+"examples/orgs.yaml", 0o644)
	for _, name := range []string{"README.md", "CHANGELOG.md"} {
		c.file(filepath.Join(o.Root, name), doc+name, 0o644)
	}
	guides, err := filepath.Glob(filepath.Join(o.Root, "docs/*.md"))
	if err != nil {
		return nil, err
	}
	for _, guide := range guides {
		c.file(guide, doc+"docs/"+filepath.Base(guide), 0o644)
	}

	manuals, err := filepath.Glob(filepath.Join(o.Documents, "man/*.1.gz"))
	if err != nil {
		return nil, err
	}
	if len(manuals) == 0 {
		return nil, fmt.Errorf("there are no manual pages in %s", o.Documents)
	}
	for _, page := range manuals {
		c.file(page, "/usr/share/man/man1/"+filepath.Base(page), 0o644)
	}
	zsh := "/usr/share/zsh/site-functions/_reconciler"
	if format == "deb" {
		zsh = "/usr/share/zsh/vendor-completions/_reconciler"
	}
	for shell, file := range map[string]string{
		"bash": "/usr/share/bash-completion/completions/reconciler",
		"fish": "/usr/share/fish/vendor_completions.d/reconciler.fish",
		"zsh":  zsh,
	} {
		c.file(filepath.Join(o.Documents, "completions", shell), file, 0o644)
	}
	slices.SortFunc(c.all, func(a, b *files.Content) int { return strings.Compare(a.Destination, b.Destination) })
	return c.all, nil
}

// contents collects the files of a package, all of root.
type contents struct {
	time time.Time
	all  files.Contents
}

func (c *contents) file(source, destination string, mode os.FileMode) {
	c.all = append(c.all, &files.Content{
		Source: source, Destination: destination,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: c.time},
	})
}

func (c *contents) folder(destination string, mode os.FileMode) {
	c.all = append(c.all, &files.Content{
		Destination: destination, Type: files.TypeDir,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: c.time},
	})
}

// Documents has a program, which runs on this machine, write its manual pages and
// completions into a folder, for all packages.
func Documents(ctx context.Context, program, dir string) error {
	man, completions := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	if _, err := output(ctx, program, "man", man); err != nil {
		return err
	}
	if err := compress(man); err != nil {
		return err
	}
	if err := os.MkdirAll(completions, 0o755); err != nil {
		return err
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, err := output(ctx, program, "completion", shell)
		if err == nil {
			err = os.WriteFile(filepath.Join(completions, shell), script, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compress puts a compressed file in place of each manual page.
func compress(man string) error {
	pages, err := filepath.Glob(filepath.Join(man, "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
		if err := os.WriteFile(page+".gz", b.Bytes(), 0o644); err != nil {
			return err
		}
		if err := os.Remove(page); err != nil {
			return err
		}
	}
	return nil
}

func output(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return out, nil
}
