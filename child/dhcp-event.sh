#!/bin/sh
# What udhcpc(8) calls with each event ($1), with the lease in variables. Configures the device, and reports to the driver
# in the parent, on descriptor 9: address, prefix length, first router, resolvers, a line each.
set -e
case "$1" in
bound | renew)
  ip addr replace "$ip/$mask" dev "$interface"
  # Those of an earlier lease.
  ip -o -4 addr show dev "$interface" scope global | while read -r _ _ _ address _; do
    [ "$address" = "$ip/$mask" ] || ip addr del "$address" dev "$interface"
  done
  router=${router%% *}
  [ -z "$router" ] || ip route replace default via "$router" dev "$interface"
  printf '%s\n%s\n%s\n%s\n' "$ip" "$mask" "$router" "$dns" >&9
  ;;
deconfig)
  ip link set "$interface" up
  ;;
esac
