#!/bin/sh
# Reviews a change of manifests in CI: checks them, shows what the change means
# for the fleet, and says so in a summary and in one comment. The GitHub action,
# the GitLab template and plain shell all run this script, in a clone whose
# working tree is the change. docs/pull-requests.md describes it.
#
#   REVIEW_BASE        the revision that the change is based on; without it the first
#                      parent of the merge commit that GitHub checks out, or
#   REVIEW_BASE_DEFAULT
#   REVIEW_MANIFESTS   file or folder; without it what the config says
#   REVIEW_CONFIG      config file (reconciler.yaml)
#   REVIEW_LIVE        true: compare with the live account too, which takes credentials;
#                      but not when the change touches the config
#   REVIEW_FAIL_ON     error (default), or changes: end with 2 when the change declares something
#   REVIEW_OUT         folder for files (reconciler-review), of which the change has none
#   REVIEW_BINARY      the program (reconciler)
#   REVIEW_REMOTE      where a missing base is fetched from (origin)
#   REVIEW_FORK        true: the change comes from a fork. No credentials are used,
#                      and a comment that can't be written is a warning
#   REVIEW_PROVIDER    github, gitlab, gitea or forgejo: write the comment, with the
#                      token in GITHUB_TOKEN, GITLAB_TOKEN and so on; without it there
#                      is none
#   REVIEW_NAME        tells the comments of several jobs apart (reconciler)
#   REVIEW_REPOSITORY, REVIEW_NUMBER, REVIEW_URL
#                      repository, number of the pull request and URL of the API, where
#                      the environment of CI doesn't say so
#
# The working tree is anybody's. Nothing in it is run, or chooses what is read or
# written outside of it.
#
# Exit codes: 0 done; 1 a mistake in the manifests, in the config, or an error on the
# way, the comment's last; 2 the change declares something, with REVIEW_FAIL_ON=changes.
#
# shellcheck disable=SC2317 # functions are called through quietly
set -eu

out=${REVIEW_OUT:-reconciler-review}
binary=${REVIEW_BINARY:-reconciler}
summary=$out/summary.md

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE is for mistakes in the variables above.
die() {
  say "review: $*"
  exit 1
}

is_true() { [ "$1" = true ]; }

on_github() { [ "${GITHUB_ACTIONS:-}" = true ]; }

# program COMMAND [ARG...] runs the program with the config.
program() {
  command=$1
  shift
  if [ -n "${REVIEW_CONFIG:-}" ]; then
    "$binary" "$command" --config "$REVIEW_CONFIG" "$@"
  else
    "$binary" "$command" "$@"
  fi
}

# quietly COMMAND... keeps GitHub's runner from finding commands in what is
# printed: names in manifests are anybody's. It reads stdout and stderr by
# themselves, so only what goes the way of the marks is between them.
quietly() {
  if ! on_github; then
    "$@"
    return
  fi
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  echo "::stop-commands::$token"
  ended=0
  "$@" 2>&1 || ended=$?
  echo "::$token::"
  return "$ended"
}

check_settings() {
  case ${REVIEW_FAIL_ON:=error} in
    error | changes) ;;
    *) die "REVIEW_FAIL_ON is \"$REVIEW_FAIL_ON\": must be error or changes" ;;
  esac
  case ${REVIEW_PROVIDER:=} in
    '' | github | gitlab | gitea | forgejo) ;;
    *) die "REVIEW_PROVIDER is \"$REVIEW_PROVIDER\": must be github, gitlab, gitea or forgejo" ;;
  esac
  for setting in "REVIEW_LIVE=${REVIEW_LIVE:=false}" "REVIEW_FORK=${REVIEW_FORK:=false}"; do
    case ${setting#*=} in
      true | false) ;;
      *) die "${setting%%=*} is \"${setting#*=}\": must be true or false" ;;
    esac
  done
  case ${REVIEW_BASE:-}${REVIEW_BASE_DEFAULT:-} in
    -*) die "the base \"${REVIEW_BASE:-$REVIEW_BASE_DEFAULT}\" is no revision" ;;
  esac
  case $out in
    *"
"*) die "REVIEW_OUT has a line break" ;; # outputs are lines
  esac
}

