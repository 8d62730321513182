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
#   RELEASE_SIGNERS       who may sign releases, in lines as ssh's allowed_signers has
#                         them, as text or as a file: nothing is published that none of
#                         them has signed
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
      /*) ;;
      *) key=$PWD/$key ;; # the tool runs in a folder of its own
    esac
    unset RELEASE_SIGNING_KEY # compilers and the programs that they make need no key
    set -- "$@" -sign "$key"
  fi
  if command -v cosign >/dev/null; then
    set -- "$@" -cosign "${RELEASE_COSIGN_KEY:-keyless}"
  fi
  tool "$dist" "$@"
}

# check_signature checks that the checksums in $release are signed by one of the signers.
check_signature() {
  if [ -f "$RELEASE_SIGNERS" ]; then
    cp -- "$RELEASE_SIGNERS" "$work/signers"
  else
    printf '%s\n' "$RELEASE_SIGNERS" >"$work/signers"
  fi
  set -- -f "$work/signers" -s "$release/SHA256SUMS.sig"
  signer=$(ssh-keygen -Y find-principals "$@" 2>/dev/null | head -n 1) || signer=
  [ -n "$signer" ] || die "SHA256SUMS in $dist is not signed by any of the signers in RELEASE_SIGNERS"
  ssh-keygen -Y verify "$@" -I "$signer" -n reconciler-release <"$release/SHA256SUMS" >/dev/null ||
    die "SHA256SUMS in $dist is not what $signer has signed"
}

# take copies a file of the release to $release. A link would lead to something else.
take() {
  if [ -L "$dist/$1" ] || ! [ -f "$dist/$1" ]; then
    die "$dist has no file $1: build the release again"
  fi
  cp -- "$dist/$1" "$release/$1"
}

# collect copies the release to $release, and checks it there, where nobody changes it
# before it is uploaded: the checksums, their signatures, and what they list. Whatever
# else is in the folder stays there.
collect() {
  [ -n "${RELEASE_SIGNERS:-}" ] || die "RELEASE_SIGNERS is not set: who may sign releases, as in docs/releases.md"
  [ -f "$dist/SHA256SUMS" ] || die "there is no release in $dist: build it first"
  [ -f "$dist/SHA256SUMS.sig" ] || die "the release in $dist is not signed: build it with RELEASE_SIGNING_KEY"
  release=$work/release
  mkdir "$release"
  take SHA256SUMS
  take SHA256SUMS.sig
  check_signature
  while read -r sum name; do
    case $name in
      */* | .* | '') die "SHA256SUMS in $dist has the line \"$sum $name\", which names no file of a release" ;;
    esac
    take "$name"
  done <"$release/SHA256SUMS"
  (cd "$release" && sha256sum --check --quiet --strict SHA256SUMS) || die "$dist is not what was built"
  if [ -e "$dist/SHA256SUMS.sigstore.json" ]; then
    take SHA256SUMS.sigstore.json
  fi
}

# check_commit checks that the release is one of this version, made from the commit that
# has its tag now: an older one is signed as well.
check_commit() {
  provenance=$release/reconciler_$version.intoto.json
  [ -f "$provenance" ] || die "the release in $dist is not one of $version: there is no ${provenance##*/} in its SHA256SUMS"
  commit=$(git rev-parse --verify --quiet "refs/tags/v$version^{commit}") || die "there is no tag v$version in this clone"
  grep -qF "\"gitCommit\": \"$commit\"" "$provenance" || die "the release in $dist is not made from v$version, which is $commit: build it again"
}

publish() {
  collect
  check_commit
  # The image comes first, and would replace the one that the published files name.
  ! gh release view "v$version" >/dev/null 2>&1 || die "v$version is published already: what it is stays as it is, make a new version"
  if [ -n "${RELEASE_IMAGE:-}" ]; then
    mkdir "$work/layout"
    tar -xf "$release/reconciler_${version}_oci.tar" -C "$work/layout"
    skopeo copy --all --preserve-digests --digestfile "$work/digest" "oci:$work/layout:$version" "docker://$RELEASE_IMAGE:$version"
    if command -v cosign >/dev/null; then
      cosign sign --yes ${RELEASE_COSIGN_KEY:+--key "$RELEASE_COSIGN_KEY"} "$RELEASE_IMAGE@$(cat "$work/digest")"
    fi
  fi
  case $version in
    *-*) set -- --prerelease ;;
    *) set -- ;;
  esac
  gh release create "v$version" --verify-tag --title "v$version" --notes-file "$release/RELEASE_NOTES.md" "$@" "$release"/*
}

# reproduce builds again, and compares with what was published: the checksums of all
# files, and the files with them.
reproduce() {
  [ -f "$1/SHA256SUMS" ] || die "there are no checksums in $1"
  (cd "$1" && sha256sum --check --quiet --strict SHA256SUMS) || die "$1 is not what its SHA256SUMS says"
  for file in "$1"/*; do
    name=${file##*/}
    case $name in
      SHA256SUMS | SHA256SUMS.sig | SHA256SUMS.sigstore.json) continue ;;
    esac
    cut -c 67- "$1/SHA256SUMS" | grep -qxF -e "$name" || die "$file is not in its SHA256SUMS"
  done
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
