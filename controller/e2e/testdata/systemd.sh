# Becomes systemd as PID 1 of a pid namespace, with a root, units and cgroups of its own:
#
#   unshare --pid --mount --uts --ipc --cgroup --fork --kill-child sh systemd.sh ROOT DIR...
#
# ROOT is an empty directory to be the mount point of the root; what is in etc/systemd/system
# of ROOT.units are its units. Each DIR is there under its own name. /usr is this machine's,
# read-only; the network is this machine's.
set -e
root=$1
shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p usr etc proc sys dev run tmp old var/log var/lib
for dir in "$@"; do
  mkdir -p ".$dir"
  mount --bind "$dir" ".$dir"
done
mount --bind /usr usr
mount -o remount,bind,ro usr
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
cp /etc/passwd /etc/group etc/
cp /usr/lib/os-release etc/os-release
echo 0123456789abcdef0123456789abcdef >etc/machine-id
cp -a "$root.units" etc/systemd
mount -t proc proc proc
mount -t tmpfs tmpfs sys
mkdir -p sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mount -t tmpfs tmpfs run
pivot_root . old
umount -l /old
exec env -i container=test PATH=/usr/sbin:/usr/bin SYSTEMD_UNIT_PATH=/etc/systemd/system \
  /usr/lib/systemd/systemd --system --unit=multi-user.target --show-status=no </dev/null
