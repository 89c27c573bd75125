import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { errorText } from '../../../protocol/error-text.js';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  IDLE,
  kill,
  startContainer,
  startContainerStack,
} from '../../support/containers.js';
import { accepts, freePort, isAlive, processInfo, tempDir, waitFor } from '../../support/index.js';

/** A request straight to the agent, with any path. */
function ask(
  stack: ContainerStack,
  method: string,
  path: string,
  body = '',
): Promise<{ status: number; said: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: join(stack.stateDir, 'agent.sock'), method, path }, (answer) => {
      text(answer).then((said) => resolve({ status: answer.statusCode ?? 0, said }), reject);
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

describe('what clients send to the agent', () => {
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack();
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  it('is refused where it is no path, and the agent goes on', async () => {
    const agents = stack.agents();
    for (const path of ['//', '/v1/containers/%zz', '/v1/containers/%zz/start', 'http://', '*']) {
      const { status, said } = await ask(stack, 'POST', path);
      assert.equal(status, 404, path);
      assert.match(said, /^\{"message":".*"\}$/);
    }
    assert.deepEqual(stack.agents(), agents);
    assert.doesNotMatch(stack.started.output(), /internal error|the agent/);
  });

  it('is refused where it is no state of a container', async () => {
    const pid = Number(readFileSync(join(stack.stateDir, 'child_pid'), 'utf8'));
    // One with a network namespace of its own, as that of another OCI runtime would be.
    const { id, pid: other = 0 } = await startContainer(stack, { network: { mode: 'none' } });
    const state = (change: object) => JSON.stringify({ id: 'x', pid, ...change });
    const annotated = (name: string, value: string) =>
      state({ pid: other, annotations: { [`rootless-net/${name}`]: value } });
    for (const [body, what] of [
      ['', /no container's state .*: id is wrong/],
      ['nonsense', /not JSON/],
      [state({ id: '..' }), /no container's state .*: id is wrong/],
      [state({ id: 'a/b' }), /no container's state .*: id is wrong/],
      [state({ pid: 0 }), /the state of x has no pid/],
      [state({ pid: 4_194_304 }), /cannot see the network namespace of x: ENOENT/],
      [state({}), /the container x has no network namespace of its own/],
      [annotated('name', 'a b\nc'), /annotation rootless-net\/name: "a b\\nc" is not a name/],
      [annotated('hostname', '#'), /annotation rootless-net\/hostname: "#" is not a host name/],
      [annotated('mac', 'zz'), /annotation rootless-net\/.*mac: "zz" is not a unicast MAC address/],
      [annotated('ip', '::1'), /annotation rootless-net\/.*ip: "::1" is not an IPv4 address/],
      [annotated('networks', '["../x"]'), /annotation rootless-net\/.*network: "..\/x" is not a name/],
      [annotated('networks', 'x'), /annotation rootless-net\/networks is no JSON list of strings: x/],
      [annotated('ports', '["80:80:80:80"]'), /annotation rootless-net\/ports: invalid published port/],
    ] as const) {
      const { status, said } = await ask(stack, 'POST', '/v1/hooks/createRuntime', body);
      assert.deepEqual([status, said.split('\n').length], [400, 2], said);
      assert.match(said, what);
    }
    assert.equal((await ask(stack, 'POST', '/v1/hooks/poststop', state({ id: '..' }))).status, 400);
    await stack.containers.remove(id, { force: true });
    assert.deepEqual(stack.files(), []);
  });
});

describe('the streams of a container', () => {
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack();
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  it('end with its exit code, also where it has a terminal', async () => {
    const { id } = await stack.containers.create({
      rootfs: busyboxRootfs(),
      command: ['sh', '-c', 'read x; exit 3'],
      tty: true,
    });
    const stream = await stack.containers.attach(id, { start: true });
    await stream.write(Buffer.from('go\n'));
    assert.equal(await stream.exit, 3);
  });

  it('of a further program with a terminal say of which kind that is', async () => {
    const { id } = await startContainer(stack);
    for (const [env, kind] of [
      [[], 'xterm'],
      [['TERM=vt100'], 'vt100'],
    ] as const) {
      const stream = await stack.containers.exec(id, { command: ['sh', '-c', 'echo $TERM'], tty: true, env: [...env] });
      let said = '';
      stream.listen((_, data) => {
        said += data.toString();
      });
      assert.deepEqual([await stream.exit, said], [0, `${kind}\r\n`]);
    }
  });

  it('are joined by a start of what runs already', async () => {
    const { id } = await startContainer(stack, { command: ['cat'], stdin: true });
    const stream = await stack.containers.attach(id, { start: true });
    stream.control({ type: 'stdin-end' });
    assert.equal(await stream.exit, 0);
  });

  it('say why it could not be started', async () => {
    const { id } = await stack.containers.create({ rootfs: busyboxRootfs(), command: ['no-such-program'] });
    const stream = await stack.containers.attach(id, { start: true });
    await assert.rejects(stream.exit, /no-such-program.*executable file not found/);
  });

  it('carry no more than the other side takes', async () => {
    const size = 192 * 1024 * 1024;
    const [agent = 0] = stack.agents();
    const memory = () => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${agent}/status`, 'utf8'))?.[1]) * 1024;
    const before = memory();
    const settled = (what: string) => {
      let [last, times] = [0, 0];
      return waitFor(
        () => {
          const now = memory();
          times = now > last ? 0 : times + 1;
          last = Math.max(now, last);
          return times > 10;
        },
        { what },
      );
    };

    const { id, directory } = await startContainer(stack, { stdin: true });
    truncateSync(join(directory, 'stdout.log'), size);
    const logs = await stack.containers.attach(id, { logs: true, follow: false });
    logs.pause();
    await settled('the agent to have sent what it sends');
    assert.ok(memory() - before < size / 2);
    let got = 0;
    logs.listen((_, data) => {
      got += data.length;
    });
    logs.resume();
    await logs.exit;
    assert.equal(got, size);

    const input = await stack.containers.attach(id);
    const piece = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < size; sent += piece.length) void input.write(piece);
    await settled('the agent to have taken what it takes');
    assert.ok(memory() - before < size / 2);
    await stack.containers.remove(id, { force: true });
    input.close();
  });
});

describe('a container whose monitor is killed', () => {
  it('is seen to end all the same', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const port = await freePort('127.0.0.2');
    const publish = [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' as const }];
    const { name, pid = 0 } = await startContainer(stack, { publish });
    const monitor = processInfo(pid)?.ppid ?? 0;
    assert.equal(processInfo(monitor)?.comm, 'container-mon');
    kill(monitor);
    await waitFor(() => !isAlive(monitor), { what: 'the end of the monitor' });
    kill(pid);
    assert.equal(await stack.containers.wait(name), null);
    assert.equal((await stack.containers.inspect(name)).status, 'exited');
    assert.equal(await accepts('127.0.0.2', port), false);
  });
});

describe('a container whose network cannot be taken away', () => {
  it('ends and is removed, and gc takes the network away when it can be', async () => {
    const plugins = tempDir();
    const broken = join(plugins, 'broken');
    const script = `#!/bin/sh
case $CNI_COMMAND in
ADD) cat >/dev/null; echo '{"cniVersion":"1.0.0"}' ;;
DEL) cat >/dev/null; [ ! -e ${broken} ] || { echo '{"code":100,"msg":"not now"}'; exit 1; } ;;
esac
`;
    writeFileSync(join(plugins, 'stubborn'), script, { mode: 0o755 });
    await using stack: ContainerStack = await startContainerStack({ env: { CNI_PATH: plugins } });
    mkdirSync(stack.confDir, { recursive: true });
    const list = { cniVersion: '1.0.0', name: 'other', plugins: [{ type: 'stubborn' }] };
    writeFileSync(join(stack.confDir, 'other.conflist'), JSON.stringify(list));

    const network = { mode: 'networks' as const, networks: [{ network: 'other' }] };
    const { name } = await startContainer(stack, { network });
    writeFileSync(broken, '');
    await stack.containers.stop(name);
    assert.equal((await stack.containers.inspect(name)).status, 'exited');
    const { code, stderr } = await stack.net('rm', name);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: cannot take \w+ off its networks: .*not now.*; rm --force removes it all the same\n$/,
    );
    await stack.must('rm', '-f', name);
    assert.equal(await stack.must('ps', '-aq'), '');
    assert.match(await stack.must('gc'), /^attachment: /);
    rmSync(broken);
    await stack.must('gc', '--repair');
    assert.equal(await stack.must('gc'), 'nothing is left over');
    assert.deepEqual(stack.files(), []);
  });
});

describe('a bridge that somebody removed', () => {
  it('is made anew for the next container', async () => {
    await using stack: ContainerStack = await startContainerStack();
    await startContainer(stack);
    assert.equal((await stack.enter(['ip', 'link', 'del', 'rootless0'])).code, 0);
    await startContainer(stack, { name: 'next' });
    assert.match(await execIn(stack, 'next', 'ping', '-c', '1', '10.4.0.1'), /1 packets received/);
  });
});

describe('an OCI bundle', () => {
  it('may have paths that are relative to it', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const bundle = tempDir();
    symlinkSync(busyboxRootfs(), join(bundle, 'root'));
    writeFileSync(join(bundle, 'data'), 'from the bundle\n');
    const config = {
      ociVersion: '1.0.2',
      root: { path: 'root' },
      process: { user: { uid: 0, gid: 0 }, cwd: '/', args: ['cat', '/tmp/data'], env: ['PATH=/bin'] },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/tmp/data', source: 'data', options: ['rbind', 'ro'] },
      ],
      linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'network' }] },
    };
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    assert.equal(await stack.must('run', '--rm', '--bundle', bundle), 'from the bundle');
  });
});

describe('what cannot be run', () => {
  it('is told in words', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const bundle = tempDir();
    const bundled = (config: string) => {
      writeFileSync(join(bundle, 'config.json'), config);
      return { rootfs: undefined, command: undefined, bundle };
    };
    const publish = (hostIP: string) => [{ hostIP, hostPort: 0, containerPort: 80, protocol: 'tcp' as const }];
    const macOf = (mac: string) => ({ mode: 'networks' as const, networks: [{ network: 'bridge', mac }] });
    for (const [make, what] of [
      [() => bundled('{'), /config\.json is no configuration of an OCI bundle: .*JSON/],
      [() => bundled('{"ociVersion":"1"}'), /config\.json is no configuration of an OCI bundle: root: /],
      [() => ({ runtime: 'true' }), /true create \w+ failed: exit code \d+, and it said nothing/],
      [() => ({ publish: publish('fe80::1%lo') }), /"fe80::1%lo" is not an IP address without a zone/],
      [() => ({ network: macOf('00:00:00:00:00:00') }), /"00:00:00:00:00:00" is not a unicast MAC address/],
      [() => ({ addHosts: [{ host: 'a b', ip: '192.0.2.1' }] }), /"a b" is not the name of a host/],
    ] as const) {
      await assert.rejects(startContainer(stack, make()), what);
    }
    const { directory } = await startContainer(stack, {
      addHosts: [{ host: 'db_1', ip: '192.0.2.1' }],
      network: { mode: 'networks', networks: [{ network: 'bridge', aliases: ['web_1'] }] },
    });
    assert.match(readFileSync(join(directory, 'hosts'), 'utf8'), /\tdb_1\n[\s\S]*web_1/);
  });
});

describe('network configurations that others wrote', () => {
  it("may be wrong, and are in nobody's way", async () => {
    await using stack: ContainerStack = await startContainerStack();
    mkdirSync(stack.confDir, { recursive: true });
    const ipams: unknown[] = [
      { ranges: [{ subnet: '10.9.0.0/24' }] },
      { ranges: [null, [null], [{}], [{ subnet: 5 }], [{ subnet: 'nonsense' }], 'x'] },
      { subnet: 'nonsense' },
      { subnet: '10.9.1.0/24', gateway: 5 },
    ];
    for (const [index, ipam] of ipams.entries()) {
      const plugins = [{ type: 'bridge', ipam: { type: 'host-local', ...(ipam as object) } }];
      const list = { cniVersion: '1.0.0', name: `n${index}`, nerdctlLabels: 'x', rootlessNet: index, plugins };
      writeFileSync(join(stack.confDir, `${index}.conflist`), JSON.stringify(list));
    }
    const { name } = await stack.containers.createNetwork({ name: 'mine' });
    const list = await stack.containers.networks();
    assert.deepEqual(
      list.map((network) => [network.name, network.own, network.subnets.length]),
      [...ipams.map((_, index) => [`n${index}`, false, 0]), [name, true, 1]],
    );
    assert.equal(await stack.must('network', 'ls', '-q', '--filter', 'label=x'), '');
  });
});

describe('a container of another OCI runtime', () => {
  it('is known to its peers when the agent was replaced, and is no garbage', async () => {
    await using stack: ContainerStack = await startContainerStack();
    // Any process with a network namespace of its own will do.
    const { pid } = await startContainer(stack, { network: { mode: 'none' } });
    const state = JSON.stringify({ id: 'foreign', pid, annotations: { 'rootless-net/name': 'other' } });
    assert.equal((await ask(stack, 'POST', '/v1/hooks/createRuntime', state)).status, 200);
    const { directory, name } = await startContainer(stack);
    const hosts = () => readFileSync(join(directory, 'hosts'), 'utf8');
    const before = hosts();
    assert.match(before, /\tother\n/);
    assert.equal(await stack.must('gc'), 'nothing is left over');

    const agents = stack.agents();
    agents.forEach(kill);
    await waitFor(() => stack.agents().some((agent) => !agents.includes(agent)), { what: 'another agent' });
    await waitFor(() => stack.containers.inspect(name), { what: 'its answer' });
    assert.equal(await stack.must('gc'), 'nothing is left over');
    assert.equal(hosts(), before);

    assert.equal((await ask(stack, 'POST', '/v1/hooks/poststop', state)).status, 200);
    assert.doesNotMatch(hosts(), /other/);
    assert.equal(existsSync(join(stack.dataDir, 'containers', 'foreign')), false);
  });
});

describe('an agent that cannot use the directory of containers', () => {
  it('says so, and can when that is mended', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const { name } = await startContainer(stack);
    const directory = join(stack.dataDir, 'containers');
    renameSync(directory, `${directory}.away`);
    writeFileSync(directory, '');
    stack.agents().forEach(kill);
    const problem = () => stack.containers.list().then(() => '', errorText);
    await waitFor(async () => /EEXIST.*containers/.test(await problem()), { what: 'a refusal' });
    rmSync(directory);
    renameSync(`${directory}.away`, directory);
    const list = await waitFor(() => stack.containers.list(), { what: 'the list of containers' });
    assert.deepEqual(
      list.map((report) => [report.name, report.status]),
      [[name, 'running']],
    );
  });
});

describe('a stack that ends', () => {
  it('ends the containers, and those who follow them hear how', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const { name } = await startContainer(stack, { command: IDLE });
    const stream = await stack.containers.attach(name);
    stack.started.child.kill('SIGTERM');
    assert.equal(await stream.exit, 0);
    assert.equal((await stack.started.ended).code, 0);
  });
});
