package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const installer = "integrations/install.sh"

// pinnedFiles are what users copy into their CI, and how each is pinned.
var pinnedFiles = []struct {
	path string
	pin  func(*release, string) (string, error)
}{
	{"action.yml", (*release).pinAction},
	{installer, (*release).pinInstaller},
	{"integrations/gitlab.yml", (*release).pinTemplate},
	{"integrations/review.sh", func(_ *release, text string) (string, error) { return text, nil }},
}

// integrationsName returns the name of the archive of the pinned integrations.
func (r *release) integrationsName() string {
	return fmt.Sprintf("%s_%s_integrations.tar.gz", name, r.version)
}

// pin writes the integrations, which name the version and the checksums of what they
// download: no tag can be moved under them.
func (r *release) pin(context.Context) error {
	dir := filepath.Join(r.work, "integrations")
	for _, f := range pinnedFiles {
		text, err := os.ReadFile(filepath.Join(r.source, f.path))
		if err != nil {
			return err
		}
		pinned, err := f.pin(r, string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if err := writeFile(filepath.Join(dir, f.path), []byte(pinned)); err != nil {
			return err
		}
		if f.path == installer {
			if err := r.write(filepath.Base(f.path), []byte(pinned)); err != nil {
				return err
			}
		}
	}
	return r.pack(r.integrationsName(), dir, "")
}

// pack adds the compressed archive of a folder.
func (r *release) pack(file, dir, prefix string) error {
	data, err := packed(dir, prefix, r.time)
	if err != nil {
		return err
	}
	return r.write(file, data)
}

// pinDeployment writes the chart and the kustomizations, which name the image by its
// digest. Without an image there are none.
func (r *release) pinDeployment(context.Context) error {
	if r.imageDigest == "" {
		return nil
	}
	images := fmt.Sprintf("images: [{name: %s, newName: %s, digest: %q}]\nresources:", name, r.image, r.imageDigest)
	chart, kustomize := filepath.Join(r.source, "deploy/helm", name), filepath.Join(r.source, "deploy/kustomize")
	for _, edit := range []struct{ file, line, with string }{
		{filepath.Join(chart, "Chart.yaml"), "version: 0.0.0-devel", "version: " + r.version},
		{filepath.Join(chart, "Chart.yaml"), "appVersion: devel", "appVersion: " + strconv.Quote(r.version)},
		{filepath.Join(chart, "values.yaml"), "  repository: reconciler", "  repository: " + r.image},
		{filepath.Join(chart, "values.yaml"), `  digest: "" # sha256:…, wins over the tag`, "  digest: " + r.imageDigest},
		{filepath.Join(kustomize, "base/kustomization.yaml"), "resources:", images},
		{filepath.Join(kustomize, "overlays/cronjob/kustomization.yaml"), "resources:", images},
	} {
		text, err := os.ReadFile(edit.file)
		if err != nil {
			return err
		}
		edited, err := replaceLine(string(text), edit.line, edit.with)
		if err != nil {
			return fmt.Errorf("%s: %w", edit.file, err)
		}
		if err := os.WriteFile(edit.file, []byte(edited), 0o644); err != nil {
			return err
		}
	}
	// As Helm names charts and what is in them.
	if err := r.pack(name+"-"+r.version+".tgz", chart, name); err != nil {
		return err
	}
	return r.pack(fmt.Sprintf("%s_%s_kustomize.tar.gz", name, r.version), kustomize, "kustomize")
}

// writeFile writes a file, executable if it is a script, and makes its folder.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if bytes.HasPrefix(data, []byte("#!")) {
		mode = 0o755
	}
	return os.WriteFile(path, data, mode)
}

// pinInstaller fills in what the installer knows of a release.
func (r *release) pinInstaller(text string) (string, error) {
	var sums strings.Builder
	for _, b := range r.binaries {
		sum, err := digest(filepath.Join(r.out, b.name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, b.name)
	}
	for _, value := range [][2]string{
		{"release_version", r.version},
		{"release_url", r.download + "/" + name + "_{version}_{os}_{arch}"},
		{"release_sums", strings.TrimSuffix(sums.String(), "\n")},
	} {
		var err error
		if text, err = replaceLine(text, value[0]+"=", value[0]+"='"+value[1]+"'"); err != nil {
			return "", err
		}
	}
	return text, nil
}

// pinAction takes the source away, so that the action gets the program of the release.
func (r *release) pinAction(text string) (string, error) {
	return replaceLine(text, "        INSTALL_SOURCE: ${{ github.action_path }}", "")
}

// pinTemplate names the commit of the release in the template's example.
func (r *release) pinTemplate(text string) (string, error) {
	return replaceLine(text, "#       ref: v1.2.3                      # a tag, or better a commit",
		"#       ref: "+r.commit+"  # "+r.tag())
}

// replaceLine replaces a line, which must be there once.
func replaceLine(text, line, with string) (string, error) {
	re := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(line) + "\n")
	if n := len(re.FindAllString(text, -1)); n != 1 {
		return "", fmt.Errorf("the line %q is there %d times, and not once", line, n)
	}
	if with != "" {
		with += "\n"
	}
	return re.ReplaceAllLiteralString(text, with), nil
}
