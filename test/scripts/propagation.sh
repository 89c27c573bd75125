#!/bin/bash
# Whether mounts that the host makes later are seen. Needs mounts that are shared, and the right to make them: in a user
# namespace of its own if need be.
if [[ -z ${PROPAGATION_INSIDE:-} ]]; then
  PROPAGATION_INSIDE=1 exec unshare --user --map-root-user --mount --propagation=shared "$0"
fi
. "$(dirname "$0")/common.sh"

seen() {
  local mode=$1
  shift
  rm -rf "$directory/state"
  mkdir -p "$directory/mount"
  $ROOTLESSKIT --state-dir="$directory/state" --propagation="$mode" "$@" sleep 100 2>/dev/null &
  local parent=$!
  eventually test -s "$directory/state/child_pid"
  mount -t tmpfs none "$directory/mount"
  touch "$directory/mount/file"
  local answer=hidden
  [[ ! -e /proc/$(cat "$directory/state/child_pid")/root$directory/mount/file ]] || answer=seen
  umount "$directory/mount"
  kill -TERM $parent
  wait $parent || true
  echo $answer
}

# `private` is about the mount of / alone: not about /tmp, where that is another one.
private=hidden
[[ $(findmnt -no TARGET --target "$directory") == / ]] || private=seen
check "private hides what is in the mount of /" equal "$(seen private)" $private
check "rprivate hides" equal "$(seen rprivate)" hidden
for mode in slave rslave shared rshared; do check "$mode shows" equal "$(seen $mode)" seen; done
for mode in rprivate:hidden rslave:seen; do
  check "${mode%:*} with copy-up" equal "$(seen "${mode%:*}" --copy-up=/run)" "${mode#*:}"
done
