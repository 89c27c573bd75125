/** What servers see of clients with the network driver builtin, and that the child needs no rules and routes for them. */
import assert from 'node:assert/strict';
import { far, near } from '../../setup/machine/far-machine.js';
import { freePort, type RunningStack, startStack } from '../../support/index.js';
import { askAll, converse, there } from '../../support/traffic/peers.js';

type Family = 'v4' | 'v6';

const machine = there;

if (machine) {
  describe('the address of a client, through the gateway namespace', () => {
    let stack: RunningStack;
    before(async () => {
      stack = await startStack({ args: ['--net=builtin', '--ipv6'] });
    });
    after(() => stack?.[Symbol.asyncDispose]());

    /** Without the rule and the table that TCP has for all clients (child/source-address/). */
    const routing = async () => {
      const script = 'for f in -4 -6; do ip $f rule; ip $f route show table all; done';
      const { stdout } = await stack.enter('sh', '-c', script);
      return stdout.replace(/^(?:.* fwmark 0x72000001 |local default dev lo table 1912602624 ).*\n/gm, '');
    };

    /** Servers on one port of the child, and their published ports. */
    async function serve(listen: string) {
      const inside = await freePort('127.0.0.1');
      const servers = [
        await stack.program('tcp-server', 'client', listen, inside),
        await stack.program('udp-server', 'client', listen, inside),
      ];
      const ports = [await stack.publish(`0:${inside}/tcp`), await stack.publish(`0:${inside}/udp`)] as const;
      return {
        inside,
        ports,
        [Symbol.asyncDispose]: async () => {
          for (const server of servers) await server.stop();
          for (const { id } of ports) await stack.api.removePort(id);
        },
      };
    }
    type Served = Awaited<ReturnType<typeof serve>>;

    async function seen({ ports: [tcp, udp] }: Served, family: Family, client: number) {
      const ends = { host: near[family], from: far[family][client] ?? assert.fail() };
      const [asked] = await askAll(machine ?? assert.fail(), [{ ...ends, port: udp.port }]);
      assert.deepEqual(asked?.answers, [asked?.own], `UDP from ${ends.from}`);
      const [end] = await converse(machine ?? assert.fail(), { ...ends, port: tcp.port, steps: [['drain']] });
      assert.equal(end?.data, end?.own, `TCP from ${ends.from}`);
    }

    it('is seen by servers on all addresses, without a rule or route in the child', async () => {
      const before = await routing();
      await using v4 = await serve('0.0.0.0');
      await using both = await serve('::');
      for (const client of [0, 1]) {
        await seen(v4, 'v4', client);
        await seen(both, 'v4', client);
        await seen(both, 'v6', client);
      }
      assert.equal(await routing(), before);
      for (const { id } of [...v4.ports, ...both.ports]) assert.equal((await stack.report(id)).source, 'client');
    });

    it('is seen while no agent runs, also by servers on the address of the device', async () => {
      const before = await routing();
      await using every = await serve('0.0.0.0');
      const inside = await freePort('127.0.0.1');
      await using _server = await stack.program('tcp-server', 'client', '10.0.2.100', inside);
      const { port } = await stack.publish(`0:10.0.2.100:${inside}`);
      const agent = stack.below('child/agent.js')[0]?.pid ?? assert.fail('no agent');
      process.kill(agent, 'SIGSTOP');
      try {
        await seen(every, 'v4', 2);
        const [end] = await converse(machine, { host: near.v4, from: far.v4[2], port, steps: [['drain']] });
        assert.equal(end?.data, end?.own);
      } finally {
        process.kill(agent, 'SIGCONT');
      }
      assert.equal(await routing(), before);
    });

    it('is that of the agent’s socket where servers are on loopback alone, and changes with the servers', async () => {
      const inside = await freePort('127.0.0.1');
      const { port } = await stack.publish(`0:${inside}/tcp`);
      for (const listen of ['0.0.0.0', '127.0.0.1', '10.0.2.100', '0.0.0.0']) {
        await using _server = await stack.program('tcp-server', 'client', listen, inside);
        const [end] = await converse(machine, { host: near.v4, from: far.v4[0], port, steps: [['drain']] });
        // By the dial rule a server that is bound to another address on purpose is not reached.
        if (listen === '10.0.2.100') assert.equal(end?.data, '');
        else assert.equal(end?.data, end?.own, listen);
      }
    });

    it('is kept where a packet filter inside refuses what comes through the device', async () => {
      await using served = await serve('0.0.0.0');
      const { inside } = served;
      const filter = `table inet refusing { chain input { type filter hook input priority 0;
        iifname eth0 tcp dport ${inside} reject with tcp reset; iifname eth0 udp dport ${inside} reject; }; }`;
      assert.equal((await stack.enter('nft', filter)).code, 0);
      await seen(served, 'v4', 0);
      assert.equal((await stack.enter('nft', 'delete table inet refusing')).code, 0);
    });

    it('is kept of clients in a network that is inside, too', async () => {
      await using served = await serve('0.0.0.0');
      await stack.enter('ip', 'link', 'add', 'near0', 'type', 'veth', 'peer', 'name', 'near1');
      await stack.enter('ip', 'addr', 'add', '10.125.0.77/24', 'dev', 'near0');
      for (const device of ['near0', 'near1']) await stack.enter('ip', 'link', 'set', device, 'up');
      await seen(served, 'v4', 1);
      await stack.enter('ip', 'link', 'del', 'near0');
    });
  });
}
