// The row `overlay-growth`: how long a change takes to arrive at all hosts of a network, and to be set up on one, by their number.
// The hosts are simulated: each follows etcd as a stack does, and has no containers.
import { join } from 'node:path';
import type { OverlayMember } from '../../../protocol/overlay/types.js';
import { generateKeys } from '../../../protocol/wireguard/keys.js';
import { type Etcds, startEtcds } from '../../../test/support/overlay/etcd.js';
import { makeRegistry, startMember, type TestMember } from '../../../test/support/overlay/members.js';
import { askTunnel } from '../../../test/support/overlay/tunnel.js';
import { type Started, start } from '../../../test/support/start.js';
import { tempDir } from '../../../test/support/temp-dir.js';
import { waitFor } from '../../../test/support/wait-for.js';
import { unavailable } from '../../availability.js';
import { ownName } from '../../candidates/candidate.js';
import type { CandidateResult, Column, Environment, Plan, Row } from '../../model.js';
import { median } from '../../report/statistics.js';
import { newResult, takeRounds } from '../../running/start-candidate.js';
import { stop } from '../../running/stop.js';
import { twoHosts } from './ways.js';

const STEPS = [2, 10, 25, 50];
/** Changes of which the median is one figure. */
const CHANGES = 9;

const quantities: Readonly<Record<string, Column>> = {
  arrival: { title: 'a change at the last of all hosts', unit: 'ms', decimals: 1, less: true },
  setUp: { title: 'peers and routes of one host, all at once', unit: 'ms', decimals: 1, less: true },
};

const columnName = (quantity: string, at: number) => `${quantity} at ${at} hosts`;

export const overlayGrowth: Row = {
  title: 'Hosts of an overlay network, with three etcds',
  columns: Object.fromEntries(
    Object.entries(quantities).flatMap(([name, column]) =>
      STEPS.map((at) => [columnName(name, at), { ...column, series: { title: column.title, of: 'hosts', at } }]),
    ),
  ),
  unavailable: ({ root, network }) =>
    unavailable({ programs: ['etcd'], file: 'dist/test/programs/wireguard-run.js' }, root) ??
    (network.remote ? undefined : 'creating a second host needs root'),
  measure: measureGrowth,
};

async function measureGrowth(plan: Plan, where: Environment): Promise<CandidateResult[]> {
  await using etcds = await startEtcds(3);
  const result = { ...newResult(ownName, where), description: 'hosts that follow etcd, all in one process' };
  await takeRounds([result], plan.rounds, where, async (_, round) => {
    const values: Record<string, number> = {};
    const members: TestMember[] = [];
    const prefix = `/bench/${round}`;
    await makeRegistry(etcds.client, prefix);
    try {
      for (const at of STEPS) {
        await grow(members, at, etcds, prefix);
        const times: number[] = [];
        for (let change = 0; change < CHANGES; change++) times.push(await changeOne(members, `198.51.100.${change}`));
        values[columnName('arrival', at)] = median(times);
        values[columnName('setUp', at)] = await setUp(members[0]?.membership.peers ?? [], where);
      }
    } finally {
      await Promise.all(members.map((member) => member.membership.leave()));
    }
    const shown = Object.entries(values).map(([column, ms]) => `${column} ${ms.toFixed(1)} ms`);
    where.progress(`overlay-growth, round ${round + 1}/${plan.rounds}: ${shown.join(', ')}`);
    return { values };
  });
  return [result];
}

/** Adds members up to that number; resolves when each knows all others. */
async function grow(members: TestMember[], count: number, { options: etcd }: Etcds, prefix: string): Promise<void> {
  const added = Array.from({ length: count - members.length }, (_, index) => `host${members.length + index}`);
  // At most so many at once, as people do it.
  for (let from = 0; from < added.length; from += 8) {
    members.push(
      ...(await Promise.all(added.slice(from, from + 8).map((name) => startMember({ etcd, prefix, name })))),
    );
  }
  const isKnown = () => members.every(({ membership }) => membership.peers.length === count - 1);
  await waitFor(isKnown, { what: `${count} hosts to know each other`, timeout: 60_000 });
}

/** Time in ms until all others know that the first one has that address. */
async function changeOne([first, ...others]: readonly TestMember[], address: string): Promise<number> {
  if (!first) throw new Error('there is no member');
  const arrived = Promise.all(
    others.map(
      (member) =>
        new Promise<void>((resolve) => {
          member.onChange = () => {
            if (member.membership.peers.some((peer) => peer.host === first.host && peer.address === address)) resolve();
          };
        }),
    ),
  );
  const since = performance.now();
  await first.membership.announce({ ...first.self, address });
  await arrived;
  return performance.now() - since;
}

/** Time in ms to give a device all of these peers, and routes to them. */
async function setUp(peers: readonly OverlayMember[], where: Environment): Promise<number> {
  const [, { prefix }] = twoHosts(where);
  const socket = join(tempDir(), 's');
  const [program = '', ...words] = [...prefix, where.node, join(where.root, 'dist/test/programs/wireguard-run.js')];
  const started: Started = await start(program, [...words, socket], { ready: { output: /ready/ } });
  try {
    const { privateKey } = generateKeys();
    const open = { name: 'bench-peers', privateKey, listenPort: 51_998, mtu: 1420, addresses: [] };
    await askTunnel(socket, { open });
    const configure = peers.map(({ publicKey, address, port, subnets }) => ({
      ...{ publicKey, subnets, endpoint: { ip: address, port } },
    }));
    const since = performance.now();
    await askTunnel(socket, { configure });
    return performance.now() - since;
  } finally {
    await stop(started);
  }
}
