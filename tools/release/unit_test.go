package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// script is a clone with the script that publishes, a release to publish, and programs that
// note how they are called.
type script struct {
	t               *testing.T
	top, dist, said string
	r               *release
}

const prerelease = "1.2.3-rc.1"

// newScript returns a clone in which the release is made and signed.
func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{t: t, top: t.TempDir()}
	bin := t.TempDir()
	s.said = filepath.Join(bin, "said")
	for _, program := range []string{"gh", "skopeo", "cosign"} {
		const script = "#!/bin/sh\n" + `[ "$1 $2" != "release view" ] || exit "${PUBLISHED:-1}"` + "\n" + `echo "${0##*/} $*" >>"$SAID"` + "\n" + `while [ $# -gt 1 ]; do [ "$1" != --digestfile ] || echo sha256:0123 >"$2"; shift; done` + "\n"
		must(t, os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755))
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("SAID", s.said)
	t.Setenv("RELEASE_IMAGE", "ghcr.io/acme/reconciler")
	key := signingKey(t, bin)
	signers := filepath.Join(bin, "signers")
	must(t, os.WriteFile(signers, []byte("release namespaces=\"reconciler-release\" "+read(t, key+".pub")), 0o644))
	t.Setenv("RELEASE_SIGNERS", signers)

	must(t, copyFile("../../scripts/release.sh", filepath.Join(s.top, "scripts/release.sh"), 0o755))
	git(t, s.top, "init", "-q")
	commit(t, s.top, "2026-12-01T12:00:00Z")
	git(t, s.top, "tag", "v"+prerelease)
	s.dist = filepath.Join(s.top, "dist", prerelease)
	s.r = &release{out: s.dist, version: prerelease, sshKey: key, url: "https://git.example/acme/reconciler", builder: "https://git.example/ci", commit: git(t, s.top, "rev-parse", "HEAD")}
	s.build()
	return s
}

// build makes the release anew.
func (s *script) build() {
	s.t.Helper()
	must(s.t, os.RemoveAll(s.dist))
	must(s.t, os.MkdirAll(s.dist, 0o755))
	s.r.files = nil
	must(s.t, s.r.write(notesFile, []byte("notes\n")))
	var layout bytes.Buffer
	must(s.t, pack(&layout, s.t.TempDir(), "", s.r.time))
	must(s.t, s.r.write(s.r.layoutName(), layout.Bytes()))
	must(s.t, s.r.writeProvenance(s.t.Context()))
	s.sign()
}

// sign signs checksums of the files that are there.
func (s *script) sign() {
	s.t.Helper()
	must(s.t, os.RemoveAll(filepath.Join(s.dist, sshFile)))
	must(s.t, s.r.writeSums(s.t.Context()))
	must(s.t, s.r.sign(s.t.Context()))
}

// run runs the script, and returns what the programs were called with.
func (s *script) run(args ...string) (said string, err error) {
	s.t.Helper()
	must(s.t, os.RemoveAll(s.said))
	_, err = command(s.t.Context(), s.top, nil, "sh", append([]string{"scripts/release.sh"}, args...)...)
	if _, missing := os.Stat(s.said); missing == nil {
		said = read(s.t, s.said)
	}
	return said, err
}

// refused runs the script, which must publish nothing and say why.
func (s *script) refused(why string) {
	s.t.Helper()
	said, err := s.run("publish", prerelease)
	if err == nil || !strings.Contains(err.Error(), why) {
		s.t.Errorf("%v, not %q", err, why)
	}
	if said != "" {
		s.t.Errorf("%s: published: %s", why, said)
	}
}

