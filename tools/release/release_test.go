package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/encoding/protojson"
)

// required reports whether what a test needs must be here.
func required() bool { return os.Getenv("RELEASETEST_REQUIRED") == "1" }

// hasBuildah reports whether images can be made here, and fails the test if not although
// it is required.
func hasBuildah(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	storage := filepath.Join(dir, "storage.conf")
	must(t, os.WriteFile(storage, []byte("[storage]\ndriver = \"vfs\"\ngraphroot = \""+dir+"/storage\"\nrunroot = \""+dir+"/run\"\n"), 0o600))
	_, err := command(t.Context(), dir, append(os.Environ(), "CONTAINERS_STORAGE_CONF="+storage, "STORAGE_DRIVER=vfs"), "buildah", "from", "scratch")
	if err != nil && required() {
		t.Fatal(err)
	}
	return err == nil
}

// project makes a clone of a small project that is laid out as this one, with the tag
// v1.2.3, and returns its folder.
func project(t *testing.T, dir string) string {
	t.Helper()
	for name, text := range map[string]string{
		"go.mod": "module reconciler\n\ngo 1.26.0\n\nrequire github.com/cespare/xxhash/v2 v2.3.0\n",
		"go.sum": sumsOfModule(t, "github.com/cespare/xxhash/v2 v2.3.0"),
		"cmd/reconciler/main.go": `package main

import "github.com/cespare/xxhash/v2"

var version string

func main() {
	if xxhash.Sum64String(version) > 0 {
		println(version)
	}
}
`,
		"CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n- Not yet.\n\n## [1.2.3] - 2026-12-01\n\n### Added\n\n- All.\n\n## [1.2.2] - 2026-11-01\n\n- Before.\n",
	} {
		must(t, writeFile(filepath.Join(dir, name), []byte(text)))
	}
	for _, f := range pinnedFiles {
		must(t, copyFile(filepath.Join("../..", f.path), filepath.Join(dir, f.path), 0o644))
	}
	must(t, os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS("../../deploy")))
	git(t, dir, "init", "-q")
	commit(t, dir, "2026-12-01T12:00:00Z")
	git(t, dir, "tag", "v1.2.3")
	git(t, dir, "remote", "add", "origin", "git@github.com:acme/reconciler.git")
	return dir
}

func commit(t *testing.T, dir, at string) {
	t.Helper()
	t.Setenv("GIT_COMMITTER_DATE", at)
	t.Setenv("GIT_AUTHOR_DATE", at)
	git(t, dir, "add", "-A")
	git(t, dir, "-c", "user.name=Ada", "-c", "user.email=ada@acme.example", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "work")
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := command(t.Context(), dir, nil, "git", args...)
	must(t, err)
	return out
}

// sumsOfModule returns the lines of our own go.sum that are about a module.
func sumsOfModule(t *testing.T, module string) string {
	t.Helper()
	var lines strings.Builder
	for line := range strings.Lines(read(t, "../../go.sum")) {
		if strings.HasPrefix(line, module) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

// contents returns the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, _ := d.Info()
			files[path+" "+info.Mode().String()] = read(t, filepath.Join(dir, path))
		}
		return err
	}))
	return files
}

// signingKey makes an ssh key.
func signingKey(t *testing.T, dir string) string {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		if required() {
			t.Fatal(err)
		}
		t.Skip("no ssh-keygen here")
	}
	key := filepath.Join(dir, "key")
	_, err := command(t.Context(), dir, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release", "-f", key)
	must(t, err)
	return key
}

