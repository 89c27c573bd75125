import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, binPath, freePort, waitFor } from '../../../support/index.js';
import {
  addressOf,
  busyboxRootfs,
  execIn,
  IDLE,
  kill,
  onNetworks,
  reaches,
  startContainer,
  WEB,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { runInTerminal } from '../../../support/terminal.js';

describe('network commands', () => {
  const stack = withContainerStack();
  const error = (code: number, message: string) => ({ code, signal: null, stdout: '', stderr: `error: ${message}\n` });

  it('take a container off its only network, and put it on again, with its published ports', async () => {
    const port = await freePort('127.0.0.2');
    await stack.must('network', 'create', 'one');
    const publish = [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' as const }];
    const created = { rootfs: busyboxRootfs(), name: 'c', command: WEB, network: onNetworks('one'), publish };
    const { id, directory } = await stack.containers.create(created);
    const mappings = () => JSON.parse(readFileSync(join(directory, 'network-config.json'), 'utf8')).portMappings;
    const asked = [{ HostPort: port, ContainerPort: 80, Protocol: 'tcp', HostIP: '127.0.0.2' }];
    assert.deepEqual(mappings(), asked);
    await stack.must('start', 'c');
    const serves = () => accepts('127.0.0.2', port);
    await waitFor(serves, { what: 'the web server' });

    await stack.must('network', 'disconnect', '-f', 'one', 'c');
    assert.equal(await serves(), false);
    assert.match(await execIn(stack, 'c', 'ip', '-o', 'link'), /^1: lo: [^\n]*\n$/);
    assert.equal(await stack.must('port', 'c'), '');
    assert.deepEqual(mappings(), []);
    const format = '{{len .NetworkSettings.Networks}} {{.NetworkSettings.IPAddress}}|{{json .NetworkSettings.Ports}}';
    assert.equal(await stack.must('inspect', '-f', format, 'c'), '0 |{}');
    assert.deepEqual(
      await stack.net('network', 'disconnect', 'one', 'c'),
      error(1, 'the container c is not on the network one'),
    );

    // It stays so: through a new agent, and a stop and a start, of which none opens ports that lead elsewhere.
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    assert.equal((await stack.containers.inspect('c')).status, 'running');
    await stack.must('restart', '-t', '1', 'c');
    assert.equal(await serves(), false);
    assert.deepEqual((await stack.containers.inspect('c')).attachments, []);
    assert.deepEqual(await stack.containers.gc(), []);

    const one = await stack.must('network', 'ls', '-q', '--filter', 'name=^one$');
    await stack.must('network', 'connect', one, id.slice(0, 12));
    await waitFor(serves, { what: 'the web server, again' });
    assert.equal(await stack.must('port', 'c', '80/tcp'), `127.0.0.2:${port}`);
    assert.deepEqual(mappings(), asked);
    await stack.must('restart', '-t', '1', 'c');
    await waitFor(serves, { what: 'the web server, after a restart' });
    // Also while it does not run.
    await stack.must('stop', '-t', '1', 'c');
    await stack.must('network', 'disconnect', 'one', 'c');
    await stack.must('start', 'c');
    assert.deepEqual((await stack.containers.inspect('c')).attachments, []);
    await stack.must('network', 'rm', 'one');
  });

  it('do not remove what is there without being made, nor what is in use, and name the users', async () => {
    const bridge = (await stack.containers.inspectNetwork('bridge')).id;
    const host = await stack.must('network', 'inspect', '-f', '{{.Id}}', 'host');
    for (const [name, shown] of [
      ['bridge', 'bridge'],
      [bridge.slice(0, 12), 'bridge'],
      ['host', 'host'],
      [host.slice(0, 12), 'host'],
      ['none', 'none'],
    ] as const) {
      assert.deepEqual(
        await stack.net('network', 'rm', name),
        error(1, `${shown} is a predefined network and cannot be removed`),
      );
    }
    await startContainer(stack, { name: 'c' });
    for (const verb of ['connect', 'disconnect']) {
      assert.deepEqual(
        await stack.net('network', verb, 'host', 'c'),
        error(1, 'cannot use host here: it is not a network; containers have it by --network=host'),
      );
    }
    await stack.must('rm', '-f', 'c');
    await stack.must('network', 'create', 'used');
    const make = (name: string) => startContainer(stack, { name, network: onNetworks('used') });
    await make('a');
    assert.deepEqual(
      await stack.net('network', 'rm', 'used'),
      error(1, 'the network used is in use by the container a; remove that first'),
    );
    await make('b');
    await stack.must('stop', '-t', '1', 'b');
    assert.deepEqual(
      await stack.net('network', 'rm', 'used'),
      error(1, 'the network used is in use by the containers a, b; remove those first'),
    );
    await stack.must('network', 'create', 'idle');
    assert.equal(await stack.must('network', 'ls', '--filter', 'dangling=1', '--format', '{{.Name}}'), 'idle');
    assert.equal(await stack.must('network', 'prune', '-f'), 'idle');
  });

  it('find networks by name first, then by id and its beginning, and show who is on them now', async () => {
    const id = await stack.must('network', 'create', '--ipv6', 'first');
    // A name that is the beginning of another's id.
    const short = id.slice(0, 12);
    const other = await stack.must('network', 'create', short);
    const idOf = (text: string) => stack.must('network', 'inspect', '-f', '{{.Id}}', text);
    assert.deepEqual(await Promise.all([idOf('first'), idOf(id), idOf(id.slice(0, 13))]), [id, id, id]);
    assert.deepEqual(await Promise.all([idOf(short), idOf(other.slice(0, 8))]), [other, other]);

    for (const [name, ...networks] of [
      ['a', id],
      ['b', id.slice(0, 13), short],
      ['c', 'first'],
    ]) {
      const words = networks.flatMap((network) => ['--network', network]);
      await stack.must('run', '-d', '--name', name ?? '', ...words, '--rootfs', busyboxRootfs(), '--', ...IDLE);
    }
    await stack.must('stop', '-t', '1', 'c');
    const on = async (network: string) =>
      (await stack.must('network', 'inspect', '-f', '{{range .Containers}}{{.Name}} {{end}}', network))
        .split(' ')
        .sort();
    assert.deepEqual([await on('first'), await on(short)], [['a', 'b'], ['b']]);
    const details = '{{range .Containers}}{{.IPv4Address}} {{.IPv6Address}} {{.MacAddress}}{{end}}';
    assert.match(
      await stack.must('network', 'inspect', '-f', details, short),
      /^10\.[\d.]+\/24 {2}02(:[0-9a-f]{2}){5}$/,
    );
    const ipv6 = '{{range $i, $c := .IPAM.Config}}{{if $i}}{{$c.Subnet}}{{end}}{{end}}';
    assert.match(await stack.must('network', 'inspect', '-f', ipv6, 'first'), /^fd[0-9a-f:]+\/64$/);
    assert.equal(await reaches(stack, 'a', 'b'), true);
    // Names of both kinds are filters of ps.
    for (const text of ['first', id, id.slice(0, 13)]) {
      assert.equal(await stack.must('ps', '--format', '{{.Names}}', '--filter', `network=${text}`), 'b\na');
    }
  });

  it('connect a container to the maximum number of networks, and no more', async () => {
    const { id } = await stack.containers.create({ rootfs: busyboxRootfs(), name: 'c', command: IDLE });
    for (let number = 1; number <= 16; number++) {
      await stack.containers.createNetwork({ name: `n${number}` });
      if (number < 16) await stack.containers.connect(`n${number}`, id);
    }
    assert.deepEqual(
      await stack.net('network', 'connect', 'n16', 'c'),
      error(1, 'the container c is on 16 networks, which is the maximum'),
    );
    // The next agent can still read it.
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    assert.equal((await stack.containers.inspect('c')).id, id);
  });

  it('prune without asking if there is no terminal', async () => {
    await stack.must('network', 'create', 'idle');
    assert.equal(await stack.must('network', 'prune'), 'idle');
  });

  it('prune by labels, and remove what may not be there', async () => {
    await stack.must('network', 'create', 'plain');
    await stack.must('network', 'create', '--label', 'a=1', '--attachable', 'labelled');
    await stack.must('network', 'create', '--label', 'a=1', 'used');
    await startContainer(stack, { name: 'c', network: onNetworks('used') });
    assert.equal(await stack.must('network', 'prune', '-f', '--filter', 'label=a=2'), '');
    assert.equal(await stack.must('network', 'prune', '-f', '--filter', 'label=a'), 'labelled');
    assert.equal(await stack.must('network', 'rm', '-f', 'plain', 'nothing'), 'plain');
    const { stderr } = await stack.net('network', 'prune', '--filter', 'until=1h');
    assert.equal(stderr, 'error: invalid --filter "until=1h": unknown filter until; known are label\n');
  });

  it('prune only after a yes on a terminal', async () => {
    await stack.must('network', 'create', 'idle');
    const prune = async (answer: string) => {
      const command = [binPath('rootless-net'), 'network', 'prune'];
      const { output, code } = await runInTerminal(command, [['[y/N]', answer]], { env: stack.env });
      assert.equal(code, 0, output);
      return output;
    };
    assert.match(await prune('n\n'), /Continue\? \[y\/N\] n\n$/);
    assert.equal((await stack.containers.inspectNetwork('idle')).name, 'idle');
    assert.match(await prune('y\n'), /idle/);
    await assert.rejects(stack.containers.inspectNetwork('idle'), { httpStatus: 404 });
  });

  it("make networks by docker's options", async () => {
    await stack.must(
      ...['network', 'create', 'own', '-o', 'com.docker.network.driver.mtu=1400'],
      ...['-o', 'com.docker.network.bridge.enable_icc=false'],
    );
    const options = '{{index .Options "com.docker.network.driver.mtu"}}';
    assert.equal(await stack.must('network', 'inspect', '-f', options, 'own'), '1400');
    const icc = '{{index .Options "com.docker.network.bridge.enable_icc"}}';
    assert.equal(await stack.must('network', 'inspect', '-f', icc, 'own'), 'false');
    const [a, b] = [
      await startContainer(stack, { name: 'a', network: onNetworks('own') }),
      await startContainer(stack, { name: 'b', network: onNetworks('own') }),
    ];
    assert.match(await execIn(stack, 'a', 'ip', 'link', 'show', 'eth0'), / mtu 1400 /);
    assert.equal(await reaches(stack, a.name, addressOf(b)), false);
  });

  it('give interfaces the requested names, and the default route the requested network', async () => {
    for (const name of ['one', 'two', 'three']) await stack.must('network', 'create', name);
    const { id, directory } = await startContainer(stack, {
      name: 'c',
      network: onNetworks('one', { network: 'two', interface: 'eth0', gatewayPriority: 1 }),
    });
    const links = async () => (await execIn(stack, 'c', 'ip', '-o', 'link')).match(/(?<=^\d+: )\w+/gm);
    const route = async () => /dev (\w+)/.exec(await execIn(stack, 'c', 'ip', 'route', 'show', 'default'))?.[1];
    assert.deepEqual(await links(), ['lo', 'eth1', 'eth0']);
    assert.equal(await route(), 'eth0');
    await stack.must(
      ...['network', 'connect', '--gw-priority', '2'],
      ...['--driver-opt', 'com.docker.network.endpoint.ifname=net0', 'three', 'c'],
    );
    assert.equal(await route(), 'net0');
    await stack.must('network', 'disconnect', 'three', 'c');
    assert.equal(await route(), 'eth0');
    // The next agent has it from the disk.
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    await stack.must('restart', '-t', '1', 'c');
    assert.deepEqual([await links(), await route()], [['lo', 'eth1', 'eth0'], 'eth0']);
    const meta = JSON.parse(readFileSync(join(directory, 'meta.json'), 'utf8'));
    assert.deepEqual([meta.ID, meta.Namespace, Object.keys(meta.Networks)], [id, 'default', ['one', 'two']]);
    await assert.rejects(
      stack.containers.connect('three', 'c', { interface: 'eth1' }),
      /the container c already has an interface eth1/,
    );
  });

  it('leave meta.json from create to rm, with any network', async () => {
    for (const network of [onNetworks('bridge'), { mode: 'none' as const }, { mode: 'host' as const }]) {
      const { id, directory } = await startContainer(stack, { name: 'c', network });
      const file = join(directory, 'meta.json');
      const name = () => JSON.parse(readFileSync(file, 'utf8')).Name;
      assert.equal(name(), 'c');
      await stack.must('stop', '-t', '1', 'c');
      assert.equal(name(), 'c');
      await stack.must('rm', id);
      assert.equal(existsSync(file), false);
    }
  });
});
