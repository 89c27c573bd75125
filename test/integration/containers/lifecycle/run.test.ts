import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, freePort, run, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  execIn,
  IDLE,
  startContainer,
  startContainerStack,
  WEB,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('rootless-net run', () => {
  const stack = withContainerStack({ keep: true });
  const rootfs = () => ['--rootfs', busyboxRootfs()];
  const url = async (address: string) => (await run('curl', ['-sS', '--max-time', '5', address])).stdout;

  it('serves on a published port of the host, which is gone when the container is', async () => {
    const port = await freePort('127.0.0.2');
    const id = await stack.must('run', '-d', '--name', 'web', '-p', `127.0.0.2:${port}:80`, ...rootfs(), '--', ...WEB);
    assert.match(id, /^[0-9a-f]{64}$/);
    await waitFor(async () => (await url(`127.0.0.2:${port}`)) === `${id.slice(0, 12)}\n`, { what: 'the web server' });
    const { stdout } = await run('ss', ['-Hlnt', `sport = ${port}`]);
    assert.match(stdout, new RegExp(`127\\.0\\.0\\.2:${port}`));
    assert.equal(await stack.must('port', 'web'), `80/tcp -> 127.0.0.2:${port}`);
    assert.equal(await stack.must('port', 'web', '80'), `127.0.0.2:${port}`);
    await stack.must('rm', '-f', 'web');
    assert.equal((await run('ss', ['-Hlnt', `sport = ${port}`])).stdout, '');
    assert.deepEqual(stack.files(), []);
  });

  it('ends as the program does, and shows what it writes', async () => {
    const script = 'echo out; echo err >&2; exit 7';
    assert.deepEqual(await stack.net('run', '--rm', ...rootfs(), '--', 'sh', '-c', script), {
      code: 7,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    assert.equal(await stack.must('ps', '-aq'), '');
  });

  it("has the limit of open files that the stack was started with, and not Node's", async () => {
    await using limited = await startContainerStack({ wrapper: ['prlimit', '--nofile=1024:20000'] });
    const limits = 'ulimit -Sn; ulimit -Hn';
    const { stdout, stderr } = await limited.net('run', '--rm', ...rootfs(), '--', 'sh', '-c', limits);
    assert.deepEqual([stdout, stderr], ['1024\n20000\n', '']);
  });

  it('removes variables that Node would obey from our environment', async () => {
    const words = ['run', '--rm', '-e', 'NODE_OPTIONS', '-e', 'NODE_ENV', ...rootfs(), '--', 'sh', '-c'];
    const result = await run(binPath('rootless-net'), [...words, 'echo $NODE_OPTIONS $NODE_ENV'], {
      env: { ...stack.env, NODE_OPTIONS: '--bogus', NODE_ENV: 'test' },
    });
    assert.deepEqual([result.stdout, result.stderr], ['--bogus test\n', '']);
  });

  it('passes standard input on, and its end', async () => {
    const { env } = stack;
    const words = ['run', '-i', '--rm', ...rootfs(), '--', 'cat'];
    const result = await run(binPath('rootless-net'), words, { env, input: 'abc\ndef' });
    assert.deepEqual(result, { code: 0, signal: null, stdout: 'abc\ndef', stderr: '' });

    await stack.must('create', '-i', '--name', 'again', ...rootfs(), '--', 'cat');
    for (const option of ['-ai', '-i']) {
      const again = await run(binPath('rootless-net'), ['start', option, 'again'], { env, input: option });
      assert.deepEqual(again, { code: 0, signal: null, stdout: option, stderr: '' });
    }
    await stack.must('rm', 'again');
  });

  it('reports in one line what it cannot run, and leaves nothing', async () => {
    const { code, stdout, stderr } = await stack.net('run', '-d', '--name', 'x', ...rootfs(), '--', 'no-such-program');
    assert.equal(code, 127);
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      'error: command not found in the container: no-such-program; hint: check its name, and PATH inside\n',
    );
    assert.equal(await stack.must('ps', '-aq'), '');
    assert.deepEqual(stack.files(), []);
  });

  it('passes what follows the program as its arguments', async () => {
    const { code, stdout, stderr } = await stack.net(
      'run',
      '--rm',
      ...rootfs(),
      'sh',
      '-c',
      'echo $0 $1',
      '--rm',
      '--',
      '-d',
    );
    assert.deepEqual([code, stdout, stderr], [0, '--rm --\n', '']);
  });

  it('finds nothing by an invalid name', async () => {
    for (const name of ['', '.', '..', '-x', '../networks/bridge']) {
      const { code, stderr } = await stack.net('inspect', '--', name);
      assert.deepEqual([code, stderr], [1, `error: no such container: ${name || '""'}\n`]);
    }
    const { code, stderr } = await stack.net('network', 'rm', '..');
    assert.deepEqual([code, stderr], [1, 'error: no such network: ..\n']);
  });

  it('refuses wrong options before anything is created', async () => {
    for (const [args, what] of [
      [
        ['--rootfs', '/no/such', '--', 'true'],
        /cannot use the root file system \/no\/such \(--rootfs\): no such file or directory/,
      ],
      [['--', 'true'], /specify one of --rootfs, --bundle/],
      [rootfs(), /no command: name the program/],
      [[...rootfs(), '--net=nowhere', '--', 'true'], /no such network: nowhere/],
      [[...rootfs(), '--net=container:nobody', '--', 'true'], /no such container: nobody/],
      [[...rootfs(), '-p', '80:80:80:80', '--', 'true'], /80:80:80:80/],
      [
        [...rootfs(), '--net=none', '-p', '80', '--', 'true'],
        /published ports \(-p\) cannot be combined with --network=none/,
      ],
      [[...rootfs(), '--dns', 'nonsense', '--', 'true'], /invalid --dns "nonsense": not an IP address/],
      [[...rootfs(), '--name', '-x', '--', 'true'], /invalid --name "-x": not a name/],
      [[...rootfs(), '--runtime', 'no-such-runtime', '--', 'true'], /the OCI runtime no-such-runtime is not installed/],
      [[...rootfs(), '--no-such-option'], /unknown option '--no-such-option'/],
    ] as const) {
      const { code, stderr } = await stack.net('run', '-d', ...args);
      assert.equal(code, 125, args.join(' '));
      assert.match(stderr, what);
      assert.equal(stderr.split('\n').length, 2, stderr);
    }
    assert.equal(await stack.must('ps', '-aq'), '');
    assert.deepEqual(stack.files(), []);
  });

  it('goes through create, start, stop, restart and rm, with the same address and name', async () => {
    const id = await stack.must('create', '--name', 'c', ...rootfs(), '--', ...IDLE);
    assert.equal((await stack.containers.inspect('c')).status, 'created');
    await stack.must('start', 'c');
    const before = await stack.containers.inspect('c');
    assert.equal(before.status, 'running');
    await stack.must('stop', 'c');
    const stopped = await stack.containers.inspect(id);
    assert.deepEqual([stopped.status, stopped.exitCode, stopped.attachments], ['exited', 0, []]);
    await stack.must('restart', 'c');
    const after = await stack.containers.inspect(id.slice(0, 12));
    assert.deepEqual(after.attachments, before.attachments);
    const { code, stderr } = await stack.net('rm', 'c');
    assert.deepEqual([code, stderr], [1, 'error: the container c is running; stop it first, or use rm --force\n']);
    await stack.must('rm', '-f', 'c');
    assert.deepEqual(await stack.net('rm', 'c'), {
      code: 1,
      signal: null,
      stdout: '',
      stderr: 'error: no such container: c\n',
    });
  });

  it('stops a stack without a process, and distinguishes it from an unknown one', async () => {
    const { name, pid = 0 } = await startContainer(stack, { name: 'gone' });
    process.kill(pid, 'SIGKILL');
    assert.equal((await stack.net('stop', name)).code, 0);
    assert.equal((await stack.net('stop', name)).code, 0);
    assert.equal((await stack.containers.inspect(name)).exitCode, 137);
    await assert.rejects(stack.containers.stop('nobody'), { httpStatus: 404, message: 'no such container: nobody' });
    await stack.must('rm', name);
  });

  it('runs more programs in a container', async () => {
    const { name } = await startContainer(stack, { name: 'e', env: ['A=1'] });
    assert.match(await execIn(stack, name, 'env'), /^A=1$/m);
    const { code, stdout, stderr } = await stack.net(
      'exec',
      '-e',
      'B=2',
      name,
      'sh',
      '-c',
      'echo $B; echo x >&2; exit 4',
    );
    assert.deepEqual([code, stdout, stderr], [4, '2\n', 'x\n']);
    const missing = await stack.net('exec', 'nobody', 'true');
    assert.deepEqual([missing.code, missing.stderr], [125, 'error: no such container: nobody\n']);
    await stack.must('rm', '-f', name);
  });

  it('writes the files that nerdctl knows', async () => {
    const port = await freePort('127.0.0.1');
    const { id, directory } = await startContainer(stack, {
      name: 'meta',
      hostname: 'h',
      domainname: 'example.org',
      addHosts: [{ host: 'other', ip: '192.0.2.1' }],
      publish: [{ hostIP: '127.0.0.1', hostPort: port, containerPort: 80, protocol: 'tcp' }],
    });
    const meta = JSON.parse(readFileSync(join(directory, 'meta.json'), 'utf8'));
    assert.equal(meta.ID, id);
    assert.equal(meta.Namespace, 'default');
    assert.equal(meta.Name, 'meta');
    assert.equal(meta.Hostname, 'h');
    assert.equal(meta.Domainname, 'example.org');
    assert.deepEqual(meta.ExtraHosts, { other: '192.0.2.1' });
    assert.match(meta.Networks.bridge.ips[0].address, /^10\.4\.\d+\.\d+\/24$/);
    assert.deepEqual(JSON.parse(readFileSync(join(directory, 'network-config.json'), 'utf8')), {
      portMappings: [{ HostPort: port, ContainerPort: 80, Protocol: 'tcp', HostIP: '127.0.0.1' }],
    });
    await stack.must('stop', 'meta');
    await stack.must('rename', 'meta', 'other');
    assert.deepEqual(JSON.parse(readFileSync(join(directory, 'meta.json'), 'utf8')), {
      ...meta,
      Name: 'other',
      attached: false,
    });
    await stack.must('rm', 'other');
    assert.equal(existsSync(directory), false);
  });
});
