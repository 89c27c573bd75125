import assert from 'node:assert/strict';
import { join } from 'node:path';
import { binPath, freePort, type RunResult, run, type Started, start, tempDir } from '../support/index.js';
import { type FakeStack, startFakeStack } from '../support/stacks/fake-stack.js';

// RootlessKit's rootlessctl against this project's API, and this project's against RootlessKit's. Both come with Debian's package
// rootlesskit; where they are missing the tests fail, and the message names the program.

/** Output and exit code of RootlessKit's rootlessctl. */
async function theirs(socketPath: string, ...args: string[]): Promise<RunResult> {
  try {
    return await run('rootlessctl', ['--socket', socketPath, ...args]);
  } catch (error) {
    throw new Error('rootlessctl does not start; it is in the Debian package rootlesskit', { cause: error });
  }
}

function ours(socketPath: string, ...args: string[]): Promise<RunResult> {
  return run(binPath('rootlessctl'), ['--socket', socketPath, ...args]);
}

describe("RootlessKit's rootlessctl against our API", function () {
  this.timeout(30_000);
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack();
  });
  afterEach(() => stack.close());

  async function prints(args: string[], stdout: string): Promise<void> {
    assert.deepEqual(await theirs(stack.socketPath, ...args), { code: 0, signal: null, stdout, stderr: '' });
  }

  async function fails(args: string[], stderr: string, stdout = ''): Promise<void> {
    assert.deepEqual(await theirs(stack.socketPath, ...args), { code: 1, signal: null, stdout, stderr });
  }

  it('reads the empty list of ports', () =>
    prints(['list-ports'], 'ID    PROTO    PARENTIP    PARENTPORT    CHILDIP    CHILDPORT    \n'));

  it('adds, lists and removes ports', async () => {
    await prints(['add-ports', '127.0.0.1:8181:80/tcp', ':8182:81/udp', '[::1]:8183:[::1]:82/tcp6'], '1\n2\n3\n');
    const json = '{"id":4,"spec":{"proto":"tcp","parentIP":"127.0.0.1","parentPort":8184,"childPort":80}}\n';
    await prints(['add-ports', '--json', '127.0.0.1:8184:80/tcp'], json);
    await prints(['remove-ports', '1', '4'], '1\n4\n');
    await prints(
      ['list-ports', '--json'],
      '{"id":2,"spec":{"proto":"udp","parentPort":8182,"childPort":81}}\n' +
        '{"id":3,"spec":{"proto":"tcp6","parentIP":"::1","parentPort":8183,"childPort":82,"childIP":"::1"}}\n',
    );
  });

  it('reads entries with unknown fields', async () => {
    await theirs(stack.socketPath, 'add-ports', '127.0.0.1:8181:80/tcp');
    const counters = { open: 0, opened: 0, refused: 0, bytesIn: 0, bytesOut: 0 };
    stack.ports.reports.set(1, { listener: { state: 'waiting', reason: 'out of file descriptors' }, counters });
    const json = '{"id":1,"spec":{"proto":"tcp","parentIP":"127.0.0.1","parentPort":8181,"childPort":80}}\n';
    await prints(['list-ports', '--json'], json);
  });

  it('prints the info of rootless-run as rootlessctl does', async () => {
    const text = await theirs(stack.socketPath, 'info');
    assert.equal(text.code, 0);
    assert.deepEqual(await ours(stack.socketPath, 'info'), text);
    assert.deepEqual(await ours(stack.socketPath, 'info', '--json'), await theirs(stack.socketPath, 'info', '--json'));
  });

  it('shows our errors', async () => {
    await fails(['add-ports', '127.0.0.1:8181:80/tcp', '127.0.0.1:8181:80/tcp'], 'error: conflict with ID 1\n', '1\n');
    await fails(['remove-ports', '99'], 'error: unknown id: 99\n');
    await fails(['add-ports', '127.0.0.1:8182:80/sctp'], 'error: unsupported port protocol sctp\n');
    await fails(
      ['add-ports', '0.0.0.0:8182:80/tcp6'],
      'error: invalid port "0.0.0.0:8182:80/tcp6": ' +
        'no suitable address found: tcp6 cannot listen on the IPv4 address 0.0.0.0\n',
    );
    await stack.close();
    stack = await startFakeStack({ ports: undefined });
    await fails(['list-ports'], 'error: no PortDriver is available\n');
  });
});

describe("our rootlessctl against RootlessKit's API", function () {
  this.timeout(60_000);
  let socketPath: string;
  let rootlesskit: Started;
  before(async () => {
    const stateDir = join(tempDir(), 'state');
    socketPath = join(stateDir, 'api.sock');
    rootlesskit = await start(
      'rootlesskit',
      ['--net=slirp4netns', '--port-driver=builtin', `--state-dir=${stateDir}`, 'sleep', '600'],
      { ready: { check: async () => (await theirs(socketPath, 'list-ports')).code === 0 } },
    );
  });
  after(() => rootlesskit.stop());

  /** Both clients print the same and end alike; what they write to stderr is returned. */
  async function same(...args: string[]): Promise<[theirs: string, ours: string]> {
    const [reference, result] = [await theirs(socketPath, ...args), await ours(socketPath, ...args)];
    assert.deepEqual({ ...result, stderr: '' }, { ...reference, stderr: '' });
    return [reference.stderr, result.stderr];
  }

  it('prints what RootlessKit prints', async () => {
    await same('list-ports');
    await same('list-ports', '--json');
    await same('info');
    await same('info', '--json');
    const port = await freePort('127.0.0.1');
    const added = await ours(socketPath, 'add-ports', '--json', `127.0.0.1:${port}:[::1]:80/tcp`);
    const spec = `{"proto":"tcp","parentIP":"127.0.0.1","parentPort":${port},"childPort":80,"childIP":"::1"}`;
    assert.equal(added.stdout, `{"id":1,"spec":${spec}}\n`);
    await same('list-ports');
    await same('list-ports', '--json');
    assert.equal((await ours(socketPath, 'remove-ports', '1')).stdout, '1\n');
    await same('list-ports');
  });

  it('fails as RootlessKit fails', async () => {
    for (const args of [['remove-ports', '99'], ['add-ports'], ['remove-ports']]) {
      const [reference, result] = await same(...args);
      assert.equal(result, reference, args.join(' '));
    }
    await same('add-ports', 'bad');
    await same('remove-ports', 'abc');
    const { code, stderr } = await ours(socketPath, 'events');
    assert.deepEqual([code, stderr], [1, 'error: this stack has no event stream\n']);
  });
});
