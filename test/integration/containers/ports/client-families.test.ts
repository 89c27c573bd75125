import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { freePort, hostAddresses, run, tcpOutcome, udpAsk, waitFor } from '../../../support/index.js';
import { execIn, HOST_PROGRAMS, kill, onNetworks, startContainer } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { type Asked, askers, seers } from '../../../support/traffic/peer-seers.js';

const { v4, v6 } = hostAddresses;
const RANGE = 3000;
const hosts: readonly string[] = [v4 ?? '', v6 ?? ''];

if (v4 !== undefined && v6 !== undefined) {
  describe('clients of containers', () => {
    const stack = withContainerStack({ keep: true });
    before(async () => {
      await stack.must('network', 'create', '--ipv6', 'dual');
    });

    const ready = (name: string) =>
      waitFor(
        () =>
          execIn(stack, name, 'cat', '/tmp/ready').then(
            () => true,
            () => false,
          ),
        { what: 'servers' },
      );
    const seenOverTCP = async (host: string, port: number): Promise<string> =>
      (await tcpOutcome(host, port)).data.toString().trim();
    /** The first of as many free ports, below those that clients have. */
    async function freeRange(): Promise<number> {
      for (;;) {
        const first = await freePort('0.0.0.0');
        const { stdout } = await run('ss', ['-Hlntu']);
        const taken = [...stdout.matchAll(/:(\d+)\s/g)].map(([, port]) => Number(port));
        if (first + RANGE < 32_768 && !taken.some((port) => port >= first && port < first + RANGE)) return first;
      }
    }

    it('of either family reach servers of either, and are seen as they are if the families agree', async () => {
      const first = await freePort('0.0.0.0');
      const kinds = ['4', '6', '46'];
      const ports = new Map<string, number>();
      for (const kind of kinds) ports.set(kind, await freePort('0.0.0.0'));
      const publish = kinds.flatMap((kind, index) =>
        (['tcp', 'udp'] as const).map((protocol) => ({
          hostIP: '',
          hostPort: ports.get(kind) ?? first,
          containerPort: 8000 + index,
          protocol,
        })),
      );
      const { name } = await startContainer(stack, {
        network: onNetworks('dual'),
        publish,
        command: seers(...kinds.map((kind, index) => `${kind}:${8000 + index}`)),
        mounts: HOST_PROGRAMS,
      });
      await ready(name);
      for (const [kind, port] of ports) {
        for (const host of hosts) {
          const agrees = kind.includes(host.includes(':') ? '6' : '4');
          // Several at once: the kernel sends ICMP refusals only now and then.
          const asked = Array.from({ length: 12 }, async (): Promise<[seen: string, own: string]> => {
            const from = await freePort(host);
            return [(await udpAsk(host, port, 'who', host, from)).toString(), `${host} ${from}`];
          });
          for (const [seen, own] of await Promise.all(asked)) {
            if (agrees) assert.equal(seen, own, `${kind} over UDP`);
            else assert.equal(isIP(seen.split(' ')[0] ?? ''), kind === '4' ? 4 : 6, seen);
          }
          const seen = await seenOverTCP(host, port);
          if (agrees) assert.equal(seen.split(' ')[0], host, `${kind} over TCP`);
          else assert.match(seen, kind === '4' ? /^10\.4\.\d+\.1 / : /^fd[0-9a-f:]+ /, `${kind} over TCP`);
        }
        // Of loopback the family shows: it comes first.
        const mark = kind === '4' ? /^10\./ : /^fd/;
        assert.match(await seenOverTCP('::1', port), mark);
        assert.match(await seenOverTCP('127.0.0.1', port), kind === '6' ? /^fd/ : /^10\./);
      }
      await stack.must('rm', '-f', name);
    });

    for (const [host, network, count] of [
      [v4, 'bridge', RANGE],
      [v6, 'dual', RANGE / 3],
    ] as const) {
      it(`are seen as they are from the first connection on, on ${count} ports, IPv${isIP(host)}`, async () => {
        const first = await freeRange();
        const publish = Array.from({ length: count }, (_, index) => ({
          hostIP: '',
          hostPort: first + index,
          containerPort: 10_000 + index,
          protocol: 'tcp' as const,
        }));
        const [program = '', ...words] = askers(host, first, count, 20);
        const clients = run(program, words, { timeout: 30_000 });
        const { name } = await startContainer(stack, {
          network: onNetworks(network),
          publish,
          command: seers(`46:10000-${10_000 + count - 1}`),
          mounts: HOST_PROGRAMS,
        });
        const { stdout, stderr } = await clients;
        assert.equal(stderr, '');
        const { answered, wrong, wrongs } = JSON.parse(stdout) as Asked;
        // With two addresses, a server may begin to listen after the first one has refused and before the second is tried.
        const between = network === 'dual' ? count / 100 : 0;
        assert(
          answered === count && wrongs <= between,
          `${answered} of ${count} answered, ${wrongs} wrong: ${wrong[0]}`,
        );
        await stack.must('rm', '-f', name);
      });
    }

    it('are seen as they are by what comes after a start, a new agent, and a change of networks', async () => {
      await stack.must('network', 'create', '--internal', 'inner');
      const port = await freePort('0.0.0.0');
      const publish = [{ hostIP: '', hostPort: port, containerPort: 80, protocol: 'tcp' as const }];
      const { name } = await startContainer(stack, {
        network: onNetworks('inner'),
        publish,
        command: seers('46:80'),
        mounts: HOST_PROGRAMS,
      });
      await ready(name);
      const sees = async (pattern: RegExp, what: string) => {
        for (let time = 0; time < 5; time++) assert.match(await seenOverTCP(v4, port), pattern, what);
      };
      const own = new RegExp(`^${v4.replaceAll('.', '\\.')} `);
      const bridge = /^10\.4\.\d+\.1 /;
      await sees(bridge, 'on an internal network');
      await stack.must('network', 'connect', 'bridge', name);
      await sees(own, 'on one more network, with a way out');
      for (const agent of stack.agents()) kill(agent);
      await sees(own, 'after another agent has taken over');
      await stack.settled();
      await stack.must('network', 'disconnect', 'bridge', name);
      await sees(bridge, 'off that network again');
      await stack.must('network', 'connect', 'bridge', name);
      await stack.must('network', 'disconnect', 'inner', name);
      await sees(own, 'on the other network alone');
      await stack.must('restart', name);
      await ready(name);
      await sees(own, 'after a restart');
      await stack.must('rm', '-f', name);
      await stack.must('network', 'rm', 'inner');
    });
  });
}
