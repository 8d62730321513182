package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// platform is what a program is built for.
type platform struct{ os, arch string }

// String returns the platform as Go names it, such as linux/amd64.
func (p platform) String() string { return p.os + "/" + p.arch }

// platforms are those of a release.
func platforms() []platform {
	var all []platform
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			all = append(all, platform{system, arch})
		}
	}
	return all
}

// choose returns the platforms that a list names, or all.
func choose(list string) ([]platform, error) {
	if list == "" {
		return platforms(), nil
	}
	var chosen []platform
	for word := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(platforms(), func(p platform) bool { return p.String() == word })
		if i < 0 {
			return nil, fmt.Errorf("%q is no platform of a release: must be one of %v", word, platforms())
		}
		chosen = append(chosen, platforms()[i])
	}
	return chosen, nil
}

// binary is a program that was built.
type binary struct {
	platform
	name string
}

// binaryName returns the name of the file of a program.
func (r *release) binaryName(p platform) string {
	suffix := ""
	if p.os == "windows" {
		suffix = ".exe"
	}
	return fmt.Sprintf("%s_%s_%s_%s%s", name, r.version, p.os, p.arch, suffix)
}

// passed are the settings of Go that say where modules come from and where they are
// kept. All others could change what is built, and are set below.
var passed = []string{
	"GOCACHE", "GOMODCACHE", "GOPATH", "GOROOT", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH", "GOTOOLCHAIN",
}

// buildSettings are the settings of Go that decide what is built. They are in the
// provenance.
var buildSettings = []string{
	"CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOENV=off",
}

// ldflags returns the flags of the linker: nothing for debuggers, no build ID, and the
// version.
func (r *release) ldflags() string { return "-s -w -buildid= -X main.version=" + r.version }

// build builds the programs.
func (r *release) build(ctx context.Context) error {
	if err := r.setUp(ctx); err != nil {
		return err
	}
	for _, p := range r.platforms {
		b := binary{p, r.binaryName(p)}
		env := append(slices.Clone(r.env), "GOOS="+p.os, "GOARCH="+p.arch)
		if _, err := command(ctx, r.source, env, "go", "build", "-trimpath", "-buildvcs=true",
			"-ldflags", r.ldflags(), "-o", filepath.Join(r.out, b.name), "./cmd/reconciler"); err != nil {
			return fmt.Errorf("%v: %w", p, err)
		}
		if err := os.Chmod(filepath.Join(r.out, b.name), 0o755); err != nil {
			return err
		}
		r.binaries = append(r.binaries, b)
		if err := r.add(b.name); err != nil {
			return err
		}
	}
	return nil
}

// setUp makes the environment of Go.
func (r *release) setUp(ctx context.Context) error {
	out, err := command(ctx, r.source, nil, "go", append([]string{"env", "-json"}, passed...)...)
	if err != nil {
		return err
	}
	var settings map[string]string
	if err := json.Unmarshal([]byte(out), &settings); err != nil {
		return err
	}
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(key); ok {
			r.env = append(r.env, key+"="+value)
		}
	}
	for _, key := range passed {
		r.env = append(r.env, key+"="+settings[key])
	}
	r.env = append(r.env, buildSettings...)
	r.goVersion, err = command(ctx, r.source, r.env, "go", "env", "GOVERSION")
	return err
}