// The script publishes what the checksums list, which one of the signers has signed, and
// nothing else that is in the folder.
func TestPublish(t *testing.T) {
	s := newScript(t)
	must(t, os.WriteFile(filepath.Join(s.dist, "notes.txt"), []byte("draft, with a password\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(s.dist, cosignFile), []byte("{}\n"), 0o644))
	said, err := s.run("publish", "v"+prerelease)
	must(t, err)
	for _, want := range []string{
		"skopeo copy --all --preserve-digests ", ":1.2.3-rc.1 docker://ghcr.io/acme/reconciler:1.2.3-rc.1\n",
		"cosign sign --yes ghcr.io/acme/reconciler@sha256:0123\n",
		"gh release create v1.2.3-rc.1 --verify-tag --title v1.2.3-rc.1 --notes-file ", " --prerelease ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	_, uploaded, _ := strings.Cut(said, "--prerelease ")
	var names []string
	for file := range strings.FieldsSeq(uploaded) {
		names = append(names, filepath.Base(file))
	}
	want := []string{notesFile, sumsFile, sshFile, cosignFile, "reconciler_1.2.3-rc.1.intoto.json", "reconciler_1.2.3-rc.1_oci.tar"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// Nothing is published that isn't signed as it is, for this version, from its tag.
func TestPublishRefuses(t *testing.T) {
	s := newScript(t)
	notes, sums := filepath.Join(s.dist, notesFile), filepath.Join(s.dist, sumsFile)
	if _, err := s.run("publish", "v9.9.9"); err == nil || !strings.Contains(err.Error(), "build it first") {
		t.Error(err)
	}

	must(t, os.WriteFile(notes, []byte("other\n"), 0o644))
	s.refused("is not what was built")

	// Who can write to the folder can write checksums as well.
	s.build()
	must(t, os.WriteFile(notes, []byte("other\n"), 0o644))
	was, err := digest(filepath.Join(s.dist, s.r.layoutName()))
	must(t, err)
	is, err := digest(notes)
	must(t, err)
	must(t, os.WriteFile(sums, []byte(was+"  "+s.r.layoutName()+"\n"+is+"  "+notesFile+"\n"), 0o644))
	s.refused("is not what release has signed")

	// And sign them, with another key or for another purpose.
	ours := s.r.sshKey
	s.r.sshKey = signingKey(t, t.TempDir())
	s.build()
	s.refused("is not signed by any of the signers")
	s.r.sshKey = ours
	must(t, os.Remove(filepath.Join(s.dist, sshFile)))
	_, err = command(t.Context(), s.dist, nil, "ssh-keygen", "-Y", "sign", "-f", ours, "-n", "file", sumsFile)
	must(t, err)
	s.refused("is not what release has signed")
	must(t, os.Remove(filepath.Join(s.dist, sshFile)))
	s.refused("is not signed: build it with RELEASE_SIGNING_KEY")

	// A file that is a link to another, or lies elsewhere.
	s.build()
	must(t, os.Rename(notes, filepath.Join(s.top, "elsewhere")))
	must(t, os.Symlink("../../elsewhere", notes))
	s.refused("has no file RELEASE_NOTES.md")
	s.build()
	s.r.files = append(s.r.files, file{"../../scripts/release.sh", strings.Repeat("0", 64)})
	s.sign()
	s.refused("which names no file of a release")

	// What the same key has signed for another version, or from another commit.
	s.r.version = "1.2.2"
	s.build()
	s.refused("is not one of 1.2.3-rc.1")
	s.r.version = prerelease
	s.build()
	commit(t, s.top, "2026-12-01T13:00:00Z")
	git(t, s.top, "tag", "-f", "v"+prerelease)
	s.refused("is not made from v1.2.3-rc.1")

	git(t, s.top, "tag", "-f", "v"+prerelease, s.r.commit)
	t.Setenv("PUBLISHED", "0")
	s.refused("v1.2.3-rc.1 is published already")

	t.Setenv("RELEASE_SIGNERS", "")
	s.refused("RELEASE_SIGNERS is not set")
}

// Signers may be given as text, as CI has variables.
func TestSignersAsText(t *testing.T) {
	s := newScript(t)
	t.Setenv("RELEASE_SIGNERS", read(t, os.Getenv("RELEASE_SIGNERS")))
	said, err := s.run("publish", prerelease)
	if err != nil || !strings.Contains(said, "gh release create") {
		t.Errorf("%v\n%s", err, said)
	}
}

// What is built again is compared with the files that were published, not with what
// stands of them in checksums alone.
func TestReproduce(t *testing.T) {
	s := newScript(t)
	// go makes the same release once more.
	bin := t.TempDir()
	const fake = "#!/bin/sh\n" + `[ "$1" != version ] || exit 0` + "\n" + `while [ "$1" != -out ]; do shift; done; mkdir "$2" && cp "$AGAIN" "$2/SHA256SUMS"` + "\n"
	must(t, os.WriteFile(filepath.Join(bin, "go"), []byte(fake), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	again := filepath.Join(bin, "sums")
	must(t, copyFile(filepath.Join(s.dist, sumsFile), again, 0o644))
	t.Setenv("AGAIN", again)
	reproduce := func(want string) {
		t.Helper()
		if _, err := s.run("reproduce", prerelease, s.dist); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
	reproduce("")
	extra := filepath.Join(s.dist, "reconciler_1.2.3-rc.1_freebsd_amd64")
	must(t, os.WriteFile(extra, []byte("x"), 0o755))
	reproduce("freebsd_amd64 is not in its SHA256SUMS")
	must(t, os.Remove(extra))
	must(t, os.WriteFile(filepath.Join(s.dist, notesFile), []byte("other\n"), 0o644))
	reproduce("is not what its SHA256SUMS says")
	s.build()
	must(t, os.WriteFile(again, []byte("other\n"), 0o644))
	reproduce("these files differ")
}

// What was published is downloaded to where git takes no notice of it: of a clone with
// other files nothing is released.
func TestReproduceInClone(t *testing.T) {
	for _, file := range []string{".github/workflows/release.yml", "docs/releases.md"} {
		if text := read(t, filepath.Join("../..", file)); !strings.Contains(text, "--dir dist/published") || !strings.Contains(text, " dist/published\n") {
			t.Errorf("%s downloads to another folder", file)
		}
	}
	git(t, "../..", "check-ignore", "-q", "dist/published")
}

// Programs that build get no key.
func TestKeyIsKept(t *testing.T) {
	top, bin := t.TempDir(), t.TempDir()
	must(t, copyFile("../../scripts/release.sh", filepath.Join(top, "scripts/release.sh"), 0o755))
	must(t, os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+`echo "$@" >"$SAID"; env >>"$SAID"; key=$(printf '%s\n' "$@" | grep '/key$') && cp "$key" "$SAID.key"; exit 0`+"\n"), 0o755))
	said := filepath.Join(bin, "said")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("SAID", said)
	t.Setenv("RELEASE_SIGNING_KEY", "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary")
	_, err := command(t.Context(), top, nil, "sh", "scripts/release.sh", "build", "1.2.3")
	must(t, err)
	if strings.Contains(read(t, said), "canary") {
		t.Error("the key is in the environment")
	}
	if got := read(t, said+".key"); !strings.HasSuffix(got, "canary\n") {
		t.Errorf("the key that signs: %q", got)
	}
	t.Setenv("RELEASE_SIGNING_KEY", "keys/release.pub")
	_, err = command(t.Context(), top, nil, "sh", "scripts/release.sh", "build", "1.2.3")
	must(t, err)
	if top, err = filepath.EvalSymlinks(top); err != nil || !strings.Contains(read(t, said), " -sign "+top+"/keys/release.pub") {
		t.Errorf("%v\n%s", err, read(t, said))
	}
}

// The installer refuses what it can't install with one line that names it.
func TestInstallerInputs(t *testing.T) {
	for variables, want := range map[string]string{
		"":                            "nothing to install: name a binary, a URL or a folder with the source",
		"INSTALL_BINARY=/":            `"/" is no program`,
		"INSTALL_SOURCE=/nonexistent": `"/nonexistent" is no folder with the source`,
		"INSTALL_URL=https://git.example/{version} INSTALL_SHA256=00": `"https://git.example/{version}" needs INSTALL_VERSION`,
		"INSTALL_URL=http://git.example/x INSTALL_SHA256=00":          `the download must be https://…, not "http://git.example/x"`,
		"INSTALL_URL=https://git.example/x":                           "a download needs signers, or its SHA-256 checksum: what could be anything is not run",
	} {
		cmd := exec.Command("sh", "../../integrations/install.sh")
		cmd.Env = append(strings.Fields(variables), "PATH="+os.Getenv("PATH"), "INSTALL_DIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err == nil || got != "install: "+want {
			t.Errorf("%s: %v, %q", variables, err, got)
		}
	}
}
