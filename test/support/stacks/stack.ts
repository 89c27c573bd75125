import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StackClient } from '../../../parent/client/stack-client.js';
import type { PortReport } from '../../../protocol/api/types.js';
import { parsePortSpec } from '../../../protocol/ports/grammar.js';
import { portSpecOf } from '../../../protocol/ports/rootlesskit-json.js';
import type { PortCounters } from '../../../protocol/ports/status.js';
import { binPath } from '../paths.js';
import { type ProcessInfo, processTree } from '../process-info.js';
import { type RunResult, run } from '../run.js';
import { type Readiness, type Started, start } from '../start.js';
import { tempDir } from '../temp-dir.js';
import { waitFor } from '../wait-for.js';

export interface StackOptions {
  /** Options of rootless-run; loopback only (`--net=none`) by default. */
  args?: readonly string[];
  /** Port specs as -p accepts them. */
  publish?: readonly string[];
  /** What runs in the namespaces; by default something that does nothing until it is ended. */
  command?: readonly string[];
  /** A program and its arguments that starts rootless-run in turn, by becoming it (such as prlimit). */
  wrapper?: readonly string[];
  env?: Record<string, string | undefined>;
  /** A new one by default. */
  stateDir?: string;
}

/** A published port. */
export interface Published {
  id: number;
  /** Where a client on the host finds it; loopback where it is published on every address. */
  host: string;
  port: number;
}

/** rootless-run, with what a test does to it. Ends with the block (`await using`). */
export interface RunningStack extends AsyncDisposable {
  /** The process of rootless-run. */
  readonly started: Started;
  readonly stateDir: string;
  readonly api: StackClient;
  /** The process in all of the child's namespaces, as the host counts. */
  readonly childPid: number;
  /** Publishes one port through the API. */
  publish(spec: string): Promise<Published>;
  /** The ports that are published, in the order of their ids. */
  published(): Promise<Published[]>;
  counters(id: number): Promise<PortCounters>;
  report(id: number): Promise<PortReport>;
  /** Runs rootlessctl to its end. */
  ctl(...args: string[]): Promise<RunResult>;
  /** Starts a program in the namespaces, as root there. It is not below the launcher, and ends with us. */
  inside(command: readonly string[], ready: Readiness): Promise<Started>;
  /** Runs a program in the namespaces, as root there, to its end. */
  enter(...command: string[]): Promise<RunResult>;
  /** Starts one of test/programs in the namespaces; ready when it prints that. */
  program(name: ProgramName, ...args: (string | number)[]): Promise<Started>;
  /** The processes below rootless-run whose command line holds `text`. */
  below(text: string): ProcessInfo[];
}

export type ProgramName =
  | 'tcp-server'
  | 'udp-server'
  | 'daemon'
  | 'dns-clients'
  | 'starter'
  | 'cni-noop'
  | 'cni-run'
  | 'gateway-run'
  | 'netlink-run'
  | 'wireguard-run';

export function programPath(name: ProgramName): string {
  return fileURLToPath(new URL(`../../programs/${name}.js`, import.meta.url));
}

/** Resolves when the stack is ready: its API answers and its ports listen. */
export async function startStack(options: StackOptions = {}): Promise<RunningStack> {
  const stateDir = options.stateDir ?? join(tempDir(), 'state');
  const api = new StackClient(join(stateDir, 'api.sock'));
  const [program = '', ...args] = [
    ...(options.wrapper ?? []),
    binPath('rootless-run'),
    ...(options.args ?? ['--net=none']),
    `--state-dir=${stateDir}`,
    ...(options.publish ?? []).flatMap((spec) => ['-p', spec]),
    '--',
    ...(options.command ?? ['sleep', 'infinity']),
  ];
  const started = await start(program, args, {
    ready: { check: async () => Boolean(await api.info()) },
    ...(options.env && { env: options.env }),
  });
  const { childPID } = await api.info();

  const report = async (id: number) => {
    const found = (await api.listPorts({ counters: true })).find((port) => port.id === id);
    if (!found) throw new Error(`no port has the id ${id}`);
    return found;
  };
  const enter = ['--user', '--net', '--mount', '--preserve-credentials', `--target=${childPID}`, '--'];
  const inside = (command: readonly string[], ready: Readiness) => start('nsenter', [...enter, ...command], { ready });

  return {
    started,
    stateDir,
    api,
    childPid: childPID,
    async publish(text) {
      const mapping = parsePortSpec(text);
      if (mapping.count > 1) throw new Error(`${text} is not one port`);
      return published(await api.addPort(portSpecOf(mapping)));
    },
    published: async () => (await api.listPorts()).map(published),
    report,
    counters: async (id) => {
      const { counters } = await report(id);
      if (!counters) throw new Error(`port ${id} has no counters`);
      return counters;
    },
    ctl: (...words) => run(binPath('rootlessctl'), [`--socket=${api.socketPath}`, ...words]),
    inside,
    enter: (...command) => run('nsenter', [...enter, ...command]),
    program: (name, ...words) =>
      inside([process.execPath, programPath(name), ...words.map(String)], { output: /^ready$/m }),
    below: (text) => processTree(started.pid).filter(({ args: words }) => words.join(' ').includes(text)),
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

function published({ id, spec }: PortReport): Published {
  const { parentIP = '', parentPort } = spec;
  const unspecified = /^[0:.]*$/.test(parentIP);
  return { id, host: unspecified ? (spec.proto.endsWith('6') ? '::1' : '127.0.0.1') : parentIP, port: parentPort };
}

/** Resolves when a server inside has bound that port, without connecting to it. */
export async function listens(stack: RunningStack, port: number, protocol: 'tcp' | 'udp' = 'tcp'): Promise<void> {
  await waitFor(() => listensNow(stack.childPid, port, protocol), { what: `a listener on ${port}/${protocol} inside` });
}

/** Whether anything listens on that port in the network namespace of that process (proc(5), /proc/PID/net/tcp). */
export function listensNow(pid: number, port: number, protocol: 'tcp' | 'udp' = 'tcp'): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const listening = protocol === 'tcp' ? '0A' : '07';
  return [protocol, `${protocol}6`].some((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, 'utf8')
      .split('\n')
      .slice(1)
      .some((line) => {
        const [, local = '', , state] = line.trim().split(/\s+/);
        return local.endsWith(`:${hex}`) && state === listening;
      }),
  );
}
