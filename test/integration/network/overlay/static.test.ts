import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { start, waitFor } from '../../../support/index.js';
import { type OverlayHost, type OverlayHosts, startOverlayHosts } from '../../../support/overlay/container-hosts.js';
import { addressOf, IDLE, kill, WEB } from '../../../support/stacks/containers.js';

describe('a static overlay network', () => {
  let all: OverlayHosts;
  const at = (index: number): OverlayHost => all.hosts[index] ?? assert.fail('no such host');

  before(async () => {
    all = await startOverlayHosts(2);
  });
  after(async () => {
    await all?.[Symbol.asyncDispose]();
  });

  const exec = (host: OverlayHost, name: string, ...command: string[]) => host.net('exec', name, ...command);
  const ipOf = async (host: OverlayHost, name: string) => addressOf(await host.stack.containers.inspect(name));

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
    await at(0).start('back', 'web', WEB, '--network-alias', 'www');
    await at(1).start('back', 'client', IDLE);
    const [web, client] = [await ipOf(at(0), 'web'), await ipOf(at(1), 'client')];
    await waitFor(async () => (await exec(at(1), 'client', 'ping', '-c', '1', '-W', '1', web)).code === 0, {
      what: 'the way to the other host',
    });
    const back = await exec(at(0), 'web', 'ping', '-c', '1', '-W', '2', client);
    assert.deepEqual([back.code, back.stderr, client], [0, '', client]);
    const urls = [web, 'web', 'www', 'web.back'].map((name) => `http://${name}/`);
    const { hostname } = await at(0).stack.containers.inspect('web');
    const pages = async () => (await exec(at(1), 'client', 'curl', '-sS', '-m', '5', ...urls)).stdout;
    await waitFor(async () => (await pages()) === `${hostname}\n`.repeat(4), { what: 'the pages', timeout: 20_000 });
    // The DNS server of the network has them as well.
    const answer = await at(1).net('dns', 'query', '--network', 'back', 'www');
    assert.match(answer.stdout, new RegExp(`${web}[\\s\\S]*www on the host one`), answer.stderr);
    const { members } = await at(1).status('back');
    const peer = members.find(({ self }) => !self);
    assert.ok(peer?.handshakeAge !== undefined && peer.bytesSent && peer.latency !== undefined, JSON.stringify(peer));
  });

  it('reaches nothing else of the other host', async () => {
    const gateway = (await ipOf(at(0), 'web')).replace(/\d+$/, '1');
    await using _server = await start(
      'nsenter',
      [...at(0).stack.into(), 'socat', 'TCP-LISTEN:7000,fork', '/dev/null'],
      {
        ready: {
          check: async () => (await at(0).stack.enter(['socat', '/dev/null', 'TCP:127.0.0.1:7000'])).code === 0,
        },
      },
    );
    const connects = (host: OverlayHost, from: string) =>
      exec(host, from, 'curl', '-s', '-m', '1', `telnet://${gateway}:7000`);
    // 28: nothing answers.
    assert.equal((await connects(at(1), 'client')).code, 28);
    assert.notEqual((await connects(at(0), 'web')).code, 28);
  });

  it('is there again when the agent was killed', async () => {
    for (const pid of at(0).stack.agents()) kill(pid);
    await at(0).stack.settled();
    const page = () => exec(at(1), 'client', 'curl', '-sS', '-m', '2', 'http://web/');
    await waitFor(async () => (await page()).code === 0, { what: 'the page again', timeout: 20_000 });
  });

  it('leaves nothing behind, however often it is left and made', async () => {
    for (const [index, name] of ['web', 'client'].entries()) {
      await at(index).must('rm', '-f', name);
      await at(index).must('overlay', 'leave', 'back');
    }
    const traces = async () => {
      const [agent = 0] = at(0).stack.agents();
      const inside = async (...words: string[]) =>
        (await at(0).stack.enter(words)).stdout.replaceAll(/^\d+: |@if\d+/gm, '');
      return {
        links: await inside('ip', '-o', 'link', 'show', 'type', 'tun'),
        routes: await inside('ip', 'route'),
        sets: await inside('nft', 'list', 'sets'),
        files: at(0).stack.files(),
        descriptors: readdirSync(`/proc/${agent}/fd`).length,
      };
    };
    const round = async () => {
      await at(0).must('overlay', 'create', 'again', '--static', '--address', at(0).host.ip);
      await at(0).must('overlay', 'leave', 'again');
    };
    await round();
    const before = await traces();
    for (let times = 0; times < 2; times++) await round();
    assert.deepEqual(await traces(), before);
  });
});
