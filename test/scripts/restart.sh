#!/bin/bash
# A state directory that SIGKILL left behind can be used again.
. "$(dirname "$0")/common.sh"

options="--state-dir=$directory/state --net=slirp4netns --disable-host-loopback --copy-up=/etc --port-driver=builtin"
$ROOTLESSKIT $options sleep 100 2>/dev/null &
parent=$!
started $parent
eventually test -S "$directory/state/api.sock"
kill -KILL $parent
wait $parent 2>/dev/null || true
check 'the API answers the command after a restart' kit $options $ROOTLESSCTL list-ports
