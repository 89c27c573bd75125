import assert from 'node:assert/strict';
import { waitFor } from '../../../support/index.js';
import { type OverlayHost, type OverlayHosts, startOverlayHosts } from '../../../support/overlay/container-hosts.js';
import { busyboxRootfs, HOST_PROGRAMS, IDLE, WEB } from '../../../support/stacks/containers.js';

describe('a static overlay network', () => {
  let all: OverlayHosts;
  const at = (index: number): OverlayHost => all.hosts[index] ?? assert.fail('no such host');

  before(async () => {
    all = await startOverlayHosts(2);
  });
  after(async () => {
    await all?.[Symbol.asyncDispose]();
  });

  const run = (host: OverlayHost, name: string, command: readonly string[], ...options: string[]) =>
    host.must(
      ...['run', '-d', '--net', 'back', '--name', name, ...options],
      ...HOST_PROGRAMS.flatMap((mount) => ['-v', mount]),
      ...['--rootfs', busyboxRootfs(), '--', ...command],
    );
  const exec = (host: OverlayHost, name: string, ...command: string[]) => host.net('exec', name, ...command);
  const addressOf = async (host: OverlayHost, name: string) =>
    (await host.stack.containers.inspect(name)).attachments[0]?.ips[0]?.replace(/\/.*/, '') ?? '';

  it('is made by one host, joined by the other, and known to both after the second token', async () => {
    const token = await at(0).must(
      'overlay',
      'create',
      'back',
      '--static',
      '--address',
      at(0).host.ip,
      '--host-name',
      'one',
    );
    assert.match(token, /^rno1\./);
    const second = await at(1).must('overlay', 'join', token, '--address', at(1).host.ip, '--host-name', 'two');
    await at(0).must('overlay', 'join', second);
    const [first, other] = [await at(0).status('back'), await at(1).status('back')];
    assert.deepEqual(first.members.map(({ name }) => name).sort(), ['one', 'two']);
    assert.deepEqual(
      new Set(first.members.flatMap(({ subnets }) => subnets)),
      new Set(other.members.flatMap(({ subnets }) => subnets)),
    );
    assert.match(await at(0).must('network', 'ls'), /back +overlay/);
  });

  it('lets containers reach each other, by address and by name, with the addresses that they have', async () => {
    await run(at(0), 'web', WEB, '--network-alias', 'www');
    await run(at(1), 'client', IDLE);
    const [web, client] = [await addressOf(at(0), 'web'), await addressOf(at(1), 'client')];
    await waitFor(async () => (await exec(at(1), 'client', 'ping', '-c', '1', '-W', '1', web)).code === 0, {
      what: 'the way to the other host',
    });
    const back = await exec(at(0), 'web', 'ping', '-c', '1', '-W', '2', client);
    assert.deepEqual([back.code, back.stderr, client], [0, '', client]);
    for (const name of [web, 'web', 'www', 'web.back']) {
      const page = async () => exec(at(1), 'client', 'curl', '-sS', '-m', '5', `http://${name}/`);
      await waitFor(async () => (await page()).code === 0, { what: `the page of ${name}` });
      assert.equal((await page()).stdout, `${(await at(0).stack.containers.inspect('web')).hostname}\n`);
    }
    const { members } = await at(1).status('back');
    const peer = members.find(({ self }) => !self);
    assert.ok(peer?.handshakeAge !== undefined && peer.bytesSent && peer.latency !== undefined, JSON.stringify(peer));
  });
});
