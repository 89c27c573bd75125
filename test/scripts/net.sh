#!/bin/bash
# Names are resolved inside, by a server of our own: NET chooses the driver, OPTIONS adds to it. The network namespace has
# to have a default route and to be one where port 53 of NAMESERVER may be listened on: one of its own, if need be.
if [[ -z ${NET_INSIDE:-} ]]; then
  NET_INSIDE=1 exec unshare --user --map-root-user --mount --net "$0"
fi
. "$(dirname "$0")/common.sh"

nameserver=198.51.100.2
ip link set lo up
ip link add up0 type veth peer name up1
ip link set up0 up
ip link set up1 up
ip addr add $nameserver/24 dev up0
ip route add default via 198.51.100.1
echo "nameserver $nameserver" > "$directory/resolv.conf"
mount --bind "$directory/resolv.conf" /etc/resolv.conf
dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --listen-address=$nameserver --bind-interfaces \
  --address=/name.test/203.0.113.80 --pid-file= >/dev/null 2>&1 &
started $!
eventually dig +short +time=1 +tries=1 name.test @$nameserver >/dev/null

for driver in slirp4netns pasta; do
  for detach in '' --detach-netns; do
    enter=
    [[ -z $detach ]] || enter='nsenter -n"$ROOTLESSKIT_STATE_DIR/netns" --'
    dns=10.0.2.3
    answer=$(kit --net=$driver --disable-host-loopback --copy-up=/etc --copy-up=/run $detach \
      sh -c "$enter dig +short +time=2 +tries=2 name.test @$dns" 2>/dev/null || true)
    check "$driver $detach" equal "$answer" 203.0.113.80
  done
done
