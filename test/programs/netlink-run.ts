/**
 * Makes devices, addresses and routes in the network namespace that it is started in, through RouteSocket, and prints what
 * it and iproute2 have of them. As root of the namespace: unshare --user --map-root-user --net node netlink-run.js
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { DeviceRemoval } from '../../child/container/network/bridge/device-removal.js';
import { RouteSocket } from '../../child/netlink/route.js';
import { NetlinkError } from '../../native/netlink.js';

/** What is printed, as JSON. */
export interface NetlinkReport {
  bridges: number[];
  links: {
    name: string;
    kind: string;
    mtu: number;
    up: boolean;
    mac: string;
    alias: string;
    master: number;
    parent: string;
  }[];
  addresses: { index: number; address: string }[];
  routes: { destination: string; gateway: string }[][];
  refusals: Record<string, string>;
  /** Lines of iproute2. */
  kernel: Record<'devices' | 'addresses' | 'routes' | 'ports', string>;
  remaining: string[];
  /** Devices after some were removed on another thread. */
  afterRemoval: string[];
}

const output = (...[program = '', ...args]: string[]) => execFileSync(program, args, { encoding: 'utf8' });
const refusals: Record<string, string> = {};
function refused(what: string, task: () => void): void {
  try {
    task();
    refusals[what] = 'nothing';
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    refusals[what] = error.message;
  }
}

using socket = new RouteSocket();
const here = openSync('/proc/self/ns/net', 'r');
const mac = '02:00:00:00:00:01';
const bridges = [1, 2].map(() => socket.ensureBridge('br0', 1400, mac));
const [bridge = 0] = bridges;
const veth = {
  name: 'near0',
  peerName: 'far0',
  peerNetns: here,
  mtu: 1300,
  master: bridge,
  alias: 'a name "quoted" ü',
};
socket.makeVeth({ ...veth, peerMac: '02:00:00:00:00:02' });
refused('twice', () => socket.makeVeth(veth));
refused('long', () => socket.ensureBridge('x'.repeat(16), 0, mac));
const pairs = ['one', 'two', 'three', 'kept'];
for (const name of pairs) socket.makeVeth({ ...veth, name, peerName: `${name}-far` });
closeSync(here);
const near = socket.link('near0')?.index ?? 0;
const far = socket.link('far0')?.index ?? 0;
socket.isolatePort(near);
socket.setUp(far);
const cidrs = ['10.5.0.2/24', '10.6.0.1/32', 'fd00:5::2/64'];
socket.addAddresses(far, cidrs);
socket.addAddresses(far, cidrs);
refused('nowhere', () => socket.addAddresses(9999, ['10.7.0.1/24']));
refused('unreachable', () => socket.addDefaultRoutes(far, ['10.99.0.1']));
refused('isolated', () => socket.isolatePort(far));
const gateways = ['10.5.0.1', 'fd00:5::1'];
socket.addDefaultRoutes(far, gateways);
socket.addDefaultRoutes(far, gateways);
const all = socket.links();
const links = all.map(({ index: _, parent, ...link }) => ({
  ...link,
  parent: all.find(({ index }) => index === parent)?.name ?? '',
}));
const addresses = socket.addresses().filter(({ index }) => index === far);
const routes = [socket.routes()];
const kernel = {
  devices: output('ip', '-details', '-oneline', 'link'),
  addresses: output('ip', '-oneline', 'addr', 'show', 'dev', 'far0'),
  routes: `${output('ip', 'route')}${output('ip', '-6', 'route')}`,
  ports: output('bridge', '-details', '-oneline', 'link'),
};
socket.deleteDefaultRoutes(far);
socket.deleteDefaultRoutes(far);
routes.push(socket.routes());
for (const name of ['near0', 'near0', 'br0', 'never']) socket.deleteLink(name);
const removal = new DeviceRemoval();
// The second call has what comes during the first.
const first = ['one', 'never', 'one'].map((name) => removal.remove(name));
await removal.removed('one');
await Promise.all([...first, removal.remove('two'), removal.remove('three')]);
const afterRemoval = socket.links().map(({ name }) => name);
socket.deleteLink('kept');
const report: NetlinkReport = {
  bridges,
  links,
  addresses,
  routes: routes.map((list) => list.map(({ destination, gateway }) => ({ destination, gateway }))),
  refusals,
  kernel,
  remaining: socket.links().map(({ name }) => name),
  afterRemoval,
};
process.stdout.write(JSON.stringify(report));
