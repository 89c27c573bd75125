# What the scripts share. ROOTLESSKIT and ROOTLESSCTL are the commands under test, with their first arguments.
set -euo pipefail
: "${ROOTLESSKIT:=rootlesskit}" "${ROOTLESSCTL:=rootlessctl}"
directory=$(mktemp -d)
failures=0
pids=()

finish() {
  for pid in "${pids[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$directory"
  exit $((failures > 0))
}
trap finish EXIT

# kit ARGUMENT…: the command under test.
kit() { $ROOTLESSKIT "$@"; }
ctl() { $ROOTLESSCTL "$@"; }

# check NAME COMMAND…: reports whether the command succeeds.
check() {
  local name=$1
  shift
  if "$@"; then echo "ok $name"; else
    echo "not ok $name: $*"
    failures=$((failures + 1))
  fi
}
skip() { echo "ok $1 # skipped: $2"; }

# eventually COMMAND…: waits until it succeeds, for 10 s at most.
eventually() {
  local deadline=$((SECONDS + 10))
  until "$@" 2>/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

# started PID: ends it with the script.
started() { pids+=("$1"); }
alive() { [[ -e /proc/$1/stat ]] && [[ $(sed 's/.*) //' "/proc/$1/stat" | cut -c1) != [ZX] ]]; }
gone() { ! alive "$1"; }
equal() { [[ $1 == "$2" ]] || { echo "# got: $1" && false; }; }
holds() { [[ $1 == *$2* ]] || { echo "# got: $1" && false; }; }
