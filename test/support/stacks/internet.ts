// An internet of a test's own: a host, and a router behind which there are servers and addresses that fail in each way.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pythonProgram } from '../paths.js';
import { tempDir } from '../temp-dir.js';

/** Where a router behind the host leads; documentation networks (RFC 5737, RFC 3849), for IPv4 and IPv6. */
export interface Site {
  /** TCP servers (see SERVERS) and a UDP server that answers with what it got; all other ports are closed. */
  server: string;
  /** The same servers, at an address that no document reserves. */
  open: string;
  /** The router drops what is sent there. */
  dropping: string;
  /** The router answers that there is no such host, … */
  unreachable: string;
  /** … and that it is administratively prohibited. */
  prohibited: string;
  /** The host has no route there. */
  unrouted: string;
}

export const SITES: Readonly<Record<4 | 6, Site>> = {
  4: {
    server: '203.0.113.1',
    open: '100.200.0.1',
    dropping: '203.0.113.10',
    unreachable: '203.0.113.11',
    prohibited: '203.0.113.12',
    unrouted: '192.0.2.1',
  },
  6: {
    server: '2001:db8:1::1',
    open: '2a00:1::1',
    dropping: '2001:db8:1::10',
    unreachable: '2001:db8:1::11',
    prohibited: '2001:db8:1::12',
    unrouted: '2001:db8:2::1',
  },
};

/** TCP ports of the servers: each does the one thing. */
export const SERVERS = { echo: 7, digest: 8, source: 19, reset: 9, halfClose: 10, whoami: 11 } as const;

/** The host's side; the router is a network namespace of its own, which ends with the program that the host becomes. */
const HOST = `
ip link set lo up
mkfifo "$3/ready"
unshare --net setpriv --pdeathsig KILL sh -euc '
  exec <&- >"$1/ready"
  ip link set lo up
  for setting in ipv4/ip_forward=1 ipv4/icmp_ratelimit=0 ipv6/conf/all/forwarding=1 ipv6/icmp/ratelimit=0; do
    echo \${setting#*=} >/proc/sys/net/\${setting%=*}
  done
  while ! ip link set up1 up 2>/dev/null; do sleep 0.02; done
  ip addr add 198.51.100.1/24 dev up1
  ip -6 addr add 2001:db8::1/64 dev up1 nodad
  ip addr add 203.0.113.1/32 dev lo
  ip addr add 100.200.0.1/32 dev lo
  ip -6 addr add 2001:db8:1::1/128 dev lo
  ip -6 addr add 2a00:1::1/128 dev lo
  nft -f - <<N
    table inet router { chain forward { type filter hook forward priority 0;
      ip daddr 203.0.113.10 drop
      ip daddr 203.0.113.11 reject with icmp type host-unreachable
      ip daddr 203.0.113.12 reject with icmp type admin-prohibited
      ip6 daddr 2001:db8:1::10 drop
      ip6 daddr 2001:db8:1::11 reject with icmpv6 type addr-unreachable
      ip6 daddr 2001:db8:1::12 reject with icmpv6 type admin-prohibited
    }
    }
N
  ip link add down0 type veth peer name down1
  ip link set down0 up
  ip link set down1 up
  ip route add 203.0.113.0/24 dev down0
  ip -6 route add 2001:db8:1::/64 dev down0
  exec python3 -c "$2"
' sh "$3" "$4" 2>"$3/router.log" &
router=$!
while [ "$(readlink /proc/$router/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link add up0 type veth peer name up1
ip link set up1 netns $router
ip link set up0 up
ip addr add 198.51.100.2/24 dev up0
ip -6 addr add 2001:db8::2/64 dev up0 nodad
ip route add 203.0.113.0/24 via 198.51.100.1
ip -6 route add 2001:db8:1::/64 via 2001:db8::1
ip route add 100.200.0.0/16 via 198.51.100.1
ip -6 route add 2a00:1::/64 via 2001:db8::1
grep -qx ready "$3/ready" || { cat "$3/router.log" >&2; exit 1; }
mount --bind "$1" /etc/resolv.conf
behind="nsenter --net=/proc/$router/ns/net"
# The shell in between: servers that change their user lose the signal.
here() { exec setpriv --pdeathsig KILL unshare --pid --fork --kill-child sh -c '"$@" & wait' sh "$@"; }
there() { here $behind "$@"; }
until_listening() { until [ -n "$($behind ss -Hlnt "sport = :$1")" ]; do sleep 0.02; done; }
eval "$2"
shift 4
exec "$@"`;

/**
 * The words that run a program on a host with that internet, by becoming it.
 * @param directory an empty one, which the host's resolv.conf is in
 * @param script what else makes the host. It has `there SERVER &` to start a server behind the router, instead of those of
 *   `servers`, which ends with the host, `until_listening PORT`, and `here SERVER &` for one on the host itself
 * @param servers the Python program that serves behind the router, and prints "ready"
 */
export function onInternet(
  directory: string,
  script = '',
  servers = pythonProgram('outbound/internet-servers'),
): string[] {
  const resolvConf = join(directory, 'resolv.conf');
  writeFileSync(resolvConf, 'nameserver 127.0.0.1\n');
  const unshare = ['unshare', '--user', '--map-root-user', '--map-auto', '--mount', '--net'];
  return [...unshare, 'sh', '-euc', HOST, 'sh', resolvConf, script, directory, servers];
}

/** A script for onInternet(): a resolver of the host that knows these names, with records as python/outbound/names.py has them. */
export function withNames(names: Readonly<Record<string, readonly string[]>>): string {
  const program = join(tempDir(), 'names.py');
  writeFileSync(program, pythonProgram('outbound/names'));
  return `
    mkfifo "$3/names"
    python3 ${program} '${JSON.stringify(names)}' >"$3/names" &
    read -r _ <"$3/names"`;
}
