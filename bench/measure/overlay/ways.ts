// Ways from one host to another: with nothing between them, by WireGuard alone, by VXLAN out of stacks, and by our overlay network.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { generateKeys } from '../../../protocol/wireguard/keys.js';
import { askTunnel } from '../../../test/support/overlay/tunnel.js';
import { processTree } from '../../../test/support/process-info.js';
import { run } from '../../../test/support/run.js';
import { type Started, start } from '../../../test/support/start.js';
import { tempDir } from '../../../test/support/temp-dir.js';
import { type Account, runAs } from '../../environment/users.js';
import type { Environment } from '../../model.js';
import { agentOf, answers } from '../../running/bench-stack.js';
import { callAPI } from '../../running/call-api.js';
import { stop } from '../../running/stop.js';

/** What of it can be measured: programs that run at either end, behind these prefixes. */
export interface Way extends AsyncDisposable {
  readonly server: readonly string[];
  readonly client: readonly string[];
  /** The server's. */
  readonly address: string;
  readonly note?: string;
}

/** Two hosts: programs run on one behind its prefix. */
export interface Host {
  readonly prefix: readonly string[];
  readonly ip: string;
}

export type Hosts = readonly [Host, Host];

/** @throws {Error} where the second one is missing, as for ordinary users */
export function twoHosts({ network: { remote } }: Environment): Hosts {
  if (!remote) throw new Error('creating a second host needs root');
  return [
    { prefix: [], ip: remote.hostAddress },
    { prefix: remote.prefix, ip: remote.address },
  ];
}

/** Processes that end with a way. */
class Processes implements AsyncDisposable {
  readonly #started: Started[] = [];

  async start(command: readonly string[], ready: NonNullable<Parameters<typeof start>[2]>['ready']): Promise<Started> {
    const [program = '', ...words] = command;
    const started = await start(program, words, { ready });
    this.#started.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of this.#started.reverse()) await stop(started, processTree(started.pid));
  }
}

/** What a way's set-up failed with leaves no processes. */
async function withProcesses(make: (processes: Processes) => Promise<Omit<Way, keyof AsyncDisposable>>): Promise<Way> {
  const processes = new Processes();
  try {
    return { ...(await make(processes)), [Symbol.asyncDispose]: () => processes[Symbol.asyncDispose]() };
  } catch (error) {
    await processes[Symbol.asyncDispose]();
    throw error;
  }
}

const inNetworkOf = (pid: number) => ['nsenter', `--net=/proc/${pid}/ns/net`];

export async function directly([one, two]: Hosts): Promise<Way> {
  return { server: one.prefix, client: two.prefix, address: one.ip, [Symbol.asyncDispose]: async () => {} };
}

/** The device that our stacks have, on the hosts themselves. */
export function byWireGuard(hosts: Hosts, { root, node }: Environment): Promise<Way> {
  const [port, inside] = [51_999, ['10.98.1.1', '10.98.2.1']];
  return withProcesses(async (processes) => {
    const keys = hosts.map(() => generateKeys());
    const kinds = new Set<string>();
    for (const [index, { prefix }] of hosts.entries()) {
      const socket = join(tempDir(), 's');
      const program = [node, join(root, 'dist/test/programs/wireguard-run.js'), socket];
      await processes.start([...prefix, ...program], { output: /ready/ });
      const other = 1 - index;
      const own = { privateKey: keys[index]?.privateKey ?? '', addresses: [`${inside[index]}/32`] };
      const { kind = 'unknown' } = await askTunnel(socket, {
        open: { name: 'bench-wg', listenPort: port, mtu: 1420, ...own },
      });
      kinds.add(kind);
      const endpoint = { ip: hosts[other]?.ip ?? '', port };
      const peer = { publicKey: keys[other]?.publicKey ?? '', endpoint, subnets: [`${inside[other]}/32`] };
      await askTunnel(socket, { configure: [peer] });
    }
    const [one, two] = hosts;
    return { server: one.prefix, client: two.prefix, address: inside[0] ?? '', note: [...kinds].join() };
  });
}