// TestRelease makes a release twice, from clones with other tags and settings, with caches
// of their own, in other time zones and with other flags of Go. All files are the same, to
// the last bit.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles Go's library twice")
	}
	dir := t.TempDir()
	key := signingKey(t, dir)
	first := project(t, filepath.Join(dir, "first"))
	second := filepath.Join(dir, "somewhere", "else", "second")
	git(t, dir, "clone", "-q", first, second)
	git(t, second, "tag", "v0.0.1")
	git(t, second, "config", "core.autocrlf", "true")

	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	args := []string{"-packages=false", "-url", "https://github.com/acme/reconciler", "-sign", key, "-platforms", "linux/amd64,linux/arm64"}
	image := hasBuildah(t)
	if image {
		args = append(args, "-image", "ghcr.io/acme/reconciler")
	}
	must(t, run(t.Context(), append(args, "-repository", first, "-out", one, "v1.2.3"), io.Discard, io.Discard))
	if !t.Run("in other surroundings", func(t *testing.T) {
		t.Setenv("GOCACHE", filepath.Join(dir, "cache"))
		t.Setenv("TZ", "Asia/Tokyo")
		t.Setenv("GOFLAGS", "-tags=other -race")
		must(t, run(t.Context(), append(args, "-repository", second, "-out", two, "1.2.3"), io.Discard, io.Discard))
	}) {
		return
	}

	files := contents(t, one)
	for name, text := range contents(t, two) {
		if files[name] != text {
			t.Errorf("%s differs", name)
		}
		delete(files, name)
	}
	if len(files) > 0 {
		t.Errorf("only in one: %v", files)
	}

	t.Run("program", func(t *testing.T) { testProgram(t, one) })
	t.Run("checksums", func(t *testing.T) { testSums(t, one, key) })
	t.Run("bill of materials", func(t *testing.T) { testBill(t, one) })
	t.Run("provenance", func(t *testing.T) { testProvenance(t, one, git(t, first, "rev-parse", "HEAD")) })
	t.Run("integrations", func(t *testing.T) { testIntegrations(t, one, git(t, first, "rev-parse", "HEAD")) })
	if image {
		t.Run("image", func(t *testing.T) { testImage(t, one) })
	}
	if got := read(t, filepath.Join(one, notesFile)); got != "### Added\n\n- All.\n" {
		t.Errorf("notes: %q", got)
	}
}

func testProgram(t *testing.T, dir string) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		t.Skip("built for another platform")
	}
	out, err := exec.Command(filepath.Join(dir, "reconciler_1.2.3_linux_amd64")).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "1.2.3" {
		t.Errorf("%q, %v", out, err)
	}
}

// The checksums are those of all other files, and signed.
func testSums(t *testing.T, dir, key string) {
	sums := read(t, filepath.Join(dir, sumsFile))
	for name := range contents(t, dir) {
		name, _, _ = strings.Cut(name, " ")
		if listed := strings.Contains(sums, "  "+name+"\n"); listed != !strings.HasPrefix(name, sumsFile) {
			t.Errorf("%s is listed: %v", name, listed)
		}
	}
	cmd := exec.Command("sha256sum", "--check", "--strict", sumsFile)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	signers := filepath.Join(t.TempDir(), "signers")
	must(t, os.WriteFile(signers, []byte("release "+read(t, key+".pub")), 0o644))
	verify := func(sums string) error {
		_, err := commandIn(t.Context(), dir, nil, strings.NewReader(sums), "ssh-keygen", "-Y", "verify", "-f", signers, "-I", "release", "-n", namespace, "-s", sshFile)
		return err
	}
	if err := verify(sums); err != nil {
		t.Error(err)
	}
	if verify(sums+"\n") == nil {
		t.Error("changed checksums pass")
	}
}

// A bill of materials is one by CycloneDX's schema, and names what is in the program.
func testBill(t *testing.T, dir string) {
	text := read(t, filepath.Join(dir, "reconciler_1.2.3_linux_amd64.cdx.json"))
	schema := billSchema(t)
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	must(t, err)
	if err := schema.Validate(document); err != nil {
		t.Error(err)
	}
	var bom cdx.BOM
	must(t, json.Unmarshal([]byte(text), &bom))
	var names []string
	for _, c := range *bom.Components {
		names = append(names, c.PackageURL)
	}
	if diff := cmp.Diff([]string{"pkg:golang/github.com/cespare/xxhash/v2@v2.3.0", "pkg:golang/std@" + runtime.Version()}, names); diff != "" {
		t.Error(diff)
	}
	// The schema finds what is wrong.
	document.(map[string]any)["components"].([]any)[0].(map[string]any)["type"] = "nonsense"
	if schema.Validate(document) == nil {
		t.Error("the schema allows anything")
	}
}

