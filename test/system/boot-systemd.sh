#!/bin/bash
# Boots systemd as the first process of new namespaces, over a copy-on-write view of this machine's root: run by
# system-manager.ts as boot-systemd.sh DIRECTORY USER BIND…; each BIND is a directory that is shared with it.
set -euo pipefail
directory=$1 user=$2
shift 2
root=$directory/root
mount -t tmpfs -o mode=755 none "$directory"
mkdir "$directory/upper" "$directory/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$directory/upper,workdir=$directory/work" overlay "$root"

mount -t tmpfs -o mode=755,nosuid dev "$root/dev"
for name in null zero full random urandom tty net/tun; do
  mkdir -p "$(dirname "$root/dev/$name")"
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${stream%:*}" "$root/dev/${stream#*:}"; done
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
for bind; do
  mkdir -p "$root$bind"
  mount --bind "$bind" "$root$bind"
done

# Nothing of the machine's own starts.
rm -rf "$root"/etc/systemd/system/*.wants
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udev-settle.service systemd-resolved.service \
  systemd-networkd.service systemd-timesyncd.service getty.target console-getty.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
mkdir -p "$root/var/lib/systemd/linger" "$root/var/log/journal"
touch "$root/var/lib/systemd/linger/$user"

mkdir -p "$root/oldroot"
cd "$root"
pivot_root . oldroot
umount -l /oldroot
mount --make-rshared /
ip link set lo up
exec env -i container=test TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --log-target=console --show-status=0 --unit=multi-user.target