# enter_clone sets $top to the clone that this runs in, which the program finds the same
# way. Looking for one by itself, git would take any folder with HEAD, objects and refs
# for a repository, and carry out what stands in its config; and while a change can hold
# such a folder, it can't hold a .git. What git starts in turn may look for itself again,
# which safe.bareRepository is for, unknown before 2.38; and a relative core.hooksPath
# leads into the change. A clone of another user's, as in containers, is as good.
enter_clone() {
  unset CDPATH
  here=$(pwd -P)
  top=$here
  until [ -f "$top/.git" ] || [ -e "$top/.git/HEAD" ]; do
    [ -n "$top" ] || die "\"$here\" is in no clone"
    top=${top%/*}
  done
  if on_github && [ -n "${GITHUB_WORKSPACE:-}" ]; then
    case $top/ in # working-directory may be a link
      "$(cd -P -- "$GITHUB_WORKSPACE" && pwd -P)"/*) ;;
      *) die "\"$here\" is not in the workspace of the job" ;;
    esac
  fi
  export GIT_DIR="$top/.git" GIT_WORK_TREE="${top:-/}"
  number=${GIT_CONFIG_COUNT:-0}
  for setting in safe.bareRepository=explicit core.hooksPath=/dev/null; do
    export "GIT_CONFIG_KEY_$number=${setting%%=*}" "GIT_CONFIG_VALUE_$number=${setting#*=}"
    number=$((number + 1))
  done
  export GIT_CONFIG_COUNT="$number"
}

# in_clone FOLDER says whether a folder is in the clone, links resolved.
in_clone() {
  case $(cd -P -- "${1:-/}" && pwd -P)/ in
    "$top"/*) ;;
    *) return 1 ;;
  esac
}

# make_out makes $out, unless a link of the change leads there, or the change brought it.
make_out() {
  case $out in
    /*) at='' rest=${out#/}/ ;;
    *) at=$here rest=$out/ ;;
  esac
  while [ -n "$rest" ]; do
    if [ -L "$at/${rest%%/*}" ] && in_clone "$at"; then
      die "REVIEW_OUT is \"$out\", and \"$at/${rest%%/*}\" is a symbolic link in the clone"
    fi
    at=$at/${rest%%/*} rest=${rest#*/}
  done
  mkdir -p -- "$out"
  if in_clone "$out" && [ -n "$(git --literal-pathspecs ls-files -- "$out")" ]; then
    die "REVIEW_OUT is \"$out\", of which the repository has files: take them out, or name another folder"
  fi
  for file in validate.txt validate.json validate.sarif plan.md plan.json errors.txt summary.md; do
    rm -f -- "$out/$file"
  done
}

# choose_base sets $base. What GitHub checks out for a pull request is its merge into
# the branch as that is now, so the first parent is the base; the event's
# base may be older, and what others have merged since would be taken for the
# change. The commit is read raw, since a shallow clone hides its parents.
choose_base() {
  base=${REVIEW_BASE:-}
  if [ -z "$base" ] && [ "${GITHUB_EVENT_NAME:-}" = pull_request ] &&
    [ "$(git rev-parse HEAD)" = "${GITHUB_SHA:-}" ]; then
    parents=$(git cat-file commit HEAD | sed -n -e '/^$/q' -e 's/^parent //p')
    case $parents in
      *[!0-9a-f]*) base=$(printf '%s\n' "$parents" | head -n 1) ;; # more than one line
    esac
  fi
  base=${base:-${REVIEW_BASE_DEFAULT:-}}
  if [ -z "$base" ]; then
    say "review: no base to compare with: set REVIEW_BASE, or run this for a pull request"
    return 1
  fi
}

# fetch_base gets the base when a shallow clone doesn't have it, and sets $base to its
# commit: a branch has no name of its own in the clone.
fetch_base() {
  if git rev-parse --verify --quiet "$base^{commit}" >/dev/null; then
    return
  fi
  say "review: fetching the base $base"
  set -- --quiet --no-tags --no-filter --no-recurse-submodules
  if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    set -- "$@" --depth=1 # which would cut the history where it is whole
  fi
  git fetch "$@" "${REVIEW_REMOTE:-origin}" "$base" && base=$(git rev-parse --verify --quiet 'FETCH_HEAD^{commit}')
}

# deepen gets more of the history behind the base, where that is cut: a base with
# mistakes gives way to the last good commit before it, and a change that mends them
# must not fail for want of one.
deepen() {
  [ "$(git rev-parse --is-shallow-repository)" = true ] || return 1
  say "review: fetching what is before the base"
  git fetch --quiet --no-tags --no-filter --no-recurse-submodules --deepen=50 "${REVIEW_REMOTE:-origin}" "$(git rev-parse "$base^{commit}")"
}

# check runs validate. On GitHub its mistakes become annotations.
check() {
  set -- --confined --out "text=$out/validate.txt" --out "json=$out/validate.json" --out "sarif=$out/validate.sarif"
  if on_github; then
    set -- "$@" -o github
  fi
  if [ -n "${REVIEW_MANIFESTS:-}" ]; then
    set -- "$@" -- "$REVIEW_MANIFESTS"
  fi
  program validate "$@"
}

