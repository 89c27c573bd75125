// The cost of a container's network: our own driver against the chain of CNI plugins that nerdctl writes. The same agent
// runs both, so only the drivers differ.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram } from '../../test/setup/machine/requirements.js';
import { isAlive, processTree } from '../../test/support/process-info.js';
import { start } from '../../test/support/start.js';
import { waitFor } from '../../test/support/wait-for.js';
import { unavailable } from '../availability.js';
import { ownName } from '../candidates/candidate.js';
import type { CandidateResult, Environment, Figure, Plan, Row } from '../model.js';
import { median } from '../report/statistics.js';
import {
  type BenchStack,
  FIRST_PORT,
  type HookCall,
  hook,
  makeSandbox,
  ownNetwork,
  startStack,
} from '../running/bench-stack.js';
import { runCommand, runcCommand, timeRuns } from '../running/container-run.js';
import { newResult, takeRounds } from '../running/start-candidate.js';
import { stop } from '../running/stop.js';

/** Containers attached and detached in a round, one after the other. */
const PER_ROUND = 10;
const IN_PARALLEL = 64;

/** Where the plugins are, as the package containernetworking-plugins has them. */
const PLUGINS = '/usr/lib/cni';

/** The networks that containers are attached to. */
const pluginNetwork = 'chain';

/** What is measured beside this package and other checkouts of it, on the stack of this one. */
const pluginsName = 'cni-plugins';
const runcName = 'runc';

export const containers: Row = {
  title: 'Containers: a bridge, an address, rules and one published port, each',
  columns: {
    attach: { title: 'attach', unit: 'ms', decimals: 1, less: true },
    detach: { title: 'detach', unit: 'ms', decimals: 1, less: true, beside: true },
    atOnce: { title: `attach ${IN_PARALLEL} at once`, unit: 'ms', decimals: 0, less: true },
    processes: { title: 'processes started to attach', unit: 'programs', decimals: 0, less: true },
    run: { title: 'run of `true` on a running stack', unit: 'ms', decimals: 1, less: true },
  },
  unavailable: lacking,
  measure: measureContainers,
};

/** Why this row cannot be measured here, or undefined. */
function lacking({ root }: Environment): string | undefined {
  if (process.getuid?.() !== 0) return 'entering the namespaces of other users needs root';
  return unavailable({ programs: ['nft', 'nsenter', join(PLUGINS, 'bridge')], file: 'dist/bin/rootless-run' }, root);
}

async function measureContainers(plan: Plan, where: Environment): Promise<CandidateResult[]> {
  const checkouts = plan.candidates.filter((name) => name !== ownName && where.candidates[name]?.ofThisPackage);
  const results: CandidateResult[] = [
    ...checkouts.map((name) => newResult(name, where)),
    { name: ownName, description: 'netlink, one nft transaction for the network, no process', figures: [] },
    { name: pluginsName, description: 'bridge, host-local, portmap, firewall and tuning of /usr/lib/cni', figures: [] },
    { name: runcName, description: "`runc run` in the stack's namespaces, without a network", figures: [] },
  ];
  const stacks = new Map<string, BenchStack>();
  try {
    for (const name of [...checkouts, ownName])
      stacks.set(name, await startStack(name, where, { 'nerdctl-chain.conflist': chain }));
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const stack = stacks.get(name) ?? (stacks.get(ownName) as BenchStack);
      const figure = await (name === runcName ? measureRunc(stack) : measureStack(name, stack));
      const shown = Object.entries(figure.values).map(([column, value]) => `${column} ${value.toFixed(1)}`);
      where.progress(`containers, round ${round + 1}/${plan.rounds}: ${name} ${shown.join(', ')}`);
      return figure;
    });
    return results;
  } finally {
    for (const { started } of stacks.values()) await stop(started);
  }
}

async function measureStack(name: string, stack: BenchStack): Promise<Figure> {
  const network = name === pluginsName ? pluginNetwork : ownNetwork;
  // What only the first one costs, such as the bridge.
  await attachAndDetach(stack, network, 1);
  const { attach, detach } = await attachAndDetach(stack, network, PER_ROUND);
  const values: Record<string, number> = {
    attach: median(attach),
    detach: median(detach),
    atOnce: await attachInParallel(stack, network),
  };
  const notes: string[] = [];
  await untilIdle(stack);
  if (hasProgram('strace')) values.processes = await countProcesses(stack, network);
  else notes.push('processes are counted by strace, which is not installed');
  if (name !== pluginsName && stack.box) values.run = await timeRuns(runCommand(stack, stack.box));
  await untilIdle(stack);
  if (!stack.box) notes.push('containers are run with busybox and runc, which are not installed');
  return { values, ...(notes.length > 0 && { note: notes.join('; ') }) };
}

async function measureRunc({ box, agentPid }: BenchStack): Promise<Figure> {
  if (!box) throw new Error('busybox and runc are not installed');
  return { values: { run: await timeRuns(runcCommand(box, agentPid)) } };
}

/** The list that `nerdctl network create` writes (nerdctl 2). */
const chain = {
  cniVersion: '1.0.0',
  name: pluginNetwork,
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

/** Waits for what goes on after a detach is answered, which must count neither here nor for the next candidate. */
async function untilIdle({ agentPid }: BenchStack): Promise<void> {
  let quiet = 0;
  const isIdle = () => {
    quiet = processTree(agentPid).length > 1 ? 0 : quiet + 1;
    return quiet > 20;
  };
  await waitFor(isIdle, { timeout: 60_000, what: 'the end of earlier detachments' });
}

function isTraced(pid: number): boolean {
  return isAlive(pid) && !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
