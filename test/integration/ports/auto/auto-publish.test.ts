import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { PortReport } from '../../../../protocol/api/types.js';
import { MAX_AUTO_PORTS } from '../../../../protocol/ports/auto.js';
import { accepts, binPath, run, startStack, tcpRequest, udpRequest, waitFor } from '../../../support/index.js';
import type { RunningStack } from '../../../support/stacks/stack.js';
import { withStack } from '../../../support/stacks/with-stack.js';
import { startListeners } from '../../../support/traffic/listeners.js';

/** What is published automatically: `IP:PORT/PROTO` of the host, sorted. */
async function published(stack: RunningStack): Promise<string[]> {
  const ports = (await stack.api.listPorts()) as PortReport[];
  return ports
    .filter(({ auto }) => auto)
    .map(({ spec }) => `${spec.parentIP}:${spec.parentPort}/${spec.proto}`)
    .sort();
}

async function publishes(stack: RunningStack, ...wanted: string[]): Promise<void> {
  const what = `${wanted.join(', ') || 'nothing'} to be published`;
  await waitFor(async () => (await published(stack)).join() === wanted.sort().join(), { what });
}

/** The stack's own address, from any port that is published there. */
async function ownAddress(stack: RunningStack): Promise<string> {
  return waitFor(async () => (await published(stack))[0]?.split(':')[0], { what: 'a published port' });
}

describe('-p auto on one address', () => {
  const stack = withStack(() => startStack({ publish: ['127.0.0.7:auto'] }));
  const inside = withStack(() => startListeners(stack.inside));

  it('follows a listener that appears and goes fifty times', async () => {
    const ports = [7011, 7012, 7013, 7014, 7015];
    for (let round = 0; round < 10; round++) {
      for (const port of ports) await inside.order(`tcp 127.0.0.1 ${port}`);
      await publishes(stack, ...ports.map((port) => `127.0.0.7:${port}/tcp`));
      for (const port of ports) assert.equal((await tcpRequest('127.0.0.7', port)).toString(), `${port}`);
      await inside.order('calm');
      await publishes(stack);
    }
    // Faster than anybody looks.
    await inside.order('blink 7011 50');
    await inside.order('tcp 127.0.0.1 7011');
    await publishes(stack, '127.0.0.7:7011/tcp');
    const lines = stack.started
      .output()
      .split('\n')
      .filter((line) => line.includes('7011/tcp'));
    assert.equal(lines.length, 1, lines.join('\n'));
    await inside.order('calm');
    await publishes(stack);
  });

  it('keeps its bounds under a flood of listeners, and recovers', async () => {
    await inside.order('tcp 127.0.0.1 900');
    await publishes(stack, '127.0.0.7:8900/tcp');
    await inside.order('flood 7100 900');
    await waitFor(async () => (await published(stack)).length === MAX_AUTO_PORTS, { what: 'the most ports' });
    assert.ok((await published(stack)).includes('127.0.0.7:8900/tcp'));
    await inside.order('calm');
    await publishes(stack);
    await inside.order('tcp 127.0.0.1 7100');
    await publishes(stack, '127.0.0.7:7100/tcp');
    const lines = stack.started.output().trim().split('\n');
    assert.ok(lines.length < MAX_AUTO_PORTS + 10, `${lines.length} lines`);
    assert.match(stack.started.output(), /more than 64 ports are listened on; the others are not published/);
    await inside.order('calm');
    await publishes(stack);
  });

  it('reports a port that is in use once, and publishes it when it is free', async () => {
    const server = createServer().listen(7040, '127.0.0.7');
    await once(server, 'listening');
    await inside.order('tcp 127.0.0.1 7040');
    await inside.order('tcp 127.0.0.1 7041');
    await publishes(stack, '127.0.0.7:7041/tcp');
    server.close();
    await publishes(stack, '127.0.0.7:7040/tcp', '127.0.0.7:7041/tcp');
    const warnings = stack.started.output().match(/port 7040\/tcp is not published: .*address already in use/g);
    assert.equal(warnings?.length, 1, stack.started.output());
    await inside.order('calm');
    await publishes(stack);
  });

  it('gives way with a privileged port to the one whose number it has', async () => {
    const first = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
    const has = (...ports: number[]) => publishes(stack, ...ports.map((port) => `127.0.0.7:${port}/tcp`));
    await inside.order('tcp 127.0.0.1 80');
    await has(first > 80 ? 8080 : 80);
    await inside.order('tcp 127.0.0.1 8080');
    await has(8080, first > 80 ? 18080 : 80);
    await inside.order('calm');
    await publishes(stack);
  });

  it('leaves a port alone that was removed, until something listens anew', async () => {
    await inside.order('tcp 127.0.0.1 7050');
    await publishes(stack, '127.0.0.7:7050/tcp');
    const [port] = await stack.published();
    await stack.ctl('remove-ports', `${port?.id}`);
    await inside.order('tcp 127.0.0.1 7051');
    await publishes(stack, '127.0.0.7:7051/tcp');
    await inside.order('close 7050');
    await inside.order('close 7051');
    await publishes(stack);
    await inside.order('tcp 127.0.0.1 7050');
    await publishes(stack, '127.0.0.7:7050/tcp');
    await inside.order('calm');
    await publishes(stack);
  });

  it('continues when the agent is replaced', async () => {
    await inside.order('tcp 127.0.0.1 7070');
    await publishes(stack, '127.0.0.7:7070/tcp');
    const [agent] = stack.below('child/agent.js');
    await run('kill', ['-KILL', `${agent?.pid}`]);
    await inside.order('tcp 127.0.0.1 7071');
    await publishes(stack, '127.0.0.7:7070/tcp', '127.0.0.7:7071/tcp');
    await inside.order('close 7070');
    await publishes(stack, '127.0.0.7:7071/tcp');
    await inside.order('calm');
    await publishes(stack);
  });
});

