// The time to publish many ports: through the API, and at start.
import { Agent } from 'node:http';
import { unavailable } from '../availability.js';
import { candidates } from '../candidates.js';
import type { CandidateResult, Environment, Figure, Plan, Row } from '../model.js';
import { loadProgram } from '../programs/load.js';
import { firstMorePort, firstPort, loopback, takeRounds } from '../running.js';
import { callAPI } from './call-api.js';
import { limitFiles } from './holder.js';
import { startLoadCandidate } from './load-candidate.js';
import { timeToEnd } from './start-up.js';

const COUNT = 1000;
const AT_ONCE = 16;
const morePorts = Array.from({ length: COUNT }, (_, index) => firstMorePort + index);

export const ports: Row = {
  title: `${COUNT} ports`,
  columns: {
    oneByOne: { title: 'through the API, one by one', unit: 'ms', decimals: 0, less: true },
    atOnce: { title: `through the API, ${AT_ONCE} at a time`, unit: 'ms', decimals: 0, less: true },
    atStart: { title: 'at start, with start and end of the whole', unit: 'ms', decimals: 0, less: true },
  },
  unavailable: ({ root }) => unavailable({ programs: ['prlimit'], file: loadProgram }, root),
  measure: async (plan: Plan, where: Environment): Promise<CandidateResult[]> => {
    // The others need a process for each port.
    const names = plan.candidates.filter((name) => candidates[name]?.manyPorts);
    const results = names.map((name): CandidateResult => ({ name, figures: [] }));
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const figure = await measure(name, firstPort + names.indexOf(name), where);
      const shown = Object.entries(figure.values).map(([column, ms]) => `${column} ${ms.toFixed(0)} ms`);
      where.progress(`ports, round ${round + 1}/${plan.rounds}: ${name} ${shown.join(', ')}`);
      return figure;
    });
    return results;
  },
};

/** More than the usual limit of 1,024. */
const FILES = 20_000;

async function measure(name: string, port: number, where: Environment): Promise<Figure> {
  const atStart = await timeToEnd({ name, port, morePorts, command: ['true'], prefix: limitFiles(FILES) }, where);
  const apiSocket = candidates[name]?.apiSocket;
  if (apiSocket === undefined) return { values: { atStart }, note: 'has no API' };
  await using running = await startLoadCandidate({ name, port, files: FILES }, where);
  const socket = apiSocket(running.directory);
  const first = await publishAll(socket, 1);
  await unpublish(socket, first.ids);
  const second = await publishAll(socket, AT_ONCE);
  await unpublish(socket, second.ids);
  return { values: { oneByOne: first.took, atOnce: second.took, atStart } };
}

/** Resolves with the time in ms, and the ports' ids. */
async function publishAll(socketPath: string, atOnce: number): Promise<{ took: number; ids: number[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const ids: number[] = [];
  const left = [...morePorts];
  const work = async () => {
    for (let port = left.shift(); port !== undefined; port = left.shift()) {
      const spec = { proto: 'tcp', parentIP: loopback, parentPort: port, childPort: port };
      const answer = await callAPI(socketPath, 'POST', '/v1/ports', { body: spec, agent });
      ids.push((JSON.parse(answer) as { id: number }).id);
    }
  };
  try {
    const since = performance.now();
    await Promise.all(Array.from({ length: atOnce }, work));
    return { took: performance.now() - since, ids };
  } finally {
    agent.destroy();
  }
}

async function unpublish(socketPath: string, ids: readonly number[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (const id of ids) await callAPI(socketPath, 'DELETE', `/v1/ports/${id}`, { agent });
  } finally {
    agent.destroy();
  }
}
