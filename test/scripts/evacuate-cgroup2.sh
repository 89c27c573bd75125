#!/bin/bash
# All processes are moved to a cgroup below. Needs a cgroup that is delegated.
. "$(dirname "$0")/common.sh"

mount=$(awk '$9 == "cgroup2" || $10 == "cgroup2" { print $5; exit }' /proc/self/mountinfo)
own=$mount$(sed -n 's/^0:://p' /proc/self/cgroup)
if [[ -z $mount || ! -w $own/cgroup.procs ]] || ! mkdir "$own/probe" 2>/dev/null; then
  skip 'evacuate-cgroup2' "the cgroup $own is not delegated to this user"
  exit
fi
rmdir "$own/probe"
output=$(kit --pidns --cgroupns --evacuate-cgroup2=evac sh -c 'grep ^0:: /proc/self/cgroup; ls /sys/fs/cgroup')
check 'the command is in it' holds "$output" 0::/evac
check 'cgroup2 is mounted' holds "$output" cgroup.controllers