describe('-p auto', () => {
  it('publishes what listens, TCP and UDP, on any address inside, and no longer', async () => {
    await using stack = await startStack({ publish: ['auto', '127.0.0.2:0:7004'] });
    await using inside = await startListeners(stack.inside);
    await inside.order('tcp 127.0.0.1 7001');
    const ip = await ownAddress(stack);
    assert.match(ip, /^127\./);
    await inside.order('tcp 0.0.0.0 7002');
    await inside.order('tcp 127.0.0.9 7003');
    // Published by number, ephemeral.
    await inside.order('tcp 0.0.0.0 7004');
    await inside.order('tcp 0.0.0.0 40000');
    await inside.order('udp 0.0.0.0 7001');
    const tcp = [7001, 7002, 7003].map((port) => `${ip}:${port}/tcp`);
    await publishes(stack, ...tcp, `${ip}:7001/udp`);
    for (const port of [7001, 7002, 7003]) assert.equal((await tcpRequest(ip, port)).toString(), `${port}`);
    const answer = await udpRequest(ip, 7001, 'x');
    assert.deepEqual([answer.data.toString(), answer.address], ['7001', ip]);
    await inside.order('close 7001');
    await publishes(stack, ...tcp.slice(1));
    assert.equal(await accepts(ip, 7001), false);
    const { stdout } = await stack.ctl('list-ports');
    assert.match(stdout, new RegExp(`PROGRAM +URL.*\\n[^]* python3? +http://${ip}:7002/`), stdout);
    await inside.order('calm');
    await publishes(stack);
    assert.match(stack.started.output(), new RegExp(`port 7002/tcp \\(python3?\\) is published at http://${ip}:7002/`));
  });

  it('publishes only a range, with ephemeral ports, and to one protocol', async () => {
    await using stack = await startStack({ publish: ['127.0.0.7:auto:7020-7029', '127.0.0.8:auto:40000-40009/udp'] });
    await using inside = await startListeners(stack.inside);
    for (const port of [7019, 7020, 7029, 7030, 40_001]) await inside.order(`tcp 127.0.0.1 ${port}`);
    await inside.order('udp 127.0.0.1 40001');
    await publishes(stack, '127.0.0.7:7020/tcp', '127.0.0.7:7029/tcp', '127.0.0.8:40001/udp');
  });

  it('has the same address at each start, and another one for each name', async () => {
    const addressOf = async (name: string) => {
      await using stack = await startStack({ args: ['--net=none', `--name=${name}`], publish: ['auto'] });
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', 7060);
      return await ownAddress(stack);
    };
    const names = [`auto-${process.pid}-a`, `auto-${process.pid}-b`];
    const [first, other, again] = await Promise.all([addressOf(names[0] ?? ''), addressOf(names[1] ?? '')]).then(
      async ([a, b]) => [a, b, await addressOf(names[0] ?? '')],
    );
    assert.equal(again, first);
    assert.notEqual(other, first);
  });

  it('is refused with port drivers that cannot', async () => {
    const rows: [args: string[], message: RegExp][] = [
      [
        ['--port-driver=bypass', '-p', 'auto'],
        /-p auto is not supported by the port driver "bypass"; hint: --port-driver=builtin/,
      ],
      [['--port-driver=none', '-p', 'auto'], /-p auto is not supported by the port driver "none"/],
      [['--net=host', '-p', 'auto'], /cannot be used with --net=host/],
      [
        ['-p', 'auto', '--auto-address=10.0.0.0/8'],
        /invalid --auto-address "10.0.0.0\/8": expected a network of loopback addresses/,
      ],
      [['-p', 'auto:0'], /invalid port "auto:0"/],
    ];
    for (const [args, message] of rows) {
      const { code, stderr } = await run(binPath('rootless-run'), [...args, '--', 'true']);
      assert.equal(code, 125);
      assert.match(stderr, message);
    }
  });
});
