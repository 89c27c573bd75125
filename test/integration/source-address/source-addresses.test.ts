import assert from 'node:assert/strict';
import { far, near } from '../../setup/machine/far-machine.js';
import {
  freePort,
  hostAddresses,
  openConnection,
  outcomeOf,
  type RunningStack,
  startStack,
  tcpOutcome,
  tcpRequest,
  udpAsk,
  waitFor,
} from '../../support/index.js';
import { type Asking, askAll, type Conversation, converse, servePeers, there } from '../../support/traffic/peers.js';

/** Addresses of the host that are not on loopback, where there are any. */
const hosts = [hostAddresses.v4, hostAddresses.v6].filter((host) => host !== undefined);

/** Whom the server sees, and whom it should: the client's own address and port. */
async function seenOverTCP(host: string, port: number): Promise<[seen: string, own: string]> {
  const socket = await openConnection(host, port);
  const own = `${socket.localAddress} ${socket.localPort}`;
  return [(await outcomeOf(socket)).data.toString(), own];
}

async function seenOverUDP(host: string, port: number): Promise<[seen: string, own: string]> {
  const from = await freePort(host);
  return [(await udpAsk(host, port, 'who am I', host, from)).toString(), `${host} ${from}`];
}

if (hosts.length > 0) {
  describe('the address of a client', () => {
    for (const net of ['none', 'builtin', 'slirp4netns', 'pasta']) {
      describe(`with --net=${net}`, () => {
        let stack: RunningStack;
        before(async () => {
          stack = await startStack({ args: [`--net=${net}`] });
        });
        after(() => stack?.[Symbol.asyncDispose]());

        for (const listen of ['127.0.0.1', '0.0.0.0', '::']) {
          it(`is seen by servers on ${listen}, over TCP and UDP`, async () => {
            const inside = await freePort('127.0.0.1');
            await using _tcp = await stack.program('tcp-server', 'client', listen, inside);
            await using _udp = await stack.program('udp-server', 'client', listen, inside);
            const tcp = await stack.publish(`0:${inside}/tcp`);
            const udp = await stack.publish(`0:${inside}/udp`);
            for (const host of hosts) {
              // A server of the other family alone has to do with the agent's.
              const kept = listen === '::' || !host.includes(':');
              for (let time = 0; time < 2; time++) {
                for (const [seen, own] of [await seenOverTCP(host, tcp.port), await seenOverUDP(host, udp.port)]) {
                  if (kept) assert.equal(seen, own);
                  else assert.match(seen, /^127\.0\.0\.1 /);
                }
              }
            }
            const loopback = (await tcpRequest('127.0.0.1', tcp.port)).toString();
            assert.match(loopback, /^127\.0\.0\.1 /);
          });
        }

        const machine = there;
        for (const listen of machine ? ['127.0.0.1', '0.0.0.0', '::'] : []) {
          it(`is seen by servers on ${listen}, of many clients on another machine at once`, async () => {
            const inside = await freePort('127.0.0.1');
            await using _tcp = await stack.program('tcp-server', 'client', listen, inside);
            await using _udp = await stack.program('udp-server', 'client', listen, inside);
            const tcp = await stack.publish(`0:${inside}/tcp`);
            const udp = await stack.publish(`0:${inside}/udp`);
            const families = ['v4', ...(listen === '::' ? ['v6' as const] : [])] as const;
            const addresses = families.flatMap((family) => far[family].map((from) => ({ from, host: near[family] })));

            // The same ports from each address, and several from one.
            const clients = addresses.flatMap((address) =>
              [4001, 4002, 4003].map((fromPort): Asking => ({ ...address, fromPort, port: udp.port })),
            );
            for (const { own, answers } of await askAll(machine ?? assert.fail(), clients, 3)) {
              assert.deepEqual(answers, [own, own, own]);
            }
            const talks = addresses.map(
              (address): Conversation => ({ ...address, port: tcp.port, steps: [['drain']] }),
            );
            for (const { own, data } of await converse(machine ?? assert.fail(), ...talks, ...talks)) {
              assert.equal(data, own);
            }
            for (const { id } of [tcp, udp]) {
              assert.equal((await stack.report(id)).source, 'client');
              // And with it what is left of these clients, who would keep their ports from others that ask this server.
              await stack.api.removePort(id);
            }
          });
        }

        if (machine) {
          it('is seen by servers on the very address that a port names', async () => {
            const named = ['127.0.0.2', ...(net === 'none' ? [] : ['10.0.2.100'])];
            for (const ip of named) {
              const inside = await freePort('127.0.0.1');
              await using _tcp = await stack.program('tcp-server', 'client', ip, inside);
              // It answers from the address that was asked.
              await using _udp = await stack.program('udp-server', 'client', '0.0.0.0', inside);
              const tcp = await stack.publish(`0:${ip}:${inside}/tcp`);
              const udp = await stack.publish(`0:${ip}:${inside}/udp`);
              const client = { host: near.v4, from: far.v4[1] };
              const [asked] = await askAll(machine, [{ ...client, port: udp.port }]);
              assert.deepEqual(asked?.answers, [asked?.own], ip);
              const [end] = await converse(machine, { ...client, port: tcp.port, steps: [['drain']] });
              assert.equal(end?.data, end?.own, ip);
            }
          });
        }

        it('does not keep a refusal from the client', async () => {
          const inside = await freePort('127.0.0.1');
          const { port } = await stack.publish(`0:${inside}/tcp`);
          for (const host of hosts) {
            const { error } = await tcpOutcome(host, port);
            assert.equal(error, 'ECONNRESET', host);
          }
        });
      });
    }

    const machine = there;
    if (machine) {
      it('does not mix up what one socket of a client asks through two ports, and through two addresses of the host', async () => {
        await using stack = await startStack();
        for (const listen of ['127.0.0.1', '0.0.0.0']) {
          const inside = await freePort('127.0.0.1');
          await using _server = await stack.program('udp-server', 'echo', listen, inside);
          const one = await stack.publish(`0:${inside}/udp`);
          const two = await stack.publish(`0:${inside}/udp`);
          const client = { from: far.v4[0], fromPort: 4004 };
          const clients = [
            { ...client, host: near.v4, port: one.port },
            { ...client, host: near.v4, port: two.port },
            { ...client, host: hostAddresses.v4 ?? '', port: one.port },
          ];
          // Each socket takes answers from the address that it asks, only.
          for (const { answers } of await askAll(machine, clients, 3)) assert.deepEqual(answers, ['0', '1', '2']);
        }
      });

      it('is seen, with another port, of a second connection from the same port of the client', async () => {
        await using stack = await startStack();
        await using server = await servePeers(stack, '127.0.0.1', 80, [['send', 'hello'], ['drain']]);
        const client = { host: near.v4, from: far.v4[0], fromPort: 4005 };
        const first = await stack.publish('0:80');
        const second = await stack.publish('0:80');
        const open = converse(machine, { ...client, port: first.port, steps: [['receive', 5], ['hang']] });
        await waitFor(async () => (await stack.counters(first.id)).open === 1, { what: 'the first connection' });
        await converse(machine, { ...client, port: second.port, steps: [['receive', 5]] });
        const [, port] = (await server.next()).peer.split(' ');
        assert.notEqual(port, '4005');
        assert.equal((await stack.report(second.id)).source, 'client');
        await stack.ctl('remove-ports', String(first.id));
        await open;
        assert.equal((await server.next()).peer, `${far.v4[0]} 4005`);
      });
    }

    it('is that of the agent if no rules can be made, and the user is warned', async () => {
      // No netlink, as with RestrictAddressFamilies= of systemd.
      const filter = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
seccomp, call = {'x86_64': (317, 41), 'aarch64': (277, 198)}[os.uname().machine]
code = [(0x20, 0, 0, 0), (0x15, 0, 3, call), (0x20, 0, 0, 16), (0x15, 0, 1, 16), (6, 0, 0, 0x50061), (6, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *line) for line in code))
assert libc.syscall(seccomp, 1, 0, struct.pack('@HxxxxxxQ', len(code), ctypes.addressof(program))) == 0
os.execvp(sys.argv[1], sys.argv[1:])`;
      await using stack = await startStack({
        // As root of a user namespace it may make the filter without giving up setuid programs.
        wrapper: ['unshare', '--user', '--map-root-user', 'python3', '-c', filter],
      });
      await using _tcp = await stack.program('tcp-server', 'client', '0.0.0.0', 80);
      await using _udp = await stack.program('udp-server', 'client', '0.0.0.0', 80);
      for (const host of hosts) {
        for (const published of ['', host.includes(':') ? `[${host}]:` : `${host}:`]) {
          const tcp = await stack.publish(`${published}0:80/tcp`);
          const udp = await stack.publish(`${published}0:80/udp`);
          assert.match((await seenOverTCP(host, tcp.port))[0], /^127\.0\.0\.1 /);
          assert.match((await seenOverUDP(host, udp.port))[0], /^127\.0\.0\.1 /);
          assert.equal((await stack.report(tcp.id)).source, 'agent');
          assert.equal((await stack.report(udp.id)).source, 'agent');
        }
      }
      assert.match((await stack.ctl('list-ports')).stdout, /SOURCE +\n.* agent +\n/);
      assert.match(
        stack.started.output(),
        /^(?:rootless-run: warning: cannot watch the addresses of the host; .+\n)?rootless-run: warning: servers do not see the addresses of clients: .+\nrootless-run: warning: cannot list the addresses inside: .+\n$/,
      );
    });

    it('is that of the agent with --source-ip-transparent=false', async () => {
      await using stack = await startStack({ args: ['--net=none', '--source-ip-transparent=false'] });
      await using _tcp = await stack.program('tcp-server', 'client', '0.0.0.0', 80);
      await using _udp = await stack.program('udp-server', 'client', '0.0.0.0', 80);
      for (const host of hosts) {
        const tcp = await stack.publish(`0:80/tcp`);
        const udp = await stack.publish(`0:80/udp`);
        assert.match((await seenOverTCP(host, tcp.port))[0], /^127\.0\.0\.1 /);
        assert.match((await seenOverUDP(host, udp.port))[0], /^127\.0\.0\.1 /);
        assert.equal((await stack.report(tcp.id)).source, 'agent');
        assert.equal((await stack.report(udp.id)).source, 'agent');
      }
    });

    it('is seen by a server whose own address is on a device without a carrier', async () => {
      await using stack = await startStack();
      const address = '198.51.100.9';
      await stack.enter('ip', 'link', 'add', 'down0', 'type', 'veth', 'peer', 'name', 'down1');
      await stack.enter('ip', 'addr', 'add', `${address}/24`, 'dev', 'down0');
      await stack.enter('ip', 'link', 'set', 'down0', 'up');
      await using _tcp = await stack.program('tcp-server', 'client', address, 80);
      await using _udp = await stack.program('udp-server', 'client', address, 80);
      const tcp = await stack.publish(`0:${address}:80/tcp`);
      const udp = await stack.publish(`0:${address}:80/udp`);
      const [host = ''] = hosts;
      for (const [seen, own] of [await seenOverTCP(host, tcp.port), await seenOverUDP(host, udp.port)]) {
        assert.equal(seen, own);
      }
    });

    it('is seen after the agent was replaced, and connections from before continue', async () => {
      await using stack = await startStack();
      await using _server = await stack.program('tcp-server', 'echo', '0.0.0.0', 80);
      await using _names = await stack.program('tcp-server', 'client', '0.0.0.0', 81);
      const echoing = await stack.publish('0:80/tcp');
      const names = await stack.publish('0:81/tcp');
      const [host = ''] = hosts;
      const open = await openConnection(host, echoing.port);
      open.write('before');
      await waitFor(() => open.readableLength === 6, { what: 'the echo' });
      const [agent] = stack.below('child/agent.js');
      process.kill(agent?.pid ?? assert.fail('the agent does not run'), 'SIGKILL');
      const [seen, own] = await seenOverTCP(host, names.port);
      assert.equal(seen, own);
      open.write(' and after');
      await waitFor(() => open.readableLength === 16, { what: 'the second echo' });
      open.destroy();
    });

    const { v6 } = hostAddresses;
    if (v6 !== undefined) {
      it('that the namespace has, too, does not keep UDP answers from the host itself, with pasta and IPv6', async () => {
        await using stack = await startStack({ args: ['--net=pasta', '--ipv6'] });
        assert.match((await stack.enter('ip', '-6', '-o', 'addr')).stdout, new RegExp(` ${v6}/`));
        for (const listen of ['::', '::1']) {
          const inside = await freePort('::1');
          await using _tcp = await stack.program('tcp-server', 'client', listen, inside);
          await using _udp = await stack.program('udp-server', 'client', listen, inside);
          const tcp = await stack.publish(`0:${inside}/tcp`);
          const udp = await stack.publish(`0:${inside}/udp`);
          const [seen, own] = await seenOverTCP(v6, tcp.port);
          assert.equal(seen, own);
          assert.match((await seenOverUDP(v6, udp.port))[0], /^(127\.0\.0\.1|::1) /);
        }
      });
    }

    if (machine) {
      it('is kept in flows of UDP that are open when the agent is replaced', async () => {
        await using stack = await startStack();
        await using _server = await stack.program('udp-server', 'client', '0.0.0.0', 80);
        const published = await stack.publish('0:80/udp');
        const client = { host: near.v4, port: published.port, fromPort: 4006 };
        const rules = async () => (await stack.enter('ip', 'rule')).stdout;
        const ask = async (from: string) => {
          const [asked] = await askAll(machine, [{ ...client, from }]);
          assert.deepEqual(asked?.answers, [asked?.own]);
        };
        const [first, second, third] = far.v4;
        for (const from of [first, second]) await ask(from ?? '');
        const [agent] = stack.below('child/agent.js');
        process.kill(agent?.pid ?? assert.fail('the agent does not run'), 'SIGKILL');
        await ask(first ?? '');
        // Another agent takes over what there is with its first flow.
        await ask(third ?? '');
        for (const from of [first, second]) await ask(from ?? '');
        assert.equal((await stack.counters(published.id)).opened, 3);
        await stack.api.removePort(published.id);
        await waitFor(async () => !/dport|goto|nop/.test(await rules()), { what: 'the rules to go' });
      });

      it('is kept for many clients at once, from different ports and from the same ones', async () => {
        await using stack = await startStack();
        await using _server = await stack.program('udp-server', 'client', '0.0.0.0', 80);
        const published = await stack.publish('0:80/udp');
        const clients = Array.from({ length: 300 }, (_, index): Asking => {
          const from = far.v4[index % far.v4.length] ?? '';
          return { host: near.v4, port: published.port, from, fromPort: 1025 + Math.floor(index / 2) * 613 };
        }).filter(({ fromPort = 0 }) => fromPort < 65_536);
        const distinct = [...new Map(clients.map((one) => [`${one.from} ${one.fromPort}`, one])).values()];
        for (const { own, answers } of await askAll(machine, distinct, 2)) assert.deepEqual(answers, [own, own]);
        await stack.api.removePort(published.id);
        const rules = async () => (await stack.enter('ip', 'rule')).stdout;
        await waitFor(async () => !/dport|goto|nop/.test(await rules()), { what: 'the rules to go' });
      });
    }

    it('leaves no rule of a flow when the flow has ended', async () => {
      await using stack = await startStack();
      await using _server = await stack.program('udp-server', 'client', '0.0.0.0', 80);
      const published = await stack.publish('0:80/udp');
      const [host = ''] = hosts;
      const [seen, own] = await seenOverUDP(host, published.port);
      assert.equal(seen, own);
      const all = async () => (await stack.enter('sh', '-c', 'ip rule; ip -6 rule; ip route show table all')).stdout;
      const port = own.split(' ')[1] ?? '';
      assert.match(await all(), new RegExp(` iif lo ipproto udp sport 80 dport ${port} `));
      assert.match((await stack.ctl('list-ports')).stdout, /SOURCE +\n.* client +\n/);
      await stack.ctl('remove-ports', String(published.id));
      await waitFor(async () => !/dport|goto|nop|local 10\./.test(await all()), { what: 'the rules to go' });
    });
  });
}
