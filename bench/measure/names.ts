// The DNS server of a container network: answers to 64 clients in one container, about the name of another. Beside it dnsmasq, in
// the same namespace and at the same address.
import { join } from 'node:path';
import { run } from '../../test/support/run.js';
import { type Started, start } from '../../test/support/start.js';
import { unavailable } from '../availability.js';
import { ownName } from '../candidates/candidate.js';
import type { CandidateResult, Column, Environment, Figure, Plan, Row, Target } from '../model.js';
import { loadProgram, parseNames } from '../programs/load.js';
import {
  type BenchStack,
  FIRST_PORT,
  hook,
  makeSandbox,
  ownGateway,
  ownNetwork,
  type Sandbox,
  startStack,
} from '../running/bench-stack.js';
import { newResult, takeRounds } from '../running/start-candidate.js';
import { stop } from '../running/stop.js';
import { processorColumns, withProcessorTime } from './work.js';

const CLIENTS = 64;
const peerName = 'dnsmasq';
/** Not 53, which leads to our server. */
const PEER_PORT = 5354;

/** Containers of a stack, and who answers them. */
interface Asked {
  stack: BenchStack;
  client: Sandbox;
  named: Sandbox;
  peer: Started;
}

export function names(columns: Readonly<Record<string, Column>>): Row {
  return {
    title: `Names on a container network, ${CLIENTS} clients in a container`,
    columns: { ...columns, ...processorColumns('queries') },
    unavailable: ({ root }) => {
      if (process.getuid?.() !== 0) return 'entering the namespaces of other users needs root';
      return unavailable({ programs: ['nft', 'nsenter', peerName], file: loadProgram }, root);
    },
    measure,
  };
}

async function measure(plan: Plan, where: Environment): Promise<CandidateResult[]> {
  const checkouts = plan.candidates.filter((name) => name !== ownName && where.candidates[name]?.ofThisPackage);
  const results: CandidateResult[] = [
    ...checkouts.map((name) => newResult(name, where)),
    { name: ownName, description: "the agent's server, at port 53 of the gateway", figures: [] },
    { name: peerName, description: 'at another port of the same gateway', figures: [], peer: true },
  ];
  const running = new Map<string, Asked>();
  try {
    for (const name of [...checkouts, ownName]) running.set(name, await begin(name, where));
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const asked = running.get(name) ?? (running.get(ownName) as Asked);
      const figure = await ask(asked, name === peerName, { seconds: plan.seconds, where });
      const { rate = 0, p99 = 0 } = figure.values;
      where.progress(
        `names, round ${round + 1}/${plan.rounds}: ${name} ${rate.toFixed(0)} answers/s, p99 ${p99.toFixed(0)} µs`,
      );
      return figure;
    });
    return results;
  } finally {
    for (const asked of running.values()) await end(asked);
  }
}

async function begin(name: string, where: Environment): Promise<Asked> {
  const stack = await startStack(name, where);
  const [client, named] = [await makeSandbox(stack), await makeSandbox(stack)];
  await hook(stack, client, { event: 'createRuntime', network: ownNetwork, port: FIRST_PORT });
  await hook(stack, named, { event: 'createRuntime', network: ownNetwork, port: FIRST_PORT + 1 });
  const own = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--pid-file=',
    '--user=',
    '--group=',
    '--log-facility=-',
  ];
  const peer = await start(
    'nsenter',
    [
      ...[`--target=${stack.childPid}`, '--user', '--net', '--mount', '--', peerName, ...own],
      ...['--no-resolv', '--no-hosts', `--port=${PEER_PORT}`, `--host-record=${nameOf(named)},192.0.2.1`],
    ],
    { ready: { output: /started, version/ } },
  );
  return { stack, client, named, peer };
}

async function end({ stack, client, named, peer }: Asked): Promise<void> {
  await stop(peer);
  for (const sandbox of [client, named]) await sandbox[Symbol.asyncDispose]();
  await stop(stack.started);
}

/** Containers of other runtimes have the name of their short id. */
function nameOf({ id }: Sandbox): string {
  return id.slice(0, 12);
}

async function ask(
  { stack, client, named, peer }: Asked,
  isPeer: boolean,
  { seconds, where }: { seconds: number; where: Environment },
): Promise<Figure> {
  const target: Target = { address: ownGateway, port: isPeer ? PEER_PORT : 53 };
  const words = ['dns', target.address, String(target.port), nameOf(named), String(CLIENTS), String(seconds)];
  const command = [`--target=${client.pid}`, '--user', '--net', '--', join(where.root, loadProgram), ...words];
  const server = isPeer ? peer.pid : stack.agentPid;
  const take = async () => {
    const { code, stdout, stderr } = await run('nsenter', command, { timeout: (seconds * 4 + 15) * 1000 });
    if (code !== 0) throw new Error(stderr.trim() || `exit code ${code}`);
    return parseNames(stdout);
  };
  return withProcessorTime('queries', () => [server], take);
}
