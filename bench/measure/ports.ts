// The time to publish many ports, and to remove them: through the API, and at start.
import { Agent } from 'node:http';
import { unavailable } from '../availability.js';
import type { CandidateResult, Column, Environment, Figure, Plan, Row } from '../model.js';
import { loadProgram } from '../programs/load.js';
import { callAPI } from '../running/call-api.js';
import { limitFiles } from '../running/holder.js';
import { startLoadCandidate } from '../running/load-candidate.js';
import { firstMorePort, firstPort, loopback, newResult, takeRounds } from '../running/start-candidate.js';
import { timeToEnd } from './start-up.js';

const COUNT = 1000;
const AT_ONCE = 16;
const morePorts = Array.from({ length: COUNT }, (_, index) => firstMorePort + index);

const milliseconds = (title: string, decimals = 0): Column => ({ title, unit: 'ms', decimals, less: true });

export const ports: Row = {
  title: `${COUNT} ports`,
  columns: {
    oneByOne: milliseconds('through the API, one by one'),
    atOnce: milliseconds(`through the API, ${AT_ONCE} at a time`),
    oneRequest: milliseconds('through the API, a range in one request', 1),
    atStart: milliseconds('at start, with start and end of the whole'),
    remove: milliseconds('removed through the API, one by one'),
    removeRange: milliseconds('removed through the API, a range in one request', 1),
  },
  unavailable: ({ root }) => unavailable({ programs: ['prlimit'], file: loadProgram }, root),
  measure: async (plan: Plan, where: Environment): Promise<CandidateResult[]> => {
    // The others need a process for each port.
    const names = plan.candidates.filter((name) => where.candidates[name]?.manyPorts);
    const results = names.map((name) => newResult(name, where));
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
  const { apiSocket, ofThisPackage } = where.candidates[name] ?? {};
  if (apiSocket === undefined) return { values: { atStart }, note: 'has no API' };
  await using running = await startLoadCandidate({ name, port, files: FILES }, where);
  const socket = apiSocket(running.directory);
  const first = await publishAll(socket, 1);
  const remove = await unpublish(socket, first.ids);
  const second = await publishAll(socket, AT_ONCE);
  await unpublish(socket, second.ids);
  const values = { oneByOne: first.took, atOnce: second.took, atStart, remove };
  return { values: ofThisPackage ? { ...values, ...(await publishRange(socket)) } : values };
}

const spec = (port: number) => ({ proto: 'tcp', parentIP: loopback, parentPort: port, childPort: port });

/** Resolves with the time in ms, and the ports' ids. */
async function publishAll(socketPath: string, atOnce: number): Promise<{ took: number; ids: number[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const ids: number[] = [];
  const left = [...morePorts];
  const work = async () => {
    for (let port = left.shift(); port !== undefined; port = left.shift()) {
      const answer = await callAPI(socketPath, 'POST', '/v1/ports', { body: spec(port), agent });
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

/** Resolves with the time in ms. */
async function unpublish(socketPath: string, ids: readonly number[]): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const since = performance.now();
    for (const id of ids) await callAPI(socketPath, 'DELETE', `/v1/ports/${id}`, { agent });
    return performance.now() - since;
  } finally {
    agent.destroy();
  }
}

/** Resolves with the times in ms of one request for all ports, which RootlessKit's API does not have. */
async function publishRange(socketPath: string): Promise<{ oneRequest: number; removeRange?: number }> {
  const since = performance.now();
  const answer = await callAPI(socketPath, 'POST', '/v1/ports', { body: { ...spec(firstMorePort), count: COUNT } });
  const published = performance.now();
  const oneRequest = published - since;
  const { id } = JSON.parse(answer) as { id: number };
  try {
    await callAPI(socketPath, 'DELETE', `/v1/ports?ids=${id}-${id + COUNT - 1}`);
  } catch {
    // An earlier version, in which ports are removed one by one.
    return { oneRequest };
  }
  return { oneRequest, removeRange: performance.now() - published };
}
