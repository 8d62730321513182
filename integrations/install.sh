#!/bin/sh
# Gets the program for a CI job, and prints its path.
#
#   INSTALL_BINARY    a program that is there already
#   INSTALL_URL       or https://… of a released binary, in which {version}, {os} (linux,
#                     darwin) and {arch} (amd64, arm64) are filled in, with
#   INSTALL_SHA256    its checksum, without which nothing is run, and
#   INSTALL_VERSION   the version
#   INSTALL_SOURCE    or a folder with the source, which is built with the Go that
#                     is there
#   INSTALL_DIR       where the program is put (a temporary folder)
set -eu

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

download() {
  [ -n "${INSTALL_SHA256:-}" ] || die "a download needs its SHA-256 checksum: what could be anything is not run"
  os=$(system)
  arch=$(machine)
  url=$(fill "$INSTALL_URL" version "${INSTALL_VERSION:-}")
  url=$(fill "$url" os "$os")
  url=$(fill "$url" arch "$arch")
  case $url in
    https://*) ;;
    *) die "the download must be https://…, not \"$url\"" ;;
  esac
  curl --proto '=https' --fail --silent --show-error --location --retry 3 --output "$dir/download" -- "$url" ||
    die "can't download \"$url\""
  sum=$(checksum "$dir/download")
  [ "$sum" = "$INSTALL_SHA256" ] || {
    rm -f "$dir/download"
    die "\"$url\" has the checksum $sum, not $INSTALL_SHA256"
  }
  mv "$dir/download" "$dir/reconciler"
  chmod 0755 "$dir/reconciler"
}

build() {
  command -v go >/dev/null || die "no Go to build with: set it up before, or name a binary"
  (cd "$INSTALL_SOURCE" && CGO_ENABLED=0 go build -trimpath -o "$dir/reconciler" ./cmd/reconciler) >&2
}

if [ -n "${INSTALL_BINARY:-}" ]; then
  [ -x "$INSTALL_BINARY" ] || die "\"$INSTALL_BINARY\" is no program"
  case $INSTALL_BINARY in
    /*) echo "$INSTALL_BINARY" ;;
    *) echo "$PWD/$INSTALL_BINARY" ;;
  esac
  exit
fi

dir=${INSTALL_DIR:-$(mktemp -d)}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
if [ -n "${INSTALL_URL:-}" ]; then
  download
elif [ -n "${INSTALL_SOURCE:-}" ]; then
  build
else
  die "nothing to install: name a binary, a URL or a folder with the source"
fi
echo "$dir/reconciler"
