// The cost of a container's network: our own driver against the chain of CNI plugins that nerdctl writes. The same agent
// runs both, so only the drivers differ.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram } from '../../test/setup/machine/requirements.js';
import { isAlive, processTree } from '../../test/support/process-info.js';
import { type Started, start } from '../../test/support/start.js';
import { unavailable } from '../availability.js';
import { ownName } from '../candidates.js';
import { type Account, runAs } from '../environment/users.js';
import type { CandidateResult, Environment, Plan, Row } from '../model.js';
import { median } from '../report/statistics.js';
import { takeRounds } from '../running.js';
import { callAPI } from './call-api.js';
import { stop } from './stop.js';

/** Containers attached and detached in a round, one after the other. */
const PER_ROUND = 10;
const IN_PARALLEL = 64;

/** Where the plugins are, as the package containernetworking-plugins has them. */
const PLUGINS = '/usr/lib/cni';

/** The two networks that containers are attached to, by candidate. */
const ways: Readonly<Record<string, { network: string; description: string }>> = {
  [ownName]: { network: 'own', description: 'netlink, one nft transaction for the network, no process' },
  'cni-plugins': { network: 'chain', description: 'bridge, host-local, portmap, firewall and tuning of /usr/lib/cni' },
};

export const containers: Row = {
  title: 'Containers: a bridge, an address, rules and one published port, each',
  columns: {
    attach: { title: 'attach', unit: 'ms', decimals: 1, less: true },
    detach: { title: 'detach', unit: 'ms', decimals: 1, less: true, beside: true },
    atOnce: { title: `attach ${IN_PARALLEL} at once`, unit: 'ms', decimals: 0, less: true },
    processes: { title: 'processes started to attach', unit: 'programs', decimals: 0, less: true },
  },
  unavailable: lacking,
  measure: measureContainers,
};

/** Why this row cannot be measured here, or undefined. */
function lacking({ root }: Environment): string | undefined {
  if (process.getuid?.() !== 0) return 'entering the namespaces of other users needs root';
  return unavailable({ programs: ['nft', 'nsenter', join(PLUGINS, 'bridge')], file: 'dist/bin/rootless-run' }, root);
}

async function measureContainers({ rounds }: Plan, where: Environment): Promise<CandidateResult[]> {
  const results = Object.entries(ways).map(
    ([name, { description }]): CandidateResult => ({ name, description, figures: [] }),
  );
  const stack = await startStack(where.account(ownName), where);
  try {
    for (const { network } of Object.values(ways)) await attachAndDetach(stack, network, 1);
    await takeRounds(results, rounds, where, async ({ name }, round) => {
      const { network = '' } = ways[name] ?? {};
      const { attach, detach } = await attachAndDetach(stack, network, PER_ROUND);
      const values = {
        attach: median(attach),
        detach: median(detach),
        atOnce: await attachInParallel(stack, network),
      };
      where.progress(
        `containers, round ${round + 1}/${rounds}: ${name} ${values.attach.toFixed(1)} ms, ${IN_PARALLEL} at once ${values.atOnce.toFixed(0)} ms`,
      );
      if (!hasProgram('strace')) return { values, note: 'processes are counted by strace, which is not installed' };
      return { values: { ...values, processes: await countProcesses(stack, network) } };
    });
    return results;
  } finally {
    await stop(stack.started);
  }
}

interface BenchStack {
  started: Started;
  socket: string;
  childPid: number;
  agentPid: number;
}

async function startStack(account: Account, { root }: Environment): Promise<BenchStack> {
  const config = join(account.directory, '.config', 'cni', 'net.d');
  mkdirSync(config, { recursive: true });
  writeFileSync(join(config, 'nerdctl-chain.conflist'), JSON.stringify(chain));
  spawnSync('chown', ['-R', `${account.user}:`, account.directory]);
  const stateDir = join(account.directory, 'rootless-net');
  const socket = join(stateDir, 'agent.sock');
  const [program = '', ...words] = runAs(account, [join(root, 'dist/bin/rootless-run'), 'serve', '--net=none']);
  const started = await start(program, words, { ready: { check: () => answers(socket) } });
  try {
    await callAPI(socket, 'POST', '/v1/networks', { body: { name: 'own' } });
    const agent = processTree(started.pid).find(({ args }) => args.some((word) => word.endsWith('child/agent.js')));
    if (agent === undefined) throw new Error('no agent is running');
    return {
      started,
      socket,
      childPid: Number(readFileSync(join(stateDir, 'child_pid'), 'utf8')),
      agentPid: agent.pid,
    };
  } catch (error) {
    await stop(started);
    throw error;
  }
}

