#!/bin/sh
# Called by dpkg as "postrm remove" or "postrm purge", and by rpm as "%postun COUNT".
# The state stays, after a purge as well: it is the only record of what was changed in
# Okta, and may have tokens of new orgs that are nowhere else.
set -e

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
case ${1:-} in
  purge)
    rmdir /etc/reconciler/credentials /etc/reconciler 2>/dev/null || true
    if [ -d /var/lib/reconciler ] && ! rmdir /var/lib/reconciler 2>/dev/null; then
      echo "reconciler: /var/lib/reconciler stays; remove it yourself if nothing in it is needed"
    fi
    ;;
esac
