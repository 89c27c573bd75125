#!/bin/bash
# With --ipv6 the outside is reached over IPv6.
if [[ -z ${NET_INSIDE:-} ]]; then
  NET_INSIDE=1 exec unshare --user --map-root-user --mount --net "$0"
fi
. "$(dirname "$0")/common.sh"

ip link set lo up
ip link add up0 type veth peer name up1
ip link set up0 up
ip link set up1 up
ip addr add fd00:42::1/64 dev up0 nodad
ip addr add 198.51.100.2/24 dev up0
ip route add default via 198.51.100.1
ip -6 route add default via fd00:42::2 dev up0
echo 'over IPv6' > "$directory/index.html"
busybox httpd -f -p '[fd00:42::1]:8080' -h "$directory" &
started $!
eventually curl -gsf -o /dev/null 'http://[fd00:42::1]:8080/'
# The address comes by router advertisement.
answer=$(kit --net=slirp4netns --disable-host-loopback --ipv6 --copy-up=/etc \
  sh -c 'n=0; until curl -gsf --max-time 2 "http://[fd00:42::1]:8080/"; do n=$((n+1)); [ $n -lt 50 ] || exit 1; sleep 0.1; done' \
  2>/dev/null || true)
check 'a server of the host is reached over IPv6' equal "$answer" 'over IPv6'
