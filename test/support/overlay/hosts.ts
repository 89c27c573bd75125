// Hosts on one network: network namespaces on a bridge, all in a user namespace of the test's own.
import { type Started, start } from '../start.js';

/** Prints a pid for each host, then "ready"; they end with it. */
const SCRIPT = `
ip link set lo up
ip link add net0 type bridge
ip link set net0 up
for number in $(seq "$1"); do
  unshare --net setpriv --pdeathsig KILL sleep infinity &
  host=$!
  while [ "$(readlink /proc/$host/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
  ip link add host$number type veth peer name eth0 netns $host
  ip link set host$number master net0 up
  nsenter --net=/proc/$host/ns/net sh -euc '
    ip link set lo up
    ip link set eth0 up
    ip addr add 192.0.2.$1/24 dev eth0
    ip -6 addr add 2001:db8::$1/64 dev eth0 nodad
    ip route add default via 192.0.2.254' sh $number
  echo host $host
done
echo ready
exec sleep infinity`;

export interface TestHost {
  readonly ip: string;
  readonly ip6: string;
  /** Starts a program there, by becoming it; as the host's root. */
  readonly wrapper: readonly string[];
  /** The device of the network that leads to it, for cut(). */
  readonly number: number;
}

export interface TestHosts extends AsyncDisposable {
  readonly hosts: readonly TestHost[];
  /** Starts a program on the network between them. */
  readonly between: readonly string[];
}

const enter = (pid: number) => ['nsenter', '--user', '--net', '--preserve-credentials', `--target=${pid}`, '--'];

/** That many hosts: 192.0.2.1 and 2001:db8::1, 192.0.2.2, … in this order. */
export async function startHosts(count: number): Promise<TestHosts> {
  const unshare = ['--user', '--map-root-user', '--map-auto', '--net', 'sh', '-euc', SCRIPT, 'sh', String(count)];
  const network: Started = await start('unshare', unshare, { ready: { output: /^ready$/m } });
  const hosts = [...network.output().matchAll(/^host (\d+)$/gm)].map(([, pid], index) => ({
    ip: `192.0.2.${index + 1}`,
    ip6: `2001:db8::${index + 1}`,
    wrapper: enter(Number(pid)),
    number: index + 1,
  }));
  return { hosts, between: enter(network.pid), [Symbol.asyncDispose]: () => network[Symbol.asyncDispose]() };
}
