package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	sumsFile = "SHA256SUMS"
	// namespace is that of the signatures with ssh keys: a signature that the key has
	// made of something else is none of a release.
	namespace = "reconciler-release"
	sshFile   = sumsFile + ".sig"
	// cosignFile has signature, certificate and the entry of the log.
	cosignFile = sumsFile + ".sigstore.json"
)

// writeSums writes the checksums of all files, as sha256sum reads them. It is the one
// file that is signed.
func (r *release) writeSums(context.Context) error {
	var out strings.Builder
	for _, f := range r.files {
		fmt.Fprintf(&out, "%s  %s\n", f.sha256, f.name)
	}
	return r.write(sumsFile, []byte(out.String()))
}

// sign signs the checksums with what keys are named.
func (r *release) sign(ctx context.Context) error {
	if r.sshKey != "" {
		if _, err := command(ctx, r.out, nil, "ssh-keygen", "-Y", "sign", "-f", r.sshKey, "-n", namespace, sumsFile); err != nil {
			return err
		}
		if err := r.checkSignature(ctx); err != nil {
			return err
		}
		if err := r.add(sshFile); err != nil {
			return err
		}
	}
	if r.cosign == "" {
		return nil
	}
	args := []string{"sign-blob", "--yes", "--bundle", cosignFile}
	if r.cosign != "keyless" {
		args = append(args, "--key", r.cosign)
	}
	if _, err := command(ctx, r.out, nil, "cosign", append(args, sumsFile)...); err != nil {
		return err
	}
	return r.add(cosignFile)
}

// checkSignature checks that the signature is one of the checksums.
func (r *release) checkSignature(ctx context.Context) error {
	sums, err := os.Open(filepath.Join(r.out, sumsFile))
	if err != nil {
		return err
	}
	defer sums.Close()
	_, err = commandIn(ctx, r.out, nil, sums, "ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", sshFile)
	return err
}
