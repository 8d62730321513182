# Makes a copy of this machine's files that is gone afterwards, and runs a test in it.
# copy.sh OLDER NEWER TEST COMMON, in a mount namespace of its own. Exits with 77 where
# that can't be done here.
set -eu
base=$(mktemp -d)
trap 'umount -R "$base" 2>/dev/null; rmdir "$base"' EXIT
mount -t tmpfs packages "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay packages -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root" ||
  { echo "no overlay of the file system can be mounted here"; exit 77; }
root=$base/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
cp "$1" "$2" "$3" "$4" "$root/tmp/"
chroot "$root" /bin/sh -eu "/tmp/$(basename "$3")" "/tmp/$(basename "$1")" "/tmp/$(basename "$2")"
