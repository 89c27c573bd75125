/**
 * lxc-user-nic(1): one end of a veth pair in a bridge of the host, the other one in the child. The program is setuid root,
 * and lxc-usernet(5) has which user may use which bridge. udhcpc(8) inside gets addresses by DHCP.
 */
import { access, readFile, readlink } from 'node:fs/promises';
import { arch, userInfo } from 'node:os';
import { packageFile } from '../../../protocol/paths.js';
import type { PacketChannel } from '../../engine/engine-host.js';
import { NetworkError, type Problem } from '../../errors.js';
import { findProgram, missingProgram } from '../../programs/find-program.js';
import { runProgramToEnd } from '../../programs/run-programs.js';
import type { ChildNamespaces, Network, NetworkDriver, NetworkOptions } from '../driver.js';

const DEFAULT_IFNAME = 'eth0';
const DEFAULT_MTU = 1500;
const LEASE_TIMEOUT_MS = 30_000;
const EVENT_SCRIPT = packageFile('dist/child/dhcp-event.sh');

/** udhcpc uses the descriptors 3 and 4 itself; its output is not for the user. */
const QUIETLY_WITH_FD_9 = 'exec "$@" 9>&3 3>&- > /dev/null 2>&1';

/** Where distributions install it. */
const MACHINE = arch() === 'arm64' ? 'aarch64' : arch() === 'x64' ? 'x86_64' : arch();
const PATHS = [
  '/usr/libexec/lxc/lxc-user-nic',
  `/usr/lib/${MACHINE}-linux-gnu/lxc/lxc-user-nic`,
  '/usr/lib/lxc/lxc-user-nic',
];

interface Lease {
  ip: string;
  prefix: number;
  router: string;
  dns: string[];
}

export const lxcUserNic: NetworkDriver = {
  name: 'lxc-user-nic',

  async probe({ lxcUserNic: { binary } }) {
    if (!(await findBinary(binary))) {
      const usual = { name: 'lxc-user-nic', package: 'lxc' };
      return missingProgram({ binary: binary ?? usual.name, option: '--lxc-user-nic-binary', usual });
    }
    if ((await findDhcpClient()).length > 0) return undefined;
    return { what: 'no DHCP client (udhcpc) is installed', fix: 'sudo apt-get install udhcpc' };
  },

  async setup(child: ChildNamespaces, options: NetworkOptions): Promise<Network> {
    const { bridge } = options.lxcUserNic;
    const binary = (await findBinary(options.lxcUserNic.binary)) ?? 'lxc-user-nic';
    const device = options.ifname ?? DEFAULT_IFNAME;
    const mtu = options.mtu || DEFAULT_MTU;
    await connect(binary, child, bridge, device);
    if (options.mtu !== 0) await finish(await child.start(['ip', 'link', 'set', device, 'mtu', String(mtu)]));

    const client = await child.start([
      ...['sh', '-c', QUIETLY_WITH_FD_9, 'sh'],
      ...(await findDhcpClient()),
      ...['-f', '-i', device, '-s', EVENT_SCRIPT, '-t', '10', '-T', '1', '-A', '1'],
    ]);
    const lease = await firstLease(client, bridge);
    return {
      info: {
        driver: 'lxc-user-nic',
        dns: lease.dns,
        dynamicChildIP: true,
        device,
        prefix: lease.prefix,
        ...(lease.router === '' ? {} : { gateway: lease.router }),
        mtu,
      },
      onLost: (listener) => client.onClose((reason) => listener(`the DHCP client ended: ${reason}`)),
      // The device goes with the namespace.
      close: async () => client.close(),
    };
  },
};

/** Resolves when the program has ended. */
function finish(program: PacketChannel): Promise<void> {
  return new Promise((resolve) => program.onClose(() => resolve()));
}

async function findBinary(asked: string | undefined): Promise<string | undefined> {
  if (asked !== undefined) return findProgram(asked);
  for (const path of PATHS) {
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  return findProgram('lxc-user-nic');
}

/** Words that start it; empty where it is not installed. */
async function findDhcpClient(): Promise<string[]> {
  const udhcpc = findProgram('udhcpc');
  if (udhcpc) return [udhcpc];
  const busybox = findProgram('busybox');
  if (!busybox) return [];
  const { stdout } = await runProgramToEnd(busybox, ['--list']);
  return stdout.split('\n').includes('udhcpc') ? [busybox, 'udhcpc'] : [];
}

/** Makes the pair of devices. Throws NetworkError. */
async function connect(binary: string, child: ChildNamespaces, bridge: string, device: string): Promise<void> {
  // It needs a process in the network namespace; where that is detached, one is started.
  const holder = child.netns === undefined ? undefined : await child.start(['sh', '-c', 'exec cat <&3']);
  try {
    const pid = holder ? await processIn(child) : child.pid;
    const args = ['create', '/dev/null', 'dummy', String(pid), 'veth', bridge, device];
    const result = await runProgramToEnd(binary, args);
    if (result.exitCode === 0) return;
    const line = result.output.trim().split('\n').at(-1) || result.problem;
    const { what, fix } = await explain(bridge, line);
    throw new NetworkError(`--net=lxc-user-nic failed: ${what}`, { hint: fix });
  } finally {
    holder?.close();
  }
}

/** Pid of a child of the launcher that is in the detached namespace. Throws NetworkError. */
async function processIn(child: ChildNamespaces): Promise<number> {
  const own = await readlink('/proc/self/ns/net');
  const pids = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim().split(/\s+/);
  for (const pid of pids) {
    const netns = await readlink(`/proc/${pid}/ns/net`).catch(() => own);
    if (netns !== own) return Number(pid);
  }
  throw new NetworkError('lxc-user-nic needs a process in the detached network namespace, and it has ended');
}

/** Its own messages are about its internals. */
async function explain(bridge: string, line: string): Promise<Required<Problem>> {
  const devices = await readFile('/proc/net/dev', 'utf8').catch(() => '');
  if (!devices.split('\n').some((line) => line.trim().startsWith(`${bridge}:`))) {
    return {
      what: `no bridge ${bridge}`,
      fix: 'sudo systemctl start lxc-net makes lxcbr0, --lxc-user-nic-bridge chooses another one',
    };
  }
  const user = userInfo().username;
  return {
    // The reason follows a file of C, a line and a function.
    what: line.replace(/^.*?\.c: \d+: \w+: /, ''),
    fix: `if ${user} has no entry for ${bridge}: echo "${user} veth ${bridge} 10" | sudo tee -a /etc/lxc/lxc-usernet`,
  };
}

/** Throws NetworkError. */
function firstLease(client: PacketChannel, bridge: string): Promise<Lease> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer);
      client.close();
      reject(new NetworkError(`no address by DHCP on ${bridge}: ${why}; check that a DHCP server answers there`));
    };
    const timer = setTimeout(() => fail(`no answer in ${LEASE_TIMEOUT_MS / 1000} s`), LEASE_TIMEOUT_MS);
    client.onClose((reason) => fail(`the DHCP client ended (${reason})`));
    client.onMessage((data) => {
      clearTimeout(timer);
      const [ip = '', prefix = '', router = '', dns = ''] = data.toString('utf8').split('\n');
      resolve({ ip, prefix: Number(prefix), router, dns: dns.split(' ').filter((word) => word !== '') });
    });
  });
}
