package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	for version, ok := range map[string]bool{
		"1.2.3": true, "0.0.1": true, "1.2.3-rc.1": true, "1.2": false, "01.2.3": false, "1.2.3+a": false, "1.2.3-": false, "1.2.3\n": false, "": false,
	} {
		if isVersion(version) != ok {
			t.Errorf("%q is a version: %v", version, !ok)
		}
	}
}

func TestNamesOfPrograms(t *testing.T) {
	r := &release{version: "1.2.3"}
	for p, want := range map[platform]string{
		{"linux", "arm64"}: "reconciler_1.2.3_linux_arm64", {"windows", "amd64"}: "reconciler_1.2.3_windows_amd64.exe",
	} {
		if got := r.binaryName(p); got != want {
			t.Errorf("%v: %s", p, got)
		}
	}
	if got, err := choose(""); len(got) != 6 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// The notes end where the next version begins, and a version isn't the beginning of another.
func TestNotes(t *testing.T) {
	const changelog = "# Changelog\n\n## [1.2.30]\n\n- No.\n\n## [1.2.3] - 2026-12-01\n\n### Fixed\n\n- One.\n\n## [1.2.2]\n\n- Old.\n"
	for version, want := range map[string]string{"1.2.3": "### Fixed\n\n- One.\n", "1.2.30": "- No.\n", "1.2": "", "9.9.9": ""} {
		got, err := notesOf(changelog, version)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", version, got, err)
		}
	}
}

// This project's changelog can be released.
func TestOwnChangelog(t *testing.T) {
	if notes, err := notesOf(read(t, "../../"+changelog), unreleased); err != nil || !strings.Contains(notes, "### Added") {
		t.Errorf("%v", err)
	}
}

func TestRemotes(t *testing.T) {
	for remote, want := range map[string]string{
		"git@github.com:acme/reconciler.git":       "https://github.com/acme/reconciler",
		"ssh://git@git.acme.example/a/b/c.git":     "https://git.acme.example/a/b/c",
		"https://github.com/acme/reconciler.git":   "https://github.com/acme/reconciler",
		"https://github.com/acme/reconciler/":      "https://github.com/acme/reconciler",
		"https://ada:secret@github.com/acme/x.git": "",
		"/srv/git/reconciler":                      "",
	} {
		dir := t.TempDir()
		git(t, dir, "init", "-q")
		git(t, dir, "remote", "add", "origin", remote)
		r := &release{repository: dir}
		err := r.findURL(t.Context())
		if (err == nil) != (want != "") || err == nil && r.url != want {
			t.Errorf("%s: %q, %v", remote, r.url, err)
		}
	}
}

func TestReplaceLine(t *testing.T) {
	if got, err := replaceLine("a\nb$1\nc\n", "b$1", "x$1"); got != "a\nx$1\nc\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"", "b\nb\n", " b\n"} {
		if _, err := replaceLine(text, "b", "x"); err == nil {
			t.Errorf("%q has a line b", text)
		}
	}
}

// cosign signs the same file, with what a user names.
func TestCosign(t *testing.T) {
	bin, out := t.TempDir(), t.TempDir()
	const cosign = "#!/bin/sh\n" + `echo "$@" >SHA256SUMS.sigstore.json` + "\n"
	must(t, os.WriteFile(filepath.Join(bin, "cosign"), []byte(cosign), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for key, want := range map[string]string{
		"keyless": "sign-blob --yes --bundle SHA256SUMS.sigstore.json SHA256SUMS\n",
		"k.key":   "sign-blob --yes --bundle SHA256SUMS.sigstore.json --key k.key SHA256SUMS\n",
	} {
		r := &release{out: out, cosign: key}
		must(t, r.sign(t.Context()))
		if got := read(t, filepath.Join(out, cosignFile)); got != want || len(r.files) != 1 {
			t.Errorf("%q, %v", got, r.files)
		}
	}
}

// The script publishes what was built, as it was built, and nothing else.
func TestPublish(t *testing.T) {
	top, bin := t.TempDir(), t.TempDir()
	must(t, copyFile("../../scripts/release.sh", filepath.Join(top, "scripts/release.sh"), 0o755))
	said := filepath.Join(bin, "said")
	for _, program := range []string{"gh", "skopeo", "cosign"} {
		const script = "#!/bin/sh\n" + `echo "${0##*/} $*" >>"$SAID"` + "\n" + `while [ $# -gt 1 ]; do [ "$1" != --digestfile ] || echo sha256:0123 >"$2"; shift; done` + "\n"
		must(t, os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755))
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("SAID", said)
	t.Setenv("RELEASE_IMAGE", "ghcr.io/acme/reconciler")
	publish := func(version string) error {
		_, err := command(t.Context(), top, nil, "sh", "scripts/release.sh", "publish", version)
		return err
	}
	if err := publish("v1.2.3"); err == nil || !strings.Contains(err.Error(), "build it first") {
		t.Error(err)
	}
	dist := filepath.Join(top, "dist/1.2.3-rc.1")
	r := &release{out: dist, version: "1.2.3-rc.1"}
	must(t, os.MkdirAll(dist, 0o755))
	must(t, os.MkdirAll(filepath.Join(top, "layout"), 0o755))
	must(t, r.write(notesFile, []byte("notes\n")))
	var layout bytes.Buffer
	must(t, pack(&layout, filepath.Join(top, "layout"), "", r.time))
	must(t, r.write("reconciler_1.2.3-rc.1_oci.tar", layout.Bytes()))
	must(t, r.writeSums(t.Context()))
	must(t, publish("v1.2.3-rc.1"))
	lines := read(t, said)
	for _, want := range []string{
		"skopeo copy --all --preserve-digests ", ":1.2.3-rc.1 docker://ghcr.io/acme/reconciler:1.2.3-rc.1\n",
		"cosign sign --yes ghcr.io/acme/reconciler@sha256:0123\n",
		"gh release create v1.2.3-rc.1 --verify-tag --title v1.2.3-rc.1 --notes-file " + dist + "/RELEASE_NOTES.md --prerelease " + dist + "/RELEASE_NOTES.md " + dist + "/SHA256SUMS ",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}
	must(t, os.WriteFile(filepath.Join(dist, notesFile), []byte("other\n"), 0o644))
	must(t, os.Remove(said))
	if err := publish("1.2.3-rc.1"); err == nil || !strings.Contains(err.Error(), "is not what was built") {
		t.Error(err)
	}
	if _, err := os.Stat(said); err == nil {
		t.Errorf("published: %s", read(t, said))
	}
}
