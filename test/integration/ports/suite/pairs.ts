import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { near } from '../../../setup/machine/far-machine.js';
import { pythonProgram } from '../../../support/paths.js';
import { askAll, type Conversation, converse, here, type Machine, there } from '../../../support/traffic/peers.js';
import { waitFor } from '../../../support/wait-for.js';
import { bracket, type Group, withStack } from './common.js';

/** Answers on many addresses and ports, over TCP and UDP, with the address that was bound. */
const NAMES = pythonProgram('traffic/server-names');

/** The addresses inside that a port leads to, in their order (docs/guide/ports.md), by what it is published on. */
const published: [on: string, order: string[], host: string, machine: Machine][] = [
  ['127.0.0.2', ['127.0.0.2', '127.0.0.1', '::1'], '127.0.0.2', here],
  ['127.0.0.1', ['127.0.0.1', '::1'], '127.0.0.1', here],
  ['::1', ['::1', '127.0.0.1'], '::1', here],
  ['0.0.0.0', ['127.0.0.1', '::1'], '127.0.0.9', here],
];
if (there) {
  published.push([near.v4, ['127.0.0.1', '::1'], near.v4, there], [near.v6, ['::1', '127.0.0.1'], near.v6, there]);
}

/** Which of the servers the kernel has answer there: the one on that very address, else one on every address. */
function serverAt(address: string, servers: readonly string[]): string | undefined {
  const wildcards = address.includes(':') ? ['::'] : ['0.0.0.0', '::'];
  return [address, ...wildcards].find((host) => servers.includes(host));
}

const FIRST_PORT = 7500;

/** Every two servers there can be on one port: the right one is reached, or none. */
export const pairs: Group = (suite) => {
  if (!suite.capabilities.prefersAsked) return;
  const { childAddress } = suite;
  const addresses = [
    '127.0.0.1',
    '127.0.0.2',
    '127.0.0.3',
    '0.0.0.0',
    '::1',
    '::',
    ...(childAddress ? [childAddress] : []),
  ];
  const all = addresses.flatMap((one, i) => [[one], ...addresses.slice(i + 1).map((other) => [one, other])]);
  const list = all.map((servers, i) => ({ servers, inside: FIRST_PORT + i }));

  describe('one server, and every two', () => {
    const stack = withStack(suite, async (running) => {
      const bound = list.flatMap(({ servers, inside }) => servers.map((host) => [host, inside]));
      return [await running.inside(['python3', '-c', NAMES, JSON.stringify(bound)], { output: /^ready$/m })];
    });

    for (const [on, order, host, machine] of published) {
      const expected = list.map(({ servers, inside }) => ({
        inside,
        servers: servers.join(' and '),
        answer: order.map((address) => serverAt(address, servers)).find((server) => server !== undefined) ?? 'nobody',
      }));
      const publish = (proto: string) =>
        Promise.all(
          expected.map(async (one) => ({
            ...one,
            published: await stack().publish(`${bracket(on)}:0:${one.inside}/${proto}`),
          })),
        );
      const summary = (list: readonly { servers: string; answer: string }[]) =>
        list.map(({ servers, answer }) => `${servers}: ${answer}`);

      it(`tcp: a port on ${on} leads to the right one`, async () => {
        const ports = await publish('tcp');
        const talks = ports.map(({ published: { port } }): Conversation => ({ host, port, steps: [['drain']] }));
        const ends = await converse(machine, ...talks);
        const found = ports.map(({ servers }, i) => {
          const { data = '', error } = ends[i] ?? {};
          return { servers, answer: error === 'ECONNRESET' && data === '' ? 'nobody' : data };
        });
        assert.deepEqual(summary(found), summary(ports));
      });

      it(`udp: a port on ${on} leads to the right one`, async () => {
        const ports = await publish('udp');
        const served = ports.filter(({ answer }) => answer !== 'nobody');
        const printed = await askAll(
          machine,
          served.map(({ published: { port } }) => ({ host, port })),
        );
        const found = served.map(({ servers }, i) => ({ servers, answer: printed[i]?.answers[0] ?? '' }));
        assert.deepEqual(summary(found), summary(served));
        if (machine !== here) return;
        const client = createSocket(host.includes(':') ? 'udp6' : 'udp4');
        const answers: string[] = [];
        client.on('message', (data) => answers.push(data.toString()));
        for (const { published, servers, answer } of ports) {
          if (answer !== 'nobody') continue;
          client.send('?', published.port, host);
          await waitFor(async () => (await stack().counters(published.id)).refused === 1, {
            what: `no server: ${servers}`,
          });
        }
        client.close();
        assert.deepEqual(answers, []);
      });
    }
  });
};
