package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// imageFile is the Dockerfile of the image, which holds the programs of the release and nothing else.
//
//go:embed Dockerfile
var imageFile []byte

// layoutName returns the name of the archive with the image, in the layout of OCI.
func (r *release) layoutName() string { return fmt.Sprintf("%s_%s_oci.tar", name, r.version) }

// makeImage makes an image for each architecture of Linux from the programs.
func (r *release) makeImage(ctx context.Context) error {
	if r.image == "" {
		return nil
	}
	context := filepath.Join(r.work, "image")
	var images []string
	for _, b := range r.binaries {
		if b.os != "linux" {
			continue
		}
		images = append(images, b.platform.String())
		if err := copyFile(filepath.Join(r.out, b.name), filepath.Join(context, "bin", b.arch, name), 0o755); err != nil {
			return err
		}
	}
	if len(images) == 0 {
		return errors.New("an image takes a platform with linux")
	}
	empty := filepath.Join(context, "empty")
	if err := errors.Join(os.MkdirAll(empty, 0o755), os.Chmod(empty, 0o755)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), imageFile, 0o644); err != nil {
		return err
	}
	layout := filepath.Join(r.work, "layout")
	if err := r.buildah(ctx, context, layout, images); err != nil {
		return err
	}
	var err error
	if r.imageDigest, err = indexDigest(layout); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := pack(&out, layout, "", r.time); err != nil {
		return err
	}
	return r.write(r.layoutName(), out.Bytes())
}

// buildah builds the images and writes them, with an index of them, into a folder in
// OCI's layout. Its storage is a folder of its own, so that nothing is left behind, and
// nothing that is there is used.
func (r *release) buildah(ctx context.Context, context, layout string, platforms []string) error {
	storage := filepath.Join(r.work, "storage.conf")
	conf := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(r.work, "storage"), filepath.Join(r.work, "run"))
	if err := os.WriteFile(storage, []byte(conf), 0o600); err != nil {
		return err
	}
	env := append(os.Environ(), "CONTAINERS_STORAGE_CONF="+storage, "STORAGE_DRIVER=vfs", "BUILDAH_ISOLATION=chroot")
	const index = "localhost/release"
	if _, err := command(ctx, r.work, env, "buildah", "manifest", "create", index); err != nil {
		return err
	}
	// One after the other: together, they would be in the index in any order.
	for i, platform := range platforms {
		image := fmt.Sprintf("%s-%d", index, i)
		args := append(r.buildArgs(), "--platform", platform, "--tag", image, context)
		if _, err := command(ctx, r.work, env, "buildah", args...); err != nil {
			return err
		}
		if _, err := command(ctx, r.work, env, "buildah", "manifest", "add", index, "containers-storage:"+image); err != nil {
			return err
		}
	}
	_, err := command(ctx, r.work, env, "buildah", "manifest", "push", "-q", "--all", index, "oci:"+layout+":"+r.version)
	return err
}

// buildArgs returns the arguments for an image in which nothing is of the time or the
// machine on which it is built.
func (r *release) buildArgs() []string {
	args := []string{"build", "-q", "--format=oci", "--layers=false", "--pull=never", "--identity-label=false", "--timestamp", strconv.FormatInt(r.time.Unix(), 10)}
	for _, label := range [][2]string{
		{"title", name}, {"description", "GitOps for Okta Aerial"}, {"version", r.version}, {"revision", r.commit},
		{"created", r.time.Format(time.RFC3339)}, {"source", r.url}, {"url", r.url}, {"documentation", r.url + "/blob/" + r.tag() + "/README.md"},
	} {
		args = append(args, "--label", "org.opencontainers.image."+label[0]+"="+label[1])
	}
	return args
}

// indexDigest returns the digest of the image in a folder, as registries know it.
func indexDigest(layout string) (string, error) {
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return "", err
	}
	if len(index.Manifests) != 1 {
		return "", fmt.Errorf("there are %d images in the place of one", len(index.Manifests))
	}
	return index.Manifests[0].Digest, nil
}

// copyFile copies a file, and makes the folder that it is to be in.
func copyFile(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, data, mode); err != nil {
		return err
	}
	return os.Chmod(to, mode)
}
