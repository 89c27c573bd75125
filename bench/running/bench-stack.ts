// A stack of this package that runs containers, and namespaces that stand for them.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processTree } from '../../test/support/process-info.js';
import { type Started, start } from '../../test/support/start.js';
import { type Account, runAs } from '../environment/users.js';
import type { Environment } from '../model.js';
import { callAPI } from './call-api.js';
import { type Box, makeBox } from './container-run.js';
import { rootOf } from './start-candidate.js';
import { stop } from './stop.js';

/** The network that it has. */
export const ownNetwork = 'own';
const ownSubnet = '10.98.0.0/24';
export const ownGateway = '10.98.0.1';

/** `rootless-run serve` of a checkout, with a network. */
export interface BenchStack {
  started: Started;
  account: Account;
  /** The checkout. */
  root: string;
  /** What containers are run of; undefined if programs are missing. */
  box: Box | undefined;
  socket: string;
  childPid: number;
  agentPid: number;
}

/** @param lists further network configuration lists, by the names of their files */
export async function startStack(
  name: string,
  where: Environment,
  lists: Readonly<Record<string, object>> = {},
): Promise<BenchStack> {
  const account = where.account(name);
  const root = rootOf(where.candidates[name] ?? {}, where);
  const config = join(account.directory, '.config', 'cni', 'net.d');
  mkdirSync(config, { recursive: true });
  for (const [file, list] of Object.entries(lists)) writeFileSync(join(config, file), JSON.stringify(list));
  const box = makeBox(account.directory);
  spawnSync('chown', ['-R', `${account.user}:`, account.directory]);
  const stateDir = join(account.directory, 'rootless-net');
  const socket = join(stateDir, 'agent.sock');
  const [program = '', ...words] = runAs(account, [join(root, 'dist/bin/rootless-run'), 'serve', '--net=none']);
  const started = await start(program, words, { ready: { check: () => answers(socket, '/v1/networks') } });
  try {
    await callAPI(socket, 'POST', '/v1/networks', { body: { name: ownNetwork, subnets: [ownSubnet] } });
    return {
      ...{ started, account, root, socket, box },
      childPid: Number(readFileSync(join(stateDir, 'child_pid'), 'utf8')),
      agentPid: agentOf(started),
    };
  } catch (error) {
    await stop(started);
    throw error;
  }
}

/** Process id of a stack's agent. @throws {Error} where none is running */
export function agentOf(stack: Started): number {
  const agent = processTree(stack.pid).find(({ args }) => args.some((word) => word.endsWith('child/agent.js')));
  if (agent === undefined) throw new Error('no agent is running');
  return agent.pid;
}

/** What a network driver needs of a container: a process in a network namespace. */
export interface Sandbox extends AsyncDisposable {
  id: string;
  pid: number;
}

export async function makeSandbox({ childPid }: BenchStack): Promise<Sandbox> {
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
export const FIRST_PORT = 16_000;

export interface HookCall {
  event: 'createRuntime' | 'poststop';
  network: string;
  port: number;
}

/** Sends what the OCI hook sends. Resolves with the time that the answer took, in ms. */
export async function hook(
  { socket }: BenchStack,
  { id, pid }: Sandbox,
  { event, network, port }: HookCall,
): Promise<number> {
  const annotations = {
    'rootless-net/networks': JSON.stringify([network]),
    'rootless-net/ports': JSON.stringify([`127.0.0.1:${port}:80`]),
  };
  const since = performance.now();
  const body = { ociVersion: '1.0.2', id, pid, status: 'creating', annotations };
  await callAPI(socket, 'POST', `/v1/hooks/${event}`, { body });
  return performance.now() - since;
}

/** Whether an API answers a request for that path. */
export function answers(socketPath: string, path: string): Promise<boolean> {
  return callAPI(socketPath, 'GET', path).then(
    () => true,
    () => false,
  );
}
