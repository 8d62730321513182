# What holds on any machine on which a package is installed.

fail() {
  echo "FAILED: $*"
  exit 1
}

# is FILE MODE OWNER
is() {
  [ "$(stat -c '%a %U' "$1")" = "$2 $3" ] || fail "$1 is $(stat -c '%a %U' "$1"), not $2 $3"
}

check_installed() {
  reconciler version || fail "the program does not run"
  is /usr/bin/reconciler 755 root
  is /etc/reconciler/credentials 700 root
  is /var/lib/reconciler 700 reconciler
  [ "$(getent passwd reconciler | cut -d: -f6)" = /var/lib/reconciler ] || fail "no user, or with another home"
  for file in /usr/lib/systemd/system/reconciler.service /usr/lib/systemd/system/reconciler-once.timer \
    /usr/share/doc/reconciler/docs/config.md /usr/share/doc/reconciler/examples/reconciler.yaml /usr/share/man/man1/reconciler-run.1.gz; do
    [ -s "$file" ] || fail "there is no $file"
  done
  bash -c 'source /usr/share/bash-completion/completions/reconciler' || fail "bash can't read the completions"
  if command -v man >/dev/null; then
    man -w reconciler-state-backup >/dev/null || fail "man doesn't find the pages"
  fi
  examples=/usr/share/doc/reconciler/examples
  reconciler validate --config $examples/reconciler.yaml $examples/orgs.yaml || fail "the examples are no valid config and manifests"
  check_units
}

# The lowest score that the units have to reach, times ten: less is safer.
exposure=12

check_units() {
  command -v systemd-analyze >/dev/null || return 0
  units="/usr/lib/systemd/system/reconciler.service /usr/lib/systemd/system/reconciler-once.service"
  # shellcheck disable=SC2086
  warnings=$(systemd-analyze verify --man=no $units /usr/lib/systemd/system/reconciler-once.timer 2>&1) || fail "$warnings"
  [ -z "$warnings" ] || fail "$warnings"
  for unit in $units; do
    systemd-analyze security --offline=true --threshold=$exposure "$unit" >/tmp/security || { cat /tmp/security; fail "$unit is exposed too much"; }
    tail -n 1 /tmp/security
  done
}

# configure makes what an administrator makes, and a daemon.
configure() {
  sed 's/mode: report .*/mode: report # edited/' /usr/share/doc/reconciler/examples/reconciler.yaml >/etc/reconciler/reconciler.yaml
  echo secret >/etc/reconciler/credentials/aerial.pem
  echo state >/var/lib/reconciler/journal.db
  chown reconciler: /var/lib/reconciler/journal.db
}

# check_kept checks that nothing of that is lost.
check_kept() {
  grep -q '# edited' /etc/reconciler/reconciler.yaml || fail "the config is lost"
  grep -q secret /etc/reconciler/credentials/aerial.pem || fail "a key is lost"
  grep -q state /var/lib/reconciler/journal.db || fail "the state is lost"
}

check_removed() {
  for file in /usr/bin/reconciler /usr/lib/systemd/system/reconciler.service /usr/share/man/man1/reconciler.1.gz /usr/share/doc/reconciler/docs; do
    [ ! -e "$file" ] || fail "$file is left"
  done
}