# config_changed says whether the change touches the config. Its URLs say where a proof
# of who we are is sent, so a change that nobody has looked at doesn't get to name them.
config_changed() {
  config=${REVIEW_CONFIG:-${RECONCILER_CONFIG:-reconciler.yaml}}
  [ -e "$config" ] || return 1
  folder=$(cd -P -- "$(dirname -- "$config")" && pwd -P) || return 0
  in_clone "$folder" || return 1
  file=$folder/${config##*/}
  [ "$(git hash-object --no-filters -- "$file")" != "$(git rev-parse --verify --quiet "$base:${file#"$top"/}")" ]
}

# choose_live sets $live, and $note to why that isn't what was asked for.
choose_live() {
  live=false note=
  if is_true "$REVIEW_LIVE" && ! is_true "$REVIEW_FORK"; then
    if config_changed; then
      note="Not compared with what is live: the change touches the config, which says where credentials are sent. Merge the config first, or keep it outside of the clone."
      say "review: $note"
    else
      live=true
    fi
  fi
}

# compare runs diff; it ends with 2 when the change declares something.
compare() {
  set -- --confined --base "$base" --detailed-exitcode --out "markdown=$out/plan.md" --out "json=$out/plan.json"
  if [ -n "${REVIEW_MANIFESTS:-}" ]; then
    set -- "$@" "--manifests=$REVIEW_MANIFESTS"
  fi
  if ! is_true "$live"; then
    set -- "$@" --offline
  fi
  differs=0
  program diff "$@" 2>"$out/errors.txt" || differs=$?
  cat "$out/errors.txt" >&2
  return "$differs"
}

# report TITLE FILE writes a summary of what went wrong. Indented by four, text
# is shown as it is, whatever stands in it.
report() {
  {
    printf '### %s\n\n' "$1"
    head -n 50 "$2" | tr -d '\r' | sed 's/^/    /'
    if [ "$(wc -l <"$2")" -gt 50 ]; then
      printf '\nThese are the first 50 lines; the log of the job has all.\n'
    fi
  } >"$summary"
}

# review does the work, writes the summary, and sets $result (the exit code) and
# $changes (true, false, or empty when it isn't known).
review() {
  result=1 changes=
  if ! check; then
    [ -s "$out/validate.txt" ] || echo "validate could not run: the log of the job says why" >"$out/validate.txt"
    report "The manifests are not valid" "$out/validate.txt"
    return
  fi
  based=true
  { choose_base && fetch_base; } 2>"$out/errors.txt" || based=false
  cat "$out/errors.txt" >&2
  if ! is_true "$based"; then
    report "There is no base to compare with" "$out/errors.txt"
    return
  fi
  choose_live
  code=0
  quietly compare || code=$?
  if [ "$code" = 1 ] && [ ! -s "$out/plan.md" ] && deepen; then
    code=0
    quietly compare || code=$?
  fi
  case $code in
    0) result=0 changes=false ;;
    2) result=0 changes=true ;;
    *)
      if [ -s "$out/plan.md" ]; then # an org that the change is about could not be read
        report "What the change means could not be told in full" "$out/errors.txt"
        { echo && cat "$out/plan.md"; } >>"$summary"
      else
        report "What the change means could not be told" "$out/errors.txt"
      fi
      return
      ;;
  esac
  { [ -z "$note" ] || printf '**%s**\n\n' "$note"; } >"$summary"
  cat "$out/plan.md" >>"$summary"
  if is_true "$changes" && [ "$REVIEW_FAIL_ON" = changes ]; then
    result=2
  fi
}

# publish hands the result to what runs the job.
publish() {
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    cat "$summary" >>"$GITHUB_STEP_SUMMARY"
  fi
  if [ -n "${GITHUB_OUTPUT:-}" ]; then
    {
      echo "changes=$changes"
      echo "exit-code=$result"
      for file in plan-json=plan.json plan-markdown=plan.md validate-json=validate.json sarif=validate.sarif; do
        if [ -f "$out/${file#*=}" ]; then
          echo "${file%%=*}=$out/${file#*=}"
        fi
      done
    } >>"$GITHUB_OUTPUT"
  fi
}

# comment writes or updates the comment of the pull request. What isn't said here the
# program knows from the environment of the job.
comment() {
  set -- --provider "$REVIEW_PROVIDER"
  for setting in "repository=${REVIEW_REPOSITORY:-}" "number=${REVIEW_NUMBER:-}" "url=${REVIEW_URL:-}" "name=${REVIEW_NAME:-}"; do
    if [ -n "${setting#*=}" ]; then
      set -- "$@" "--$setting"
    fi
  done
  "$binary" comment "$@" -- "$summary"
}

check_settings
enter_clone
make_out

review
publish
if [ -n "$REVIEW_PROVIDER" ] && ! quietly comment; then
  if is_true "$REVIEW_FORK"; then
    say "review: no comment: a change from a fork gets no token that could write one"
  elif [ "$result" = 0 ]; then
    result=1
  fi
fi
exit "$result"
