#!/bin/bash
# The command's exit code is passed on, with and without a pid namespace and a reaper; a signal gives 255.
. "$(dirname "$0")/common.sh"

code() { "$@" 2>/dev/null && echo 0 || echo $?; }
for options in '' --pidns '--pidns --reaper=true' '--pidns --reaper=false'; do
  check "0 with ${options:-no options}" equal "$(code kit $options true)" 0
  check "42 with ${options:-no options}" equal "$(code kit $options sh -c 'exit 42')" 42
done

$ROOTLESSKIT --state-dir="$directory/state" sleep 100 2>"$directory/output" &
parent=$!
started $parent
eventually test -s "$directory/state/child_pid"
kill -USR1 "$(cat "$directory/state/child_pid")"
wait $parent && ended=0 || ended=$?
check '255 after a signal' equal $ended 255
check 'the signal is named' holds "$(cat "$directory/output")" 'user defined signal 1'
