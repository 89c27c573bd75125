import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { NewContainer } from '../../../../../parent/client/container-client.js';
import type { AttachmentRequest } from '../../../../../protocol/containers/types.js';
import { freePort, hostAddresses, listensNow, tempDir, waitFor } from '../../../../support/index.js';
import {
  addressOf,
  busyboxRootfs,
  execIn,
  IDLE,
  kill,
  onNetworks,
  reaches,
  removeAll,
  startContainer,
  startContainerStack,
  tryIn,
  WEB,
} from '../../../../support/stacks/containers.js';
import { withContainerStack } from '../../../../support/stacks/with-stack.js';

const BEGIN =
  '# <rootless-net>\n127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost ip6-localhost ip6-loopback\n';
const END = '# </rootless-net>\n';
const NOTHING = BEGIN + END;

describe('hosts files of containers', () => {
  const stack = withContainerStack();

  /** A container of that name and host name. Unknown names are refused at once, by a resolver that is not there. */
  const startOn = (name: string, networks: (string | AttachmentRequest)[], more: NewContainer = {}) =>
    startContainer(stack, {
      name,
      hostname: `h${name}`,
      network: onNetworks(...networks),
      dns: ['127.0.0.1'],
      ...more,
    });
  const hostsOf = (name: string) => execIn(stack, name, 'cat', '/etc/hosts');
  const inodeOf = async (name: string) => (await execIn(stack, name, 'stat', '-c', '%i', '/etc/hosts')).trim();
  const rootfs = () => ['--rootfs', busyboxRootfs(), '--'];
  const makeNetworks = async () => {
    await stack.containers.createNetwork({ name: 'n1', subnets: ['10.71.0.0/24', 'fd00:71::/64'] });
    await stack.containers.createNetwork({ name: 'n2', subnets: ['10.72.0.0/24'] });
  };

  it('name the container and its peers before its command begins, and it to its peers', async () => {
    await makeNetworks();
    await startOn('peer', ['n1', 'n2']);
    await startOn('stranger', ['bridge']);
    const run = ['run', '--rm', '--name', 'c', '-h', 'box', '--net', 'n1', '--network-alias', 'db'];
    const own = '10.71.0.3\tbox box.n1 c c.n1 db db.n1\n';
    const own6 = 'fd00:71::3\tbox box.n1 c c.n1 db db.n1\n';
    assert.equal(
      await stack.must(...run, ...rootfs(), 'cat', '/etc/hosts'),
      (
        BEGIN +
        own +
        own6 +
        '10.71.0.2\tpeer peer.n1 hpeer hpeer.n1\n' +
        'fd00:71::2\tpeer peer.n1 hpeer hpeer.n1\n' +
        END
      ).trim(),
    );
    const id = await stack.must('run', '-d', ...run.slice(2), '--domainname', 'example.test', ...rootfs(), ...IDLE);
    const names = 'box.example.test c c.n1 box box.n1 db db.n1';
    assert.equal(
      await hostsOf('peer'),
      BEGIN +
        '10.71.0.2\thpeer hpeer.n1 peer peer.n1\n' +
        '10.72.0.2\thpeer hpeer.n2 peer peer.n2\n' +
        'fd00:71::2\thpeer hpeer.n1 peer peer.n1\n' +
        `10.71.0.4\t${names}\n` +
        `fd00:71::4\t${names}\n` +
        END,
    );
    assert.doesNotMatch(await hostsOf('stranger'), /box|peer/);
    await stack.must('rm', '-f', id);
  });

  it('lose a container when it has stopped, by any means', async () => {
    await makeNetworks();
    const stays = await startOn('stays', ['n1']);
    const alone = await hostsOf('stays');
    for (const end of [
      () => stack.containers.stop('goes'),
      async () => kill((await stack.containers.inspect('goes')).pid),
      () => stack.containers.disconnect('n1', 'goes'),
    ]) {
      const { directory } = await startOn('goes', ['n1', 'n2']);
      assert.match(await hostsOf('stays'), /\tgoes goes\.n1 hgoes hgoes\.n1$/m);
      await end();
      await waitFor(async () => (await hostsOf('stays')) === alone, { what: 'the lines to be gone' });
      if ((await stack.containers.inspect('goes')).status === 'exited') {
        assert.equal(readFileSync(join(directory, 'hosts'), 'utf8'), NOTHING);
      }
      await stack.containers.remove('goes', { force: true });
    }
    await startOn('goes', ['n1']);
    await stack.containers.remove('goes', { force: true });
    assert.equal(await hostsOf('stays'), alone);
    await stack.containers.stop('stays');
    assert.equal(readFileSync(join(stays.directory, 'hosts'), 'utf8'), NOTHING);
  });

  it("keep the user's own lines, and are the same file all the time", async () => {
    await makeNetworks();
    const { directory } = await startOn('c', ['n1']);
    const inode = await inodeOf('c');
    await execIn(stack, 'c', 'sh', '-c', 'echo "192.0.2.7 behind" >> /etc/hosts');
    const file = join(directory, 'hosts');
    writeFileSync(file, `192.0.2.6 before\n${readFileSync(file, 'utf8')}`);
    const before = await hostsOf('c');
    assert.match(before, /^192\.0\.2\.6 before\n# <rootless-net>\n(.*\n)*# <\/rootless-net>\n192\.0\.2\.7 behind\n$/);
    await startOn('peer', ['n1']);
    const during = await hostsOf('c');
    assert.match(during, /^192\.0\.2\.6 before\n(.*\n)*10\.71\.0\.3\tpeer (.*\n)*192\.0\.2\.7 behind\n$/);
    await stack.containers.rename('peer', 'other');
    await stack.containers.remove('other', { force: true });
    assert.equal(await hostsOf('c'), before);
    assert.equal(await inodeOf('c'), inode);
    await stack.containers.restart('c');
    assert.equal(await hostsOf('c'), before);
    assert.equal(await inodeOf('c'), inode);
  });

  it('have their lines in one order, whichever starts first', async () => {
    await makeNetworks();
    const texts: string[] = [];
    for (const order of [
      [30, 10, 20],
      [20, 30, 10],
    ]) {
      await startOn('c', [{ network: 'n1', ip: '10.71.0.15', ip6: 'fd00:71::15' }]);
      for (const number of order) {
        await startOn(`p${number}`, [{ network: 'n1', ip: `10.71.0.${number}`, ip6: `fd00:71::${number}` }]);
      }
      texts.push(await hostsOf('c'));
      // A container's own lines begin with its host name, those of its peers with their names.
      const sorted = (text: string) =>
        text
          .split('\n')
          .map((line) => line.split(/\s/).sort().join(' '))
          .sort();
      assert.deepEqual(sorted(await hostsOf('p10')), sorted(texts.at(-1) ?? ''));
      for (const number of [10, 20, 30]) await stack.containers.remove(`p${number}`, { force: true });
      await stack.containers.remove('c', { force: true });
    }
    assert.equal(texts[0], texts[1]);
    assert.deepEqual(
      texts[0]?.split('\n').flatMap((line) => /^(\S+)\tp\d/.exec(line)?.[1] ?? []),
      ['10.71.0.10', '10.71.0.20', '10.71.0.30', 'fd00:71::10', 'fd00:71::20', 'fd00:71::30'],
    );
  });

  it('lead a container by its own names to itself, although others have them', async () => {
    await makeNetworks();
    for (const name of ['first', 'second', 'third']) await startOn(name, ['n1'], { hostname: 'same' });
    for (const [index, name] of ['first', 'second', 'third'].entries()) {
      const ping = await execIn(stack, name, 'ping', '-c', '1', '-4', 'same');
      assert.match(ping, new RegExp(`^PING same \\(10\\.71\\.0\\.${index + 2}\\)`), name);
    }
  });

  it('have extra hosts, several addresses of one as well', async () => {
    const hosts = ['a:192.0.2.2', 'a:192.0.2.1', 'b:2001:db8::1', 'b:[2001:db8::2]', 'gw:host-gateway'];
    const options = hosts.flatMap((text) => ['--add-host', text]);
    const text = await stack.must('run', '--rm', ...options, ...rootfs(), 'cat', '/etc/hosts');
    const lines = ['192.0.2.2\ta', '192.0.2.1\ta', '2001:db8::1\tb', '2001:db8::2\tb', `${hostAddresses.v4}\tgw`];
    assert(text.startsWith(`${BEGIN}${lines.join('\n')}\n10.4.0.`), text);
    for (const wrong of ['a', 'a:', 'a:b', ':192.0.2.1', 'a b:192.0.2.1']) {
      const { code, stderr } = await stack.net('run', '-d', '--add-host', wrong, ...rootfs(), ...IDLE);
      assert.equal(code, 125);
      assert.match(stderr, /^error: [^\n]*\n$/);
    }
    assert.deepEqual(await stack.containers.list(), []);
  });

  it('make names and aliases known to those that share a network, and to no others', async () => {
    await makeNetworks();
    const server = { network: 'n1', aliases: ['www'] };
    const { pid = 0 } = await startOn('server', [server, 'bridge'], { command: WEB });
    await Promise.all([startOn('near', ['n1', 'n2']), startOn('far', ['n2']), startOn('default', [])]);
    await waitFor(() => listensNow(pid, 80), { what: 'the web server' });
    const get = (from: string, name: string) => tryIn(stack, from, 'wget', '-q', '-O', '-', `http://${name}/`);
    for (const name of ['server', 'server.n1', 'hserver', 'hserver.n1', 'www', 'www.n1']) {
      assert.deepEqual(await get('near', name), { code: 0, output: 'hserver\n' }, name);
      const { code, output } = await get('far', name);
      assert.deepEqual([code, output], [1, `wget: bad address '${name}'\n`]);
    }
    // On the default network by its own names; aliases are for the network for which they were asked.
    assert.deepEqual(await get('default', 'server'), { code: 0, output: 'hserver\n' });
    assert.equal((await get('default', 'www')).code, 1);
    assert.deepEqual(await Promise.all([reaches(stack, 'near', 'far'), reaches(stack, 'far', 'near')]), [true, true]);
    assert.equal(await reaches(stack, 'near', 'default'), false);
  });

  it('follow a rename, of a running container and of a stopped one', async () => {
    const { id } = await stack.containers.createNetwork({ name: 'n1', subnets: ['10.71.0.0/24'] });
    await startOn('c', ['n1']);
    await startOn('peer', [{ network: id, aliases: ['alias'] }]);
    const line = (name: string) => `10.71.0.3\t${name} ${name}.n1 hpeer hpeer.n1 alias alias.n1\n`;
    assert((await hostsOf('c')).includes(line('peer')));
    await stack.must('rename', 'peer', 'second');
    assert((await hostsOf('c')).includes(line('second')), await hostsOf('c'));
    assert.deepEqual(
      [await reaches(stack, 'c', 'second'), await reaches(stack, 'c', 'alias'), await reaches(stack, 'c', 'peer')],
      [true, true, false],
    );
    await stack.containers.stop('second');
    await stack.must('rename', 'second', 'third');
    assert.doesNotMatch(await hostsOf('c'), /second|third/);
    await stack.containers.start('third');
    assert((await hostsOf('c')).includes(line('third')));
    const { code, stderr } = await stack.net('rename', 'third', 'c');
    assert.equal(code, 1);
    assert.match(stderr, /^error: the name c is already used by the container [0-9a-f]{12}; .*\n$/);
    assert((await hostsOf('c')).includes(line('third')));
  });

  it("are the other container's with container:, and of their own kind without a network", async () => {
    await startOn('target', ['bridge'], { addHosts: [{ host: 'extra', ip: '192.0.2.1' }] });
    const inodes = (name: string) =>
      execIn(stack, name, 'stat', '-c', '%i', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf');
    await startContainer(stack, { name: 'guest', network: { mode: 'container', container: 'target' } });
    await startContainer(stack, { name: 'third', network: { mode: 'container', container: 'guest' } });
    for (const name of ['guest', 'third']) assert.equal(await inodes(name), await inodes('target'));
    assert.match(await hostsOf('guest'), /^192\.0\.2\.1\textra$/m);
    assert.equal((await execIn(stack, 'guest', 'hostname')).trim(), 'htarget');
    await startContainer(stack, {
      name: 'none',
      network: { mode: 'none' },
      addHosts: [{ host: 'extra', ip: '192.0.2.1' }],
    });
    assert.equal(await hostsOf('none'), `${BEGIN}192.0.2.1\textra\n${END}`);
    await startContainer(stack, { name: 'host', network: { mode: 'host' } });
    const hosts = readFileSync('/etc/hosts', 'utf8');
    assert((await hostsOf('host')).startsWith(`${hosts}\n127.0.0.1 ${hostname()}\n`));
    assert.equal((await execIn(stack, 'host', 'hostname')).trim(), hostname());
    // What the user mounts there wins.
    const own = join(tempDir(), 'hosts');
    writeFileSync(own, '192.0.2.8 mine\n', { mode: 0o644 });
    await startOn('mounted', ['bridge'], { mounts: [`${own}:/etc/hosts:ro`] });
    assert.equal(await hostsOf('mounted'), '192.0.2.8 mine\n');
  });

  it('are beside hostname, meta.json and network-config.json, as other programs know them', async () => {
    await makeNetworks();
    const port = await freePort('127.0.0.2');
    const { id, directory, attachments, ports } = await startOn(
      'c',
      [{ network: 'n1', mac: '02:00:00:00:00:07', aliases: ['db'] }, 'n2'],
      {
        domainname: 'example.test',
        publish: [
          { hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' },
          { hostIP: '', hostPort: 0, containerPort: 53, protocol: 'udp' },
        ],
      },
    );
    const read = (name: string) => readFileSync(join(directory, name), 'utf8');
    assert.equal(read('hostname'), 'hc\n');
    assert.equal(await execIn(stack, 'c', 'sh', '-c', 'hostname; echo $HOSTNAME; cat /etc/hostname'), 'hc\nhc\nhc\n');
    const meta = JSON.parse(read('meta.json'));
    assert.deepEqual(
      [meta.ID, meta.Name, meta.Hostname, meta.Domainname, meta.ExtraHosts],
      [id, 'c', 'hc', 'example.test', {}],
    );
    assert.deepEqual(Object.keys(meta.Networks), ['n1', 'n2']);
    const { n1 } = meta.Networks;
    assert.equal(n1.cniVersion, '1.0.0');
    assert.deepEqual(n1.ips, [
      { address: '10.71.0.2/24', gateway: '10.71.0.1', interface: 2 },
      { address: 'fd00:71::2/64', gateway: 'fd00:71::1', interface: 2 },
    ]);
    assert.deepEqual(
      [n1.interfaces[2].name, n1.interfaces[2].mac, attachments[0]?.mac],
      ['eth0', '02:00:00:00:00:07', '02:00:00:00:00:07'],
    );
    const any = ports[1]?.hostPort ?? 0;
    assert(any > 0);
    assert.deepEqual(JSON.parse(read('network-config.json')), {
      portMappings: [
        { HostPort: port, ContainerPort: 80, Protocol: 'tcp', HostIP: '127.0.0.2' },
        { HostPort: any, ContainerPort: 53, Protocol: 'udp', HostIP: '' },
      ],
    });
    await stack.containers.rename('c', 'd');
    assert.equal(JSON.parse(read('meta.json')).Name, 'd');
    await stack.containers.disconnect('n2', 'd');
    assert.deepEqual(Object.keys(JSON.parse(read('meta.json')).Networks), ['n1']);
    assert.equal(addressOf(await stack.containers.inspect('d')), '10.71.0.2');
  });
});

describe('hosts files of containers that may connect to ports of the host', () => {
  const server = createServer((socket) => socket.on('error', () => {}).end('of the host\n'));
  let port = 0;
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => server.close());

  const names = (ip: string, ...left: string[]) =>
    ['host.rootless.internal', 'host.docker.internal', 'host.containers.internal']
      .filter((name) => !left.includes(name))
      .map((name) => `${ip}\t${name}\n`)
      .join('');
  const rootfs = () => ['--rootfs', busyboxRootfs(), '--'];

  it('name the host as those of Docker and Podman do, unless the user does', async () => {
    await using stack = await startContainerStack({ args: ['--net=builtin', `--host-port=${port}`] });
    const text = await stack.must('run', '--rm', ...rootfs(), 'cat', '/etc/hosts');
    assert(text.startsWith(`${BEGIN}${names('10.0.2.2')}10.4.0.`), text);
    const read = ['nc', 'host.docker.internal', String(port)];
    assert.equal(await stack.must('run', '--rm', ...rootfs(), ...read), 'of the host');
    const own = ['--add-host', 'host.docker.internal:192.0.2.1', '--add-host', 'gw:host-gateway'];
    const other = await stack.must('run', '--rm', ...own, ...rootfs(), 'cat', '/etc/hosts');
    const lines = `192.0.2.1\thost.docker.internal\n${hostAddresses.v4}\tgw\n`;
    assert(other.startsWith(BEGIN + lines + names('10.0.2.2', 'host.docker.internal')), other);
    await removeAll(stack);
  });

  it('have host-gateway lead to all of the loopback where that is allowed', async () => {
    await using stack = await startContainerStack({ args: ['--net=builtin', '--allow-host-loopback'] });
    const read = ['nc', 'gw', String(port)];
    assert.equal(await stack.must('run', '--rm', '--add-host=gw:host-gateway', ...rootfs(), ...read), 'of the host');
    await removeAll(stack);
  });
});
