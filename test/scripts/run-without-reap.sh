#!/bin/bash
# The command keeps its terminal, its output and its exit code.
. "$(dirname "$0")/common.sh"

check 'output' equal "$(kit echo hello)" hello
check 'exit code' equal "$(kit sh -c 'exit 42' 2>/dev/null && echo 0 || echo $?)" 42
output=$(script --quiet --return --command "$ROOTLESSKIT sh -c 'tty && echo typed > /dev/tty && exit 7'" /dev/null </dev/null && echo 0 || echo "code $?")
check 'a terminal' holds "$output" /dev/pts/
check 'which can be opened' holds "$output" typed
check 'and the exit code behind it' holds "$output" 'code 7'