// billSchema returns the schema that CycloneDX has published, out of the module that
// writes bills.
func billSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := command(t.Context(), ".", nil, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	must(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for id, file := range map[string]string{
		"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(read(t, filepath.Join(dir, "schema", file))))
		must(t, err)
		must(t, c.AddResource("http://cyclonedx.org/schema/"+id, document))
	}
	schema, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	must(t, err)
	return schema
}

// The statement is one of in-toto with SLSA's predicate, about each file that is there
// but the checksums, which are of it too.
func testProvenance(t *testing.T, dir, commit string) {
	var s intoto.Statement
	must(t, protojson.Unmarshal([]byte(read(t, filepath.Join(dir, "reconciler_1.2.3.intoto.json"))), &s))
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	subjects := map[string]bool{}
	for _, subject := range s.Subject {
		if subject.Name == "ghcr.io/acme/reconciler" {
			continue // by its digest, as registries know it
		}
		sum, err := digest(filepath.Join(dir, subject.Name))
		if err != nil || subject.Digest["sha256"] != sum {
			t.Errorf("%s: %v, %v", subject.Name, subject.Digest, err)
		}
		subjects[subject.Name] = true
	}
	for name := range contents(t, dir) {
		name, _, _ = strings.Cut(name, " ")
		if other := strings.HasPrefix(name, sumsFile) || strings.HasSuffix(name, ".intoto.json"); subjects[name] == other {
			t.Errorf("%s is a subject: %v", name, subjects[name])
		}
	}
	data, err := protojson.Marshal(s.Predicate)
	must(t, err)
	var p provenance.Provenance
	must(t, protojson.Unmarshal(data, &p))
	if err := p.Validate(); err != nil || s.PredicateType != "https://slsa.dev/provenance/v1" {
		t.Errorf("%s: %v", s.PredicateType, err)
	}
	if got := p.BuildDefinition.ResolvedDependencies[0].Digest["gitCommit"]; got != commit {
		t.Errorf("made of commit %s, not %s", got, commit)
	}
}

// The integrations know what they get: the installer gets the programs of this release,
// by their checksums, and the action has no source to build.
func testIntegrations(t *testing.T, dir, commit string) {
	unpacked := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", filepath.Join(dir, "reconciler_1.2.3_integrations.tar.gz"), "-C", unpacked).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if read(t, filepath.Join(unpacked, installer)) != read(t, filepath.Join(dir, "install.sh")) {
		t.Error("there are two installers")
	}
	if strings.Contains(read(t, filepath.Join(unpacked, "action.yml")), "INSTALL_SOURCE") {
		t.Error("the action builds from source")
	}
	if !strings.Contains(read(t, filepath.Join(unpacked, "integrations/gitlab.yml")), "ref: "+commit+"  # v1.2.3\n") {
		t.Error("the template isn't pinned")
	}
	testInstaller(t, dir)
}

// testInstaller runs the pinned installer with a curl that has the files of dir, and one
// in which a byte was changed.
func testInstaller(t *testing.T, dir string) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		t.Skip("built for another platform")
	}
	bin := t.TempDir()
	const curl = `#!/bin/sh
while [ $# -gt 2 ]; do [ "$1" != --output ] || to=$2; shift; done
[ "$2" = "https://github.com/acme/reconciler/releases/download/v1.2.3/${2##*/}" ] && cp "$FILES/${2##*/}" "$to"
`
	must(t, os.WriteFile(filepath.Join(bin, "curl"), []byte(curl), 0o755))
	install := func(files string) (string, error) {
		cmd := exec.Command("sh", filepath.Join(dir, "install.sh"))
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "FILES=" + files, "INSTALL_DIR=" + filepath.Join(bin, "installed")}
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	out, err := install(dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if version, err := exec.Command(out).CombinedOutput(); err != nil || strings.TrimSpace(string(version)) != "1.2.3" {
		t.Errorf("%q, %v", version, err)
	}
	must(t, os.Remove(out))
	changed := t.TempDir()
	program := []byte(read(t, filepath.Join(dir, "reconciler_1.2.3_linux_amd64")))
	program[len(program)/2] ^= 1
	must(t, os.WriteFile(filepath.Join(changed, "reconciler_1.2.3_linux_amd64"), program, 0o755))
	if out, err := install(changed); err == nil || !strings.Contains(out, "has the checksum") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a changed program was installed")
	}
}