/** As flannel's backend vxlan does it, in stacks with slirp4netns that publish its UDP port; unencrypted. */
export function byVxlan(hosts: Hosts, where: Environment): Promise<Way> {
  const mac = (index: number) => `02:00:00:00:00:0${index + 1}`;
  const ip = (index: number) => `10.97.0.${index + 1}`;
  return withProcesses(async (processes) => {
    const pids: number[] = [];
    for (const [index, { prefix }] of hosts.entries()) {
      const stack = [join(where.root, 'dist/bin/rootless-run'), '--net=slirp4netns', '-p', '0.0.0.0:8472:8472/udp'];
      const script = 'echo inside; exec sleep infinity';
      const command = [...prefix, ...runAs(where.account(`vx${index + 1}`), [...stack, 'sh', '-c', script])];
      const started = await processes.start(command, { output: /^inside$/m });
      // Before or after its exec.
      const commands = ['sleep infinity', `sh -c ${script}`];
      const inside = processTree(started.pid).find(({ args }) => commands.includes(args.join(' ')));
      if (!inside) throw new Error('the stack has no command');
      pids.push(inside.pid);
      const other = 1 - index;
      await shell(
        ['nsenter', `--target=${inside.pid}`, '--user', '--net', '--'],
        `ip link add vx0 address ${mac(index)} mtu 1450 type vxlan id 1 dstport 8472 nolearning
         ip address add ${ip(index)}/24 dev vx0
         ip link set vx0 up
         ip neigh add ${ip(other)} lladdr ${mac(other)} dev vx0 nud permanent
         bridge fdb append ${mac(other)} dev vx0 dst ${hosts[other]?.ip}`,
      );
    }
    return { server: inNetworkOf(pids[0] ?? 0), client: inNetworkOf(pids[1] ?? 0), address: ip(0) };
  });
}

/** From one container to another, each a network namespace that is attached to the network. */
export function byOverlay(hosts: Hosts, where: Environment, root: string, accounts: readonly Account[]): Promise<Way> {
  return withProcesses(async (processes) => {
    let token: string | undefined;
    const net = async (index: number, ...words: string[]) => {
      const command = runAs(accounts[index] ?? where.client, [
        join(root, 'dist/bin/rootless-net'),
        'overlay',
        ...words,
      ]);
      return (await output([...(hosts[index]?.prefix ?? []), ...command])).trim();
    };
    const containers: number[] = [];
    for (const [index, { prefix, ip }] of hosts.entries()) {
      const account = accounts[index] ?? where.client;
      const directory = join(account.directory, 'rootless-net');
      const serve = runAs(account, [join(root, 'dist/bin/rootless-run'), 'serve', '--net=builtin']);
      const socket = join(directory, 'api.sock');
      const started = await processes.start([...prefix, ...serve], { check: () => answers(socket, '/v1/overlays') });
      const request = token === undefined ? ['create', 'back', '--static'] : ['join', token];
      token = await net(index, ...request, '--address', ip);
      containers.push(await attach(processes, directory, started));
    }
    await net(0, 'join', token ?? '');
    const [server = 0, client = 0] = containers;
    return { server: inNetworkOf(server), client: inNetworkOf(client), address: await addressIn(server) };
  });
}

/** A network namespace with a container's network; the process in it. */
async function attach(processes: Processes, stateDir: string, stack: Started): Promise<number> {
  const into = ['nsenter', `--target=${agentOf(stack)}`, '--user', '--net', '--mount', '--'];
  const command = ['unshare', '--net', 'sh', '-c', 'echo "pid $$"; exec sleep infinity'];
  const sandbox = await processes.start([...into, ...command], { output: /^pid \d+$/m });
  // Of the host: nsenter does not enter its namespace of processes.
  const pid = Number(/^pid (\d+)$/m.exec(sandbox.output())?.[1]);
  const annotations = { 'rootless-net/networks': JSON.stringify(['back']) };
  const state = { ociVersion: '1.0.2', id: randomBytes(32).toString('hex'), pid, status: 'creating', annotations };
  await callAPI(join(stateDir, 'agent.sock'), 'POST', '/v1/hooks/createRuntime', { body: state });
  return pid;
}

async function addressIn(pid: number): Promise<string> {
  const text = await shell(inNetworkOf(pid), 'ip -o -4 address show scope global');
  const [, address] = /inet ([\d.]+)/.exec(text) ?? [];
  if (address === undefined) throw new Error('the container has no address');
  return address;
}

function shell(prefix: readonly string[], script: string): Promise<string> {
  return output([...prefix, 'sh', '-euc', script]);
}

/** @throws {Error} with what it has printed, where it fails */
async function output([program = '', ...words]: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, words);
  if (code !== 0) throw new Error(stderr.trim());
  return stdout;
}
