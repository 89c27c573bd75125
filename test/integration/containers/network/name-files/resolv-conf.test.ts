import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NewContainer } from '../../../../../parent/client/container-client.js';
import { waitFor } from '../../../../support/index.js';
import {
  busyboxRootfs,
  detachedVariable,
  execIn,
  onNetworks,
  removeAll,
  startContainer,
} from '../../../../support/stacks/containers.js';
import { ownHost } from '../../../../support/stacks/own-host.js';
import { withContainerStack } from '../../../../support/stacks/with-stack.js';

describe('resolv.conf of containers', () => {
  /** A host with a resolver (dnsmasq) on its device and on loopback. */
  const { resolvConf: file, wrapper } = ownHost(`
setpriv --pdeathsig TERM dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
  --listen-address=198.51.100.2,127.0.0.1 --bind-interfaces --address=/example.test/203.0.113.80 \
  --address=/example.test/2001:db8::80 --pid-file= \
  --user=root --group=root &`);
  const stack = withContainerStack({ args: ['--net=slirp4netns'], wrapper, keep: true });
  const contentWith = (...options: string[]) =>
    stack.must('run', '--rm', ...options, '--rootfs', busyboxRootfs(), '--', 'cat', '/etc/resolv.conf');
  const lookUp = async (...options: string[]) =>
    stack.must('run', '--rm', ...options, '--rootfs', busyboxRootfs(), '--', 'nslookup', 'example.test');

  for (const [network, server] of [
    ['bridge', '10.4.0.1'],
    ['host', '10.0.2.3'],
  ] as const) {
    it(`resolves by a server of the network if the host's is on loopback (${network})`, async () => {
      const options = ['--net', network];
      writeFileSync(file, 'nameserver 127.0.0.1\n');
      assert.equal(await contentWith(...options), `nameserver ${server}`);
      assert.match(await lookUp(...options), /Address[^\n]*203\.0\.113\.80/s);
    });
  }

  it("resolves by the host's resolver, and by that of --dns alone", async () => {
    writeFileSync(file, 'nameserver 198.51.100.2\n');
    assert.match(await lookUp('--net', 'host'), /^Server:\s+198\.51\.100\.2\n.*203\.0\.113\.80/s);
    writeFileSync(file, 'nameserver 192.0.2.99\n');
    assert.match(
      await lookUp('--net', 'host', '--dns', '198.51.100.2'),
      /^Server:\s+198\.51\.100\.2\n.*203\.0\.113\.80/s,
    );
  });

  for (const [what, host, options, expected] of [
    [
      "the host's content",
      'nameserver 192.0.2.53\nsearch corp.test\noptions ndots:2\n',
      [],
      'search corp.test\nnameserver 192.0.2.53\noptions ndots:2',
    ],
    [
      "the host's content except IPv6, which has no route here",
      'nameserver 2001:db8::53\nnameserver 192.0.2.53\n',
      [],
      'nameserver 192.0.2.53',
    ],
    ['a host with IPv6 servers only', 'nameserver 2001:db8::53\nnameserver fe80::1%up0\n', [], 'nameserver 10.0.2.3'],
    [
      "the host's content except loopback",
      'nameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver ::1\n',
      [],
      'nameserver 192.0.2.53',
    ],
    ['an empty file of the host', '', [], 'nameserver 10.0.2.3'],
    [
      '--dns',
      'nameserver 192.0.2.53\nsearch corp.test\n',
      ['--dns', '192.0.2.1', '--dns', '2001:db8::1'],
      'search corp.test\nnameserver 192.0.2.1\nnameserver 2001:db8::1',
    ],
    ['--dns on loopback', 'nameserver 192.0.2.53\n', ['--dns', '127.0.0.1'], 'nameserver 127.0.0.1'],
    [
      '--dns-search',
      'nameserver 192.0.2.53\nsearch corp.test\n',
      ['--dns-search', 'a.test', '--dns-search', 'b.test'],
      'search a.test b.test\nnameserver 192.0.2.53',
    ],
    ['--dns-search=.', 'nameserver 192.0.2.53\nsearch corp.test\n', ['--dns-search', '.'], 'nameserver 192.0.2.53'],
    [
      '--dns-option',
      'nameserver 192.0.2.53\noptions ndots:2\n',
      ['--dns-option', 'timeout:1', '--dns-opt', 'rotate'],
      'nameserver 192.0.2.53\noptions timeout:1 rotate',
    ],
  ] as const) {
    it(`is made of ${what}, and on a network of its server`, async () => {
      writeFileSync(file, host);
      assert.equal(await contentWith('--net', 'host', ...options), expected);
      if (options.length > 0) return;
      const onNetwork = expected.replace(/nameserver .*(\nnameserver .*)*/, 'nameserver 10.4.0.1');
      assert.equal(await contentWith(...options), onNetwork);
    });
  }

  it('follows the host while it runs, and as the same file, unless it was edited', async () => {
    writeFileSync(file, 'nameserver 192.0.2.1\n');
    const network = { mode: 'host' } as const;
    const begin = (name: string, more: NewContainer = {}) => startContainer(stack, { name, network, ...more });
    const content = (name: string) => execIn(stack, name, 'cat', '/etc/resolv.conf');
    await Promise.all([begin('follows'), begin('edited'), begin('own', { dns: ['192.0.2.9'] })]);
    const inode = await execIn(stack, 'follows', 'stat', '-c', '%i', '/etc/resolv.conf');
    await execIn(stack, 'edited', 'sh', '-c', 'echo "nameserver 192.0.2.8" > /etc/resolv.conf');
    for (const text of ['nameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch corp.test\n', 'nameserver 192.0.2.4\n']) {
      writeFileSync(file, text);
      const expected = text.replace(/((?:nameserver.*\n)*)(search.*\n)?/, '$2$1');
      await waitFor(async () => (await content('follows')) === expected, { what: 'the new resolvers' });
    }
    assert.equal(await execIn(stack, 'follows', 'stat', '-c', '%i', '/etc/resolv.conf'), inode);
    assert.equal(await content('edited'), 'nameserver 192.0.2.8\n');
    assert.equal(await content('own'), 'nameserver 192.0.2.9\n');
    await stack.containers.restart('edited');
    assert.equal(await content('edited'), 'nameserver 192.0.2.8\n');
    await removeAll(stack);
  });

  it('follows the networks that its container is on', async () => {
    writeFileSync(file, 'nameserver 192.0.2.1\n');
    await stack.containers.createNetwork({ name: 'inner', internal: true });
    await startContainer(stack, { name: 'c', network: onNetworks('inner') });
    const content = () => execIn(stack, 'c', 'cat', '/etc/resolv.conf');
    const { subnets } = await stack.containers.inspectNetwork('inner');
    const inner = `nameserver ${subnets[0]?.gateway}\n`;
    assert.equal(await content(), inner);
    await stack.containers.connect('bridge', 'c');
    assert.equal(await content(), 'nameserver 10.4.0.1\n');
    await stack.containers.disconnect('bridge', 'c');
    assert.equal(await content(), inner);
    await removeAll(stack);
  });

  it('of the stack itself follows what the host searches, unless it was edited', async () => {
    const inside = async (command: string) => (await stack.enter(['sh', '-c', command])).stdout;
    writeFileSync(file, 'nameserver 192.0.2.1\nsearch one.test\n');
    // With a detached network namespace /etc is the host's.
    const path = process.env[detachedVariable] === 'yes' ? join(stack.stateDir, 'resolv.conf') : '/etc/resolv.conf';
    const show = `cat ${path}`;
    await waitFor(async () => (await inside(show)) === 'nameserver 10.0.2.3\nsearch one.test\n', { what: 'one.test' });
    writeFileSync(file, 'search two.test\n');
    await waitFor(async () => (await inside(show)) === 'nameserver 10.0.2.3\nsearch two.test\n', { what: 'two.test' });
    await inside(`echo "# mine" >> ${path}`);
    writeFileSync(file, 'nameserver 192.0.2.7\nsearch three.test\n');
    await startContainer(stack, { name: 'c', network: { mode: 'host' } });
    const content = () => execIn(stack, 'c', 'cat', '/etc/resolv.conf');
    // Both follow in one go, the stack's first.
    writeFileSync(file, 'nameserver 192.0.2.6\n');
    await waitFor(async () => (await content()) === 'nameserver 192.0.2.6\n', { what: "the container's" });
    assert.equal(await inside(show), 'nameserver 10.0.2.3\nsearch two.test\n# mine\n');
    await removeAll(stack);
  });

  it('follows the host at each start', async () => {
    writeFileSync(file, 'nameserver 192.0.2.1\n');
    const { directory } = await startContainer(stack, { name: 'c', network: { mode: 'host' } });
    const content = () => execIn(stack, 'c', 'cat', '/etc/resolv.conf');
    assert.equal(await content(), 'nameserver 192.0.2.1\n');
    appendFileSync(file, 'nameserver 192.0.2.2\n');
    await stack.containers.restart('c');
    assert.equal(await content(), 'nameserver 192.0.2.1\nnameserver 192.0.2.2\n');
    assert.equal(readFileSync(join(directory, 'resolv.conf'), 'utf8'), await content());
    await removeAll(stack);
  });
});