/** The list that `nerdctl network create` writes (nerdctl 2). */
const chain = {
  cniVersion: '1.0.0',
  name: 'chain',
  plugins: [
    {
      type: 'bridge',
      bridge: 'br-chain',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        routes: [{ dst: '0.0.0.0/0' }],
        ranges: [[{ subnet: '10.99.0.0/24', gateway: '10.99.0.1' }]],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'firewall' },
    { type: 'tuning' },
  ],
};

/** What a network driver needs of a container: a process in a network namespace. */
interface Sandbox extends AsyncDisposable {
  id: string;
  pid: number;
}

async function makeSandbox({ childPid }: BenchStack): Promise<Sandbox> {
  const into = [`--target=${childPid}`, '--user', '--net', '--mount'];
  const command = ['unshare', '--net', 'sh', '-c', 'echo "pid $$"; exec sleep 1000'];
  const started = await start('nsenter', [...into, '--', ...command], { ready: { output: /^pid \d+$/m } });
  return {
    id: randomBytes(32).toString('hex'),
    pid: Number(/^pid (\d+)$/m.exec(started.output())?.[1]),
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

/** Below the kernel's ephemeral ports, and above the ports of the other rows. */
const FIRST_PORT = 16_000;

interface HookCall {
  event: 'createRuntime' | 'poststop';
  network: string;
  port: number;
}

/** Sends what the OCI hook sends. Resolves with the time that the answer took, in ms. */
async function hook({ socket }: BenchStack, { id, pid }: Sandbox, { event, network, port }: HookCall): Promise<number> {
  const annotations = {
    'rootless-net/networks': JSON.stringify([network]),
    'rootless-net/ports': JSON.stringify([`127.0.0.1:${port}:80`]),
  };
  const since = performance.now();
  const body = { ociVersion: '1.0.2', id, pid, status: 'creating', annotations };
  await callAPI(socket, 'POST', `/v1/hooks/${event}`, { body });
  return performance.now() - since;
}

/** Attaches and detaches containers one after the other. Resolves with the times, in ms. */
async function attachAndDetach(stack: BenchStack, network: string, count: number) {
  const attach: number[] = [];
  const detach: number[] = [];
  for (let index = 0; index < count; index++) {
    await using sandbox = await makeSandbox(stack);
    attach.push(await hook(stack, sandbox, { event: 'createRuntime', network, port: FIRST_PORT }));
    detach.push(await hook(stack, sandbox, { event: 'poststop', network, port: FIRST_PORT }));
  }
  return { attach, detach };
}

/** Resolves with the time until all are attached, in ms. */
async function attachInParallel(stack: BenchStack, network: string): Promise<number> {
  const sandboxes = await Promise.all(Array.from({ length: IN_PARALLEL }, () => makeSandbox(stack)));
  const each = (event: HookCall['event']) =>
    Promise.all(sandboxes.map((sandbox, index) => hook(stack, sandbox, { event, network, port: FIRST_PORT + index })));
  try {
    const since = performance.now();
    await each('createRuntime');
    const took = performance.now() - since;
    await each('poststop');
    return took;
  } finally {
    for (const sandbox of sandboxes) await sandbox[Symbol.asyncDispose]();
  }
}

/** Number of programs that are executed to attach one container. */
async function countProcesses(stack: BenchStack, network: string): Promise<number> {
  await using sandbox = await makeSandbox(stack);
  const trace = ['-f', '-qq', '-e', 'trace=execve', '-e', 'status=successful', '-p', String(stack.agentPid)];
  await using strace = await start('strace', trace, { ready: { check: () => isTraced(stack.agentPid) } });
  await hook(stack, sandbox, { event: 'createRuntime', network, port: FIRST_PORT });
  const count = strace.output().match(/execve\(/g)?.length ?? 0;
  await hook(stack, sandbox, { event: 'poststop', network, port: FIRST_PORT });
  return count;
}

function isTraced(pid: number): boolean {
  return isAlive(pid) && !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

function answers(socketPath: string): Promise<boolean> {
  return callAPI(socketPath, 'GET', '/v1/networks').then(
    () => true,
    () => false,
  );
}