// The image has an entry for each architecture, made of the programs of the release, and
// the same labels; the provenance, the chart and the kustomizations name its digest.
func testImage(t *testing.T, dir string) {
	unpack := func(name string) string {
		to := t.TempDir()
		if out, err := exec.Command("tar", "-xf", filepath.Join(dir, name), "-C", to).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return to
	}
	layout := unpack("reconciler_1.2.3_oci.tar")
	blob := func(digest string, v any) {
		must(t, json.Unmarshal([]byte(read(t, filepath.Join(layout, "blobs", strings.Replace(digest, ":", "/", 1)))), v))
	}
	digest, err := indexDigest(layout)
	must(t, err)
	var index struct {
		Manifests []struct {
			Digest   string
			Platform struct{ Architecture, OS string }
		}
	}
	blob(digest, &index)
	var platforms []string
	for _, m := range index.Manifests {
		platforms = append(platforms, m.Platform.OS+"/"+m.Platform.Architecture)
		var manifest struct {
			Config struct{ Digest string }
			Layers []struct{ Digest string }
		}
		blob(m.Digest, &manifest)
		var config struct {
			Architecture string
			Created      string
			Config       struct {
				User       string
				Entrypoint []string
				Labels     map[string]string
			}
		}
		blob(manifest.Config.Digest, &config)
		labels := config.Config.Labels
		if config.Architecture != m.Platform.Architecture || config.Created != "2026-12-01T12:00:00Z" || config.Config.User != "65532:65532" ||
			labels["org.opencontainers.image.version"] != "1.2.3" || labels["org.opencontainers.image.source"] != "https://github.com/acme/reconciler" {
			t.Errorf("%+v", config)
		}
		testLayer(t, filepath.Join(layout, "blobs", strings.Replace(manifest.Layers[0].Digest, ":", "/", 1)), filepath.Join(dir, "reconciler_1.2.3_linux_"+m.Platform.Architecture))
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Error(diff)
	}
	chart, kustomize := unpack("reconciler-1.2.3.tgz"), unpack("reconciler_1.2.3_kustomize.tar.gz")
	for file, want := range map[string]string{
		filepath.Join(dir, "reconciler_1.2.3.intoto.json"):            strings.TrimPrefix(digest, "sha256:"),
		filepath.Join(chart, "reconciler/values.yaml"):                "  repository: ghcr.io/acme/reconciler\n  tag: \"\" # by default the chart's appVersion\n  digest: " + digest + "\n",
		filepath.Join(chart, "reconciler/Chart.yaml"):                 "\nversion: 1.2.3\nappVersion: \"1.2.3\"\n",
		filepath.Join(kustomize, "kustomize/base/kustomization.yaml"): "newName: ghcr.io/acme/reconciler, digest: \"" + digest + "\"",
	} {
		if !strings.Contains(read(t, file), want) {
			t.Errorf("%s doesn't name the image by %q", file, want)
		}
	}
}

// testLayer checks that a layer has the program and nothing else that could be run.
func testLayer(t *testing.T, layer, program string) {
	f, err := os.Open(layer)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if header.Typeflag != tar.TypeDir {
			data, err := io.ReadAll(r)
			must(t, err)
			files[header.Name] = string(data)
		}
	}
	if len(files) != 1 || files["reconciler"] != read(t, program) {
		t.Errorf("the layer has %d files, or another program", len(files))
	}
}

// What can't be released, with what to do.
func TestRefused(t *testing.T) {
	dir := project(t, t.TempDir())
	try := func(want string, args ...string) {
		t.Helper()
		var stderr bytes.Buffer
		err := run(t.Context(), append([]string{"-repository", dir}, args...), io.Discard, &stderr)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, not %q", args, err, want)
		}
	}
	try("one argument is needed")
	try(`"1.2" is no version`, "1.2")
	try(`"1.2.3+build" is no version`, "1.2.3+build")
	try(`"plan9/amd64" is no platform`, "-platforms", "plan9/amd64", "1.2.3")
	try("there is no tag v1.2.4", "1.2.4")
	try(`can't be published`, "-url", "https://token@github.com/acme/reconciler", "1.2.3")
	try(`can't be published`, "-url", "http://github.com/acme/reconciler", "1.2.3")
	try("exists already", "-out", dir, "1.2.3")
	git(t, dir, "tag", "v1.2.5")
	try(`CHANGELOG.md says nothing of 1.2.5`, "-out", filepath.Join(t.TempDir(), "out"), "1.2.5")
	must(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644))
	try("changes that are not committed (?? new)", "1.2.3")
	commit(t, dir, "2026-12-01T13:00:00Z")
	try("the tag v1.2.3 is not at HEAD", "1.2.3")
}

// Nothing is left behind by a release that fails.
func TestNothingLeft(t *testing.T) {
	dir := project(t, t.TempDir())
	must(t, os.WriteFile(filepath.Join(dir, "cmd/reconciler/main.go"), []byte("package main\n"), 0o644))
	commit(t, dir, "2026-12-01T13:00:00Z")
	t.Setenv("TMPDIR", t.TempDir())
	out := t.TempDir()
	err := run(t.Context(), []string{"-repository", dir, "-trial", "-packages=false", "-platforms", "linux/amd64", "-out", filepath.Join(out, "one"), "1.2.3"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "programs: linux/amd64: go build") {
		t.Errorf("%v", err)
	}
	for _, dir := range []string{out, os.Getenv("TMPDIR")} {
		if left := contents(t, dir); len(left) > 0 {
			t.Errorf("left in %s: %v", dir, left)
		}
	}
}
