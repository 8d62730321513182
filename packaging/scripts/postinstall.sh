#!/bin/sh
# Called by dpkg as "postinst configure OLD" and by rpm as "%post COUNT".
set -e

case ${1:-} in
  configure | [0-9]*) ;;
  *) exit 0 ;; # dpkg takes back a removal or an upgrade that failed
esac

if ! getent passwd reconciler >/dev/null; then
  if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers reconciler.conf
  else
    useradd --system --user-group --home-dir /var/lib/reconciler --no-create-home --shell /usr/sbin/nologin reconciler
  fi
fi
# Commands run by root would otherwise find no folder, or make one that the daemon can't
# write.
if [ ! -e /var/lib/reconciler ]; then
  install -d -m 0700 -o reconciler -g reconciler /var/lib/reconciler
fi

# The daemon isn't started before there is a config; one that runs takes up the new version.
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  systemctl try-restart reconciler.service || true
fi
