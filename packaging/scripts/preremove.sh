#!/bin/sh
# Called by dpkg as "prerm remove" or "prerm upgrade NEW", and by rpm as "%preun COUNT",
# where 0 is a removal.
set -e

case ${1:-} in
  remove | 0) ;;
  *) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now reconciler.service reconciler-once.timer || true
  systemctl stop reconciler-once.service || true
fi
