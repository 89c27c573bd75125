#!/bin/bash
# Nothing is left of a stack whose parent is killed.
. "$(dirname "$0")/common.sh"

for options in '--pidns --reaper=auto' '--pidns --reaper=false' '--net=slirp4netns --disable-host-loopback'; do
  rm -rf "$directory/state"
  $ROOTLESSKIT $options --state-dir="$directory/state" sleep 100 2>/dev/null &
  parent=$!
  started $parent
  eventually test -s "$directory/state/child_pid"
  child=$(cat "$directory/state/child_pid")
  below=$(pgrep -P $parent | tr '\n' ' ')
  check "there are processes with $options" test -n "$below"
  kill -KILL $parent
  wait $parent 2>/dev/null || true
  for pid in $child $below; do check "none is left with $options" eventually gone "$pid"; done
done
