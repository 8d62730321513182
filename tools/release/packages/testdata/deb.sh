# deb.sh OLDER NEWER
. /tmp/installed.sh
rm -f /var/lib/man-db/auto-update # which indexes all manual pages of the machine each time
export DEBIAN_FRONTEND=noninteractive
dpkg="dpkg --force-unsafe-io" # nothing here outlives a loss of power
$dpkg --install "$1"
check_installed
configure
$dpkg --install "$2"
check_installed
check_kept
$dpkg --remove reconciler
check_removed
check_kept
$dpkg --install "$2"
check_kept
$dpkg --purge reconciler
check_removed
check_kept
rm -rf /etc/reconciler /var/lib/reconciler
$dpkg --install "$2"
$dpkg --purge reconciler
for folder in /etc/reconciler /var/lib/reconciler; do
  [ ! -e $folder ] || fail "$folder is left, with nothing in it"
done
echo "all as it should be"
