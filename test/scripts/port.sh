#!/bin/bash
# Ports of either family, on either family inside.
. "$(dirname "$0")/common.sh"

echo 'a page' > "$directory/index.html"
free() { until ! ss -Hltn "sport = :$1" | grep -q .; do set -- $(($1 + 1)); done && echo "$1"; }
port=$(free $((20000 + RANDOM % 10000)))

# get SPEC LISTEN URL: what curl outputs for a server that listens there, published so.
get() {
  local spec=$1 listen=$2 url=$3
  rm -rf "$directory/state"
  $ROOTLESSKIT --state-dir="$directory/state" --net=slirp4netns --disable-host-loopback --copy-up=/etc ${driver:---port-driver=builtin} \
    -p "$spec" busybox httpd -f -p "$listen" -h "$directory" 2>/dev/null &
  local parent=$! answer=none
  if eventually test -S "$directory/state/api.sock"; then
    eventually curl -gsf --max-time 2 -o "$directory/answer" "$url" && answer=$(cat "$directory/answer")
  fi
  kill -TERM $parent
  wait $parent || true
  rm -f "$directory/answer"
  echo "$answer"
}

check 'tcp, by IPv4' equal "$(get $port:80/tcp 0.0.0.0:80 http://127.0.0.1:$port)" 'a page'
check 'tcp, by IPv6' equal "$(get $port:80/tcp 0.0.0.0:80 "http://[::1]:$port")" 'a page'
check 'tcp4' equal "$(get 0.0.0.0:$port:80/tcp4 0.0.0.0:80 http://127.0.0.1:$port)" 'a page'
check 'one address' equal "$(get 127.0.0.1:$port:80/tcp 0.0.0.0:80 http://127.0.0.1:$port)" 'a page'
check 'tcp6 to IPv6' equal "$(get "[::1]:$port:[::1]:80/tcp6" '[::]:80' "http://[::1]:$port")" 'a page'
check 'IPv6 to IPv4' equal "$(get "[::1]:$port:127.0.0.1:80/tcp" 0.0.0.0:80 "http://[::1]:$port")" 'a page'
check 'IPv4 to IPv6' equal "$(get "127.0.0.1:$port:[::1]:80/tcp" '[::]:80' http://127.0.0.1:$port)" 'a page'
driver=--port-driver=slirp4netns
check 'by slirp4netns' equal "$(get 127.0.0.1:$port:80/tcp 0.0.0.0:80 http://127.0.0.1:$port)" 'a page'
