#!/bin/sh
# Gets the program, for a CI job or a machine, and prints its path.
#
#   INSTALL_BINARY    a program that is there already
#   INSTALL_URL       or https://… of a released binary, in which {version}, {os} (linux,
#                     darwin) and {arch} (amd64, arm64) are filled in, with
#   INSTALL_VERSION   the version, and one or both of
#   INSTALL_SIGNERS   who may sign releases, in lines as ssh's allowed_signers has them:
#                     SHA256SUMS beside the binary must be signed by one of them, in
#                     SHA256SUMS.sig, and have the binary's checksum; the binary's
#                     name must have the version, if there is one
#   INSTALL_SHA256    its checksum
#   INSTALL_SOURCE    or a folder with the source, which is built with the Go that
#                     is there
#   INSTALL_DIR       where the program is put (a temporary folder)
#
# Nothing that was downloaded is run, or put where it could be, before it is checked.
# The copy of this script that is part of a release knows URL, version and checksums.
set -eu

# What a release fills in, in its own copy.
release_version=
release_url=
release_sums=

die() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}

system() {
  case $(uname -s) in
    Linux) echo linux ;;
    Darwin) echo darwin ;;
    *) die "no released binaries for $(uname -s): build from source" ;;
  esac
}

machine() {
  case $(uname -m) in
    x86_64 | amd64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) die "no released binaries for $(uname -m): build from source" ;;
  esac
}

checksum() {
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1"
  else
    shasum -a 256 <"$1"
  fi | cut -d ' ' -f 1
}

# fill TEXT NAME VALUE fills in all {NAME}.
fill() {
  rest=$1
  filled=
  while :; do
    case $rest in
      *"{$2}"*) ;;
      *) break ;;
    esac
    filled=$filled${rest%%"{$2}"*}$3
    rest=${rest#*"{$2}"}
  done
  printf '%s\n' "$filled$rest"
}

# fetch URL FILE downloads a file.
fetch() {
  curl --proto '=https' --fail --silent --show-error --location --retry 3 --output "$2" -- "$1" ||
    die "can't download \"$1\""
}

# sum_of FILE NAME prints the checksum that the checksums in FILE have of NAME.
sum_of() {
  while read -r sum named; do
    if [ "${named#\*}" = "$2" ]; then
      printf '%s\n' "$sum"
      return
    fi
  done <"$1"
}

# expect SUM WHERE compares the checksum of the download with one that it must have.
expect() {
  [ "$actual" = "$1" ] || die "\"$url\" has the checksum $actual, not $1, as $2 says"
  checked=true
}

# check_signature checks who has signed the checksums beside the binary.
check_signature() {
  # Whoever has the server could give an older release, which is signed as well.
  case ${url##*/} in
    *"$version"*) ;;
    *) die "\"${url##*/}\" doesn't name the version $version: checksums of another version, signed as well, would be taken for its own" ;;
  esac
  command -v ssh-keygen >/dev/null || die "no ssh-keygen to check the signature with: install OpenSSH, or name the checksum alone"
  fetch "${url%/*}/SHA256SUMS" "$work/SHA256SUMS"
  fetch "${url%/*}/SHA256SUMS.sig" "$work/SHA256SUMS.sig"
  printf '%s\n' "$INSTALL_SIGNERS" >"$work/signers"
  signer=$(ssh-keygen -Y find-principals -f "$work/signers" -s "$work/SHA256SUMS.sig" 2>/dev/null | head -n 1) || signer=
  [ -n "$signer" ] || die "\"${url%/*}/SHA256SUMS\" is not signed by any of the signers named"
  ssh-keygen -Y verify -f "$work/signers" -I "$signer" -n reconciler-release -s "$work/SHA256SUMS.sig" <"$work/SHA256SUMS" >/dev/null ||
    die "\"${url%/*}/SHA256SUMS\" is not what $signer has signed"
  signed=$(sum_of "$work/SHA256SUMS" "${url##*/}")
  [ -n "$signed" ] || die "\"${url%/*}/SHA256SUMS\" has no checksum of ${url##*/}"
}

download() {
  os=$(system)
  arch=$(machine)
  version=${INSTALL_VERSION:-$release_version}
  url=${INSTALL_URL:-$release_url}
  case $url in
    *"{version}"*) [ -n "$version" ] || die "\"$url\" needs INSTALL_VERSION" ;;
  esac
  url=$(fill "$url" version "$version")
  url=$(fill "$url" os "$os")
  url=$(fill "$url" arch "$arch")
  [ -n "${INSTALL_SIGNERS:-}${INSTALL_SHA256:-}$release_sums" ] ||
    die "a download needs signers, or its SHA-256 checksum: what could be anything is not run"
  case $url in
    https://*) ;;
    *) die "the download must be https://…, not \"$url\"" ;;
  esac
  work=$(mktemp -d "$dir/.install.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  if [ -n "${INSTALL_SIGNERS:-}" ]; then
    check_signature # first: a program that nobody has signed isn't even downloaded
  fi
  fetch "$url" "$work/download"
  actual=$(checksum "$work/download")
  checked=false
  if [ -n "${INSTALL_SIGNERS:-}" ]; then
    expect "$signed" "SHA256SUMS"
  fi
  if [ -n "${INSTALL_SHA256:-}" ]; then
    expect "$INSTALL_SHA256" "INSTALL_SHA256"
  fi
  printf '%s\n' "$release_sums" >"$work/release_sums"
  released=$(sum_of "$work/release_sums" "${url##*/}")
  if [ -n "$released" ]; then
    expect "$released" "this script"
  fi
  [ "$checked" = true ] || die "this script has no checksum of ${url##*/}: name signers, or its SHA-256 checksum"
  chmod 0755 "$work/download"
  mv "$work/download" "$dir/reconciler"
}

build() {
  command -v go >/dev/null || die "no Go to build with: set it up before, or name a binary"
  [ -d "$INSTALL_SOURCE" ] || die "\"$INSTALL_SOURCE\" is no folder with the source"
  (cd "$INSTALL_SOURCE" && CGO_ENABLED=0 go build -trimpath -o "$dir/reconciler" ./cmd/reconciler) >&2
}

if [ -n "${INSTALL_BINARY:-}" ]; then
  { [ -f "$INSTALL_BINARY" ] && [ -x "$INSTALL_BINARY" ]; } || die "\"$INSTALL_BINARY\" is no program"
  case $INSTALL_BINARY in
    /*) echo "$INSTALL_BINARY" ;;
    *) echo "$PWD/$INSTALL_BINARY" ;;
  esac
  exit
fi

dir=${INSTALL_DIR:-$(mktemp -d)}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ ! -d "$dir/reconciler" ] || die "\"$dir/reconciler\" is a folder: remove it, or name another INSTALL_DIR"
if [ -n "${INSTALL_URL:-}" ]; then
  download
elif [ -n "${INSTALL_SOURCE:-}" ]; then
  build
elif [ -n "$release_url" ]; then
  download
else
  die "nothing to install: name a binary, a URL or a folder with the source"
fi
echo "$dir/reconciler"
