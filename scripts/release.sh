#!/bin/sh
# Makes a release and publishes it on GitHub, from a clone at the tag of the version.
# docs/releases.md describes what it is made of.
#
#   scripts/release.sh build VERSION              into dist/VERSION
#   scripts/release.sh publish VERSION            what build has made: release and image
#   scripts/release.sh reproduce VERSION FOLDER   build again and compare with a release
#
#   RELEASE_URL           where the project is; without it the clone's remote
#   RELEASE_IMAGE         the name of the image; without it there is none
#   RELEASE_BUILDER       who builds, as a URI
#   RELEASE_SIGNING_KEY   the ssh key that signs the checksums, as text or as a file;
#                         without it nothing is signed with ssh
#   RELEASE_PACKAGES      false: neither deb nor rpm
#
# Where cosign is installed, it signs checksums and image too, with RELEASE_COSIGN_KEY or
# without a key, as CI may. Publishing takes gh and, for the image, skopeo, signed in.
set -eu

die() {
  printf 'release: %s\n' "$*" >&2
  exit 1
}

# tool FOLDER [FLAG...] makes the release in a folder.
tool() {
  to=$1
  shift
  set -- -out "$to" "$@"
  [ -z "${RELEASE_URL:-}" ] || set -- -url "$RELEASE_URL" "$@"
  [ -z "${RELEASE_IMAGE:-}" ] || set -- -image "$RELEASE_IMAGE" "$@"
  [ -z "${RELEASE_BUILDER:-}" ] || set -- -builder "$RELEASE_BUILDER" "$@"
  [ -z "${RELEASE_PACKAGES:-}" ] || set -- -packages="$RELEASE_PACKAGES" "$@"
  go -C tools/release run . "$@" "$version"
}

# build makes the release, signed with the keys that there are.
build() {
  if [ -n "${RELEASE_SIGNING_KEY:-}" ]; then
    key=$RELEASE_SIGNING_KEY
    case $key in
      *PRIVATE*) key=$work/key && (umask 077 && printf '%s\n' "$RELEASE_SIGNING_KEY" >"$key") ;;
    esac
    set -- "$@" -sign "$key"
  fi
  if command -v cosign >/dev/null; then
    set -- "$@" -cosign "${RELEASE_COSIGN_KEY:-keyless}"
  fi
  tool "$dist" "$@"
}

publish() {
  [ -f "$dist/SHA256SUMS" ] || die "there is no release in $dist: build it first"
  (cd "$dist" && sha256sum --check --quiet --strict SHA256SUMS) || die "$dist is not what was built"
  if [ -n "${RELEASE_IMAGE:-}" ]; then
    mkdir "$work/layout"
    tar -xf "$dist/reconciler_${version}_oci.tar" -C "$work/layout"
    skopeo copy --all --preserve-digests --digestfile "$work/digest" "oci:$work/layout:$version" "docker://$RELEASE_IMAGE:$version"
    if command -v cosign >/dev/null; then
      cosign sign --yes ${RELEASE_COSIGN_KEY:+--key "$RELEASE_COSIGN_KEY"} "$RELEASE_IMAGE@$(cat "$work/digest")"
    fi
  fi
  case $version in
    *-*) set -- --prerelease ;;
    *) set -- ;;
  esac
  gh release create "v$version" --verify-tag --title "v$version" --notes-file "$dist/RELEASE_NOTES.md" "$@" "$dist"/*
}

# reproduce builds again and compares the checksums of all files with those published.
reproduce() {
  [ -f "$1/SHA256SUMS" ] || die "there are no checksums in $1"
  tool "$work/again" >/dev/null
  diff "$1/SHA256SUMS" "$work/again/SHA256SUMS" || die "these files differ: the release is not what this commit makes with $(go version)"
}

[ $# -ge 2 ] || die "usage: scripts/release.sh build|publish|reproduce VERSION [FOLDER]"
cd "$(dirname "$0")/.."
version=${2#v}
dist=$PWD/dist/$version
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
case $1:$# in
  build:2) build ;;
  publish:2) publish ;;
  reproduce:3) reproduce "$3" ;;
  *) die "usage: scripts/release.sh build|publish|reproduce VERSION [FOLDER]" ;;
esac
