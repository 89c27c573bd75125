// The row `overlay`: one TCP stream between two hosts, by our overlay network and by what it is made of, or replaces.
import { type Started, start } from '../../../test/support/start.js';
import { waitFor } from '../../../test/support/wait-for.js';
import { unavailable } from '../../availability.js';
import { ownName, referenceName } from '../../candidates/candidate.js';
import { runAs } from '../../environment/users.js';
import type { CandidateResult, Environment, Figure, Plan, Row } from '../../model.js';
import { iperf3 } from '../../programs/iperf3.js';
import { describe, firstPort, newResult, rootOf, takeRounds } from '../../running/start-candidate.js';
import { stop } from '../../running/stop.js';
import { runClient, summary } from '../traffic.js';
import { byOverlay, byVxlan, byWireGuard, directly, twoHosts, type Way } from './ways.js';

// Network namespaces have the kernel's default, whatever the benchmark's own has.
const program = iperf3('--congestion', 'reno');
const wireGuardName = 'wireguard';
const vxlanName = 'vxlan-slirp4netns';
/** A first packet may be lost, and WireGuard tries again after 5 s. */
const FIRST_MS = 30_000;

export const overlay: Row = {
  title: 'TCP, one stream between containers of two hosts, over a tunnel',
  columns: { rate: { title: 'throughput', unit: 'Gbit/s', decimals: 3 } },
  unavailable: ({ root, network }) =>
    unavailable({ programs: ['iperf3', 'slirp4netns', 'nsenter', 'ip'], file: 'dist/bin/rootless-run' }, root) ??
    (network.remote ? undefined : 'creating a second host needs root'),
  measure: measureOverlay,
};

interface Measured extends AsyncDisposable {
  way: Way;
  port: number;
}

async function measureOverlay(plan: Plan, where: Environment): Promise<CandidateResult[]> {
  const hosts = twoHosts(where);
  const checkouts = plan.candidates.filter((name) => name !== ownName && where.candidates[name]?.ofThisPackage);
  const ours = [...checkouts, ownName];
  const makers: Record<string, () => Promise<Way>> = {
    [referenceName]: () => directly(hosts),
    ...Object.fromEntries(
      ours.map((name, index) => [
        name,
        () => {
          const accounts = [1, 2].map((number) => where.account(`ov${index}${number}`));
          return byOverlay(hosts, where, rootOf(where.candidates[name] ?? {}, where), accounts);
        },
      ]),
    ),
    [wireGuardName]: () => byWireGuard(hosts, where),
    [vxlanName]: () => byVxlan(hosts, where),
  };
  const descriptions: Record<string, string> = {
    [referenceName]: 'the veth between the hosts, without a tunnel',
    [ownName]: 'two stacks with the network driver builtin, a container on each',
    [wireGuardName]: 'the device that our stacks have, on the hosts themselves',
    [vxlanName]: 'VXLAN in two stacks with slirp4netns and a published UDP port, as flannel does it; unencrypted',
  };
  const results = Object.keys(makers).map((name) => {
    const description = descriptions[name];
    return { ...newResult(name, where), ...(description !== undefined && { description }) };
  });
  const running = new Map<string, Measured>();
  try {
    for (const [index, result] of results.entries()) {
      const make = makers[result.name];
      if (make) await startWay(result, { make, port: firstPort + index, where, running });
    }
    const ready = results.filter(({ name }) => running.has(name));
    await takeRounds(ready, plan.rounds, where, async ({ name }, round) => {
      const figure = await stream(running.get(name), plan.seconds, where);
      where.progress(`overlay, round ${round + 1}/${plan.rounds}: ${name} ${summary(overlay, figure)}`);
      return figure;
    });
    return results;
  } finally {
    for (const measured of running.values()) await measured[Symbol.asyncDispose]();
  }
}

interface StartDeps {
  make: () => Promise<Way>;
  port: number;
  where: Environment;
  running: Map<string, Measured>;
}

async function startWay(result: CandidateResult, { make, port, where, running }: StartDeps): Promise<void> {
  let way: Way | undefined;
  let server: Started | undefined;
  const end = async () => {
    if (server) await stop(server);
    await way?.[Symbol.asyncDispose]();
  };
  try {
    way = await make();
    const account = where.account('server');
    const own = runAs(account, program.server(port, { root: where.root, directory: account.directory }));
    const [command = '', ...args] = [...way.server, ...own];
    server = await start(command, args, { ready: program.ready ? { output: program.ready } : { check: () => true } });
    const measured = { way, port, [Symbol.asyncDispose]: end };
    await waitFor(() => stream(measured, 1, where), { what: `a first stream with ${result.name}`, timeout: FIRST_MS });
    running.set(result.name, measured);
  } catch (error) {
    await end();
    result.problem = describe(error);
    where.progress(`${result.name}: ${result.problem}`);
  }
}

async function stream(measured: Measured | undefined, seconds: number, where: Environment): Promise<Figure> {
  if (!measured) throw new Error('it has not been started');
  const { way, port } = measured;
  const target = { address: way.address, port };
  const figure = await runClient(program, target, { prefix: way.client, seconds }, where);
  return { ...figure, ...(way.note !== undefined && { note: way.note }) };
}
