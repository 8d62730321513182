# rpm.sh OLDER NEWER
. /tmp/installed.sh
# This may be a system of dpkg, whose rpm knows of no files.
rpm="rpm --dbpath /tmp/rpmdb"
$rpm --initdb
$rpm --install --nodeps "$1"
check_installed
configure
$rpm --upgrade --nodeps "$2"
check_installed
check_kept
$rpm --verify --nodeps reconciler || fail "what is installed is not what the package has"
$rpm --erase reconciler
check_removed
check_kept
echo "all as it should be"
