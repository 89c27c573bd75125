import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, isAlive, processTree, tempDir } from '../../../support/index.js';
import {
  busyboxRootfs,
  execIn,
  IDLE,
  onlyLeft,
  startContainer,
  startContainerStack,
  type Traces,
  traces,
  WEB,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('containers, many at once', () => {
  const stack = withContainerStack({ keep: true });
  let clean: Traces;
  before(async () => {
    // The default network is there from now on.
    await startContainer(stack, { name: 'first' });
    await stack.containers.remove('first', { force: true });
    clean = await traces(stack);
  });
  afterEach(async () => {
    await onlyLeft(stack, clean, 'after the test');
    assert.deepEqual(await stack.containers.gc(), []);
  });

  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

  it('64 on one network come up with addresses of their own, know each other, and leave nothing', async () => {
    const { containers } = stack;
    const reports = await Promise.all(numbers(64).map((index) => startContainer(stack, { name: `n${index}` })));
    const addresses = reports.flatMap(({ attachments }) => attachments.flatMap(({ ips }) => ips));
    assert.equal(new Set(addresses).size, 64);
    assert.ok(addresses.every((address) => /^10\.4\.0\.\d+\/24$/.test(address)));
    assert.ok(reports.every(({ pid = 0, status }) => status === 'running' && isAlive(pid)));
    for (const { directory } of reports) {
      const hosts = readFileSync(join(directory, 'hosts'), 'utf8');
      assert.deepEqual(
        numbers(64).filter((index) => !new RegExp(`\\bn${index}\\b`).test(hosts)),
        [],
      );
    }
    const last = reports.at(-1)?.attachments[0]?.ips[0]?.replace('/24', '') ?? '';
    assert.match(await execIn(stack, 'n0', 'ping', '-c', '1', '-w', '5', last), / 0% packet loss/);
    await Promise.all(reports.map(({ id }) => containers.remove(id, { force: true })));
  });

  it('on two networks, and with published ports, get what they ask for', async () => {
    const { containers } = stack;
    await Promise.all(['one', 'two'].map((name) => containers.createNetwork({ name })));
    const subnets = (await Promise.all(['one', 'two'].map((name) => containers.inspectNetwork(name)))).map((network) =>
      network.subnets[0]?.subnet.replace(/0\/24$/, ''),
    );
    assert.notEqual(subnets[0], subnets[1]);
    const ports: number[] = [];
    for (let i = 0; i < 8; i++) ports.push(await freePort('127.0.0.2'));
    const reports = await Promise.all(
      ports.map((hostPort, index) =>
        startContainer(stack, {
          name: `w${index}`,
          command: WEB,
          network: { mode: 'networks', networks: [{ network: index % 2 === 0 ? 'one' : 'two' }] },
          publish: [{ hostIP: '127.0.0.2', hostPort, containerPort: 80, protocol: 'tcp' }],
        }),
      ),
    );
    for (const [index, { attachments }] of reports.entries()) {
      assert.ok(attachments[0]?.ips[0]?.startsWith(subnets[index % 2] ?? ''));
    }
    const { listeners } = await traces(stack);
    assert.deepEqual(listeners, ports.map((port) => `127.0.0.2:${port}`).sort());
    await Promise.all(reports.map(({ id }) => containers.remove(id, { force: true })));
    await Promise.all(['one', 'two'].map((name) => containers.removeNetwork(name)));
  });

  it('that want the same address or port: one gets it, the others leave nothing', async () => {
    const { containers } = stack;
    const hostPort = await freePort('127.0.0.2');
    for (const request of [
      { network: { mode: 'networks' as const, networks: [{ network: 'bridge', ip: '10.4.0.99' }] } },
      { publish: [{ hostIP: '127.0.0.2', hostPort, containerPort: 80, protocol: 'tcp' as const }] },
    ]) {
      const ids = await Promise.all(
        numbers(4).map(
          async () => (await containers.create({ rootfs: busyboxRootfs(), command: IDLE, ...request })).id,
        ),
      );
      const results = await Promise.allSettled(ids.map((id) => containers.start(id)));
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.httpStatus, 409);
      const states = (await containers.list()).map(({ status }) => status).sort();
      assert.deepEqual(states, ['created', 'created', 'created', 'running']);
      await Promise.all(ids.map((id) => containers.remove(id, { force: true })));
    }
  });

  it('tasks on one container never wait for each other for ever', async () => {
    const { containers } = stack;
    const { id } = await containers.create({ name: 'busy', rootfs: busyboxRootfs(), command: IDLE });
    await containers.createNetwork({ name: 'more' });
    const tasks = [
      () => containers.start(id),
      () => containers.stop(id),
      () => containers.restart(id),
      () => containers.kill(id),
      () => containers.rename(id, 'other'),
      () => containers.rename(id, 'busy'),
      () => containers.connect('more', id),
      () => containers.disconnect('more', id),
      () => containers.inspect(id),
      () => containers.gc({ repair: true }),
      () => containers.list(),
    ];
    // Each with each, in an order that is not always the same.
    const results = await Promise.allSettled(
      numbers(5).flatMap((round) => tasks.map((_, index) => tasks[(index * (round + 2)) % tasks.length]?.())),
    );
    for (const result of results) {
      if (result.status === 'rejected') assert.equal(result.reason.httpStatus, 409, result.reason.message);
    }
    await Promise.allSettled([containers.start(id), containers.remove(id, { force: true }), containers.stop(id)]);
    await assert.rejects(containers.inspect(id), { httpStatus: 404 });
    await containers.removeNetwork('more');
  });
});

describe('the end of a container', () => {
  it('comes before that of its network', async () => {
    await using stack = await startContainerStack();
    const { attachments } = await startContainer(stack, { name: 'peer' });
    const peer = attachments[0]?.ips[0]?.replace(/\/.*/, '');
    const script = `trap 'ping -c 1 -w 5 ${peer} && ping -c 1 -w 5 peer && exit 7' TERM; while :; do sleep 1000 & wait $!; done`;
    await startContainer(stack, { name: 'c', command: ['sh', '-c', script] });
    await stack.containers.stop('c');
    assert.equal((await stack.containers.inspect('c')).exitCode, 7);
  });
});

describe('the end of a stack', () => {
  it('ends all containers at once, and leaves nothing that runs', async () => {
    const home = tempDir();
    const meeting = tempDir();
    const stack = await startContainerStack({ home });
    // Each waits for the others: where they were ended one after the other, the first would be killed.
    const script = `trap 'touch /m/$HOSTNAME; while [ $(ls /m | wc -l) -lt 6 ]; do sleep 0.05; done; exit 0' TERM; while :; do sleep 1000 & wait $!; done`;
    const port = await freePort('127.0.0.2');
    await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        startContainer(stack, {
          name: `c${index}`,
          command: ['sh', '-c', script],
          mounts: [`${meeting}:/m`],
          ...(index === 0 && {
            publish: [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' }],
          }),
        }),
      ),
    );
    const { processes } = await traces(stack);
    assert.equal(processes.filter((comm) => comm === 'container-mon').length, 6);
    const tree = processTree(stack.started.pid);
    assert.equal((await stack.started.stop()).code, 0);
    assert.deepEqual(
      tree.filter(({ pid }) => isAlive(pid)),
      [],
    );
    await using next = await startContainerStack({ home });
    const reports = await next.containers.list();
    assert.deepEqual(
      reports.map(({ status, exitCode }) => [status, exitCode]),
      Array(6).fill(['exited', 0]),
    );
    assert.deepEqual((await traces(next)).listeners, []);
  });
});
