import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { isIP } from 'node:net';
import type { EgressReport } from '../../../../protocol/api/egress.js';
import { processTree, start, waitFor } from '../../../support/index.js';
import { type OverlayHost, type OverlayHosts, startOverlayHosts } from '../../../support/overlay/container-hosts.js';
import { addressOf, IDLE, kill, WEB } from '../../../support/stacks/containers.js';

describe('a static overlay network', () => {
  let all: OverlayHosts;
  const at = (index: number): OverlayHost => all.hosts[index] ?? assert.fail('no such host');

  before(async () => {
    // The tunnel is all that the second one's policy lets pass.
    all = await startOverlayHosts({}, { args: ['--allow=@none'] });
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
      ...['10.50.0.0/16', 'fd50:50::/48'].flatMap((subnet) => ['--subnet', subnet]),
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

  it('carries packets as large as they may be, of both families, and large files unchanged', async () => {
    const { attachments } = await at(0).stack.containers.inspect('web');
    const ips = (attachments[0]?.ips ?? []).map((cidr) => cidr.replace(/\/.*/, ''));
    assert.deepEqual(ips.map(isIP), [4, 6]);
    for (const [ip, headers] of [
      [ips[0] ?? '', 20 + 8],
      [ips[1] ?? '', 40 + 8],
    ] as const) {
      // The MTU of host, tunnel, bridge and container: 1500 less 80.
      const ping = (size: number) =>
        exec(at(1), 'client', ...['/usr/bin/ping', '-n', '-c1', '-W5', '-Mdo', `-s${size}`, ip]);
      const { code, stdout, stderr } = await ping(1420 - headers);
      assert.equal(code, 0, stdout + stderr);
      assert.match(Object.values(await ping(1421 - headers)).join(), /message too long/i);
    }
    const page = await exec(at(1), 'client', 'curl', '-sS', '-m', '5', `http://[${ips[1]}]/`);
    assert.equal(page.code, 0, page.stderr);
    const make = 'cd /tmp/$HOSTNAME && head -c 3000000 /dev/urandom >file && sha256sum <file';
    const { stdout: sent } = await exec(at(0), 'web', 'sh', '-c', make);
    const received = await exec(at(1), 'client', 'sh', '-c', 'curl -sS http://web/file | sha256sum');
    assert.deepEqual([received.stdout, received.stderr], [sent, '']);
    assert.match(sent, /^[0-9a-f]{64} /);
  });

  it('needs no rule of an egress policy, and opens nothing else', async () => {
    const { ip } = at(0).host;
    const report = async () => (await at(1).stack.api.egress()) as Required<EgressReport>;
    const { rules, overlay } = await report();
    assert.deepEqual(
      [rules, overlay].map((list) => list.map(({ rule }) => rule)),
      [['allow @none'], [`allow udp:${ip}:51820`]],
    );
    assert.ok(overlay[0] && overlay[0].allowed > 0);
    const denied = async (...target: string[]) => {
      const before = (await report()).counters.denied;
      await at(1).stack.enter(['sh', '-c', `echo x | timeout 1 socat -u - ${target.join(',')}`]);
      await waitFor(async () => (await report()).counters.denied > before, { what: `${target[0]} to be denied` });
    };
    await denied(`tcp:${ip}:51820`, 'connect-timeout=1');
    await denied(`udp:${ip}:51821`);
    await denied('udp:192.0.2.254:51820');
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

  it('is there again when the agent was killed, with its egress policy', async () => {
    await at(0).must('egress', 'allow', '--network', 'back', '@public');
    for (const pid of at(0).stack.agents()) kill(pid);
    await at(0).stack.settled();
    const page = () => exec(at(1), 'client', 'curl', '-sS', '-m', '2', 'http://web/');
    await waitFor(async () => (await page()).code === 0, { what: 'the page again', timeout: 20_000 });
    assert.match(await at(0).must('egress', 'ls', '--network', 'back'), /^allow @public/m);
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
        processes: processTree(at(0).stack.started.pid).length,
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
