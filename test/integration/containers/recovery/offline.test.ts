import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, run, tempDir } from '../../../support/index.js';
import { busyboxRootfs, startContainerStack, userDirectories } from '../../../support/stacks/containers.js';

/** Every file below a directory, with what is in it. */
function contents(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) =>
      statSync(path).isFile() ? `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}` : path,
    )
    .sort();
}

describe('rootless-net that only reads, without a running stack', () => {
  const home = tempDir();
  const { env } = userDirectories(home);
  const net = (...args: string[]) => run(binPath('rootless-net'), args, { env });
  const prints = async (...args: string[]) => {
    const { code, stdout, stderr } = await net(...args);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '));
    return stdout;
  };
  let unchanged: string[];
  let live: { inspect: string; network: string; ps: string };

  before(async () => {
    const stack = await startContainerStack({ home });
    await stack.must('network', 'create', '--label', 'a=b', 'back');
    const script = 'echo one; echo two >&2; echo three; exit 3';
    await stack.net('run', '--name=ended', '--network=back', '--rootfs', busyboxRootfs(), '--', 'sh', '-c', script);
    const inspect = await stack.must('inspect', '--mode=native', 'ended');
    const network = await stack.must('network', 'inspect', '--mode=native', 'back');
    await stack.must('run', '-d', '--name=lost', '--rootfs', busyboxRootfs(), '--', 'sleep', '1000');
    live = { inspect, network, ps: await stack.must('ps', '-a', '--format={{.Names}}') };
    await stack.killAll();
  });

  beforeEach(() => {
    unchanged = contents(home);
  });

  afterEach(() => {
    assert.deepEqual(contents(home), unchanged, 'nothing was changed, and nothing was started');
  });

  it('lists containers and networks as the stack did', async () => {
    assert.equal((await prints('ps', '-a', '--format={{.Names}}')).trim(), live.ps);
    assert.equal(await prints('ps', '-q'), '', 'none runs');
    assert.deepEqual(JSON.parse(await prints('inspect', '--mode=native', 'ended')), JSON.parse(live.inspect));
    assert.deepEqual(JSON.parse(await prints('network', 'inspect', '--mode=native', 'back')), JSON.parse(live.network));
    assert.match(await prints('network', 'ls', '--format={{.Name}}'), /^back$/m);
    assert.match(await prints('network', 'ls', '-q', '--filter', 'label=a=b'), /^\w+\n$/);
  });

  it('shows what ran when the stack was lost as having ended', async () => {
    const [lost] = JSON.parse(await prints('inspect', '--mode=native', 'lost')) as Record<string, unknown>[];
    assert.deepEqual(
      [lost?.status, lost?.exitCode, lost?.reason, lost?.ports, lost?.pid],
      ['exited', undefined, 'the stack that ran it was lost', [], undefined],
    );
    assert.match(await prints('ps', '-a', '--filter', 'name=lost'), /Exited/);
    assert.equal(await prints('port', 'lost'), '');
    assert.equal(await prints('wait', 'ended', 'lost'), '3\nunknown\n');
  });

  it('shows logs, by stream and as far as they are wanted', async () => {
    assert.deepEqual(await net('logs', 'ended'), { code: 0, signal: null, stdout: 'one\nthree\n', stderr: 'two\n' });
    assert.equal((await net('logs', '--tail=1', 'ended')).stdout, 'three\n');
    assert.match((await net('logs', '-f', '-t', 'ended')).stdout, /^\d{4}-\S+Z one\n\d{4}-\S+Z three\n$/);
  });

  it('names what does not exist, and starts no stack for it', async () => {
    const calls: [args: string[], what: string][] = [
      ...['inspect', 'logs', 'port', 'wait', 'rm', 'stop', 'start', 'restart', 'kill', 'attach'].map(
        (word): [string[], string] => [[word, 'nosuch'], 'container'],
      ),
      [['exec', 'nosuch', 'true'], 'container'],
      [['rename', 'nosuch', 'other'], 'container'],
      [['network', 'inspect', 'nosuch'], 'network'],
      [['network', 'rm', 'nosuch'], 'network'],
      [['network', 'check', 'nosuch'], 'network'],
      [['network', 'connect', 'back', 'nosuch'], 'container'],
      [['network', 'disconnect', 'back', 'nosuch'], 'container'],
    ];
    for (const [args, what] of calls) {
      const { code, stdout, stderr } = await net(...args);
      assert.match(stderr, new RegExp(`^error: no such ${what}: nosuch[^\\n]*\\n$`), args.join(' '));
      assert.equal(code === 0, false);
      assert(stdout === '' || stdout === '[]\n');
    }
  });

  it('shows the rest if a file cannot be parsed, and names that file', async () => {
    const directory = join(home, 'data', 'rootless-net', 'containers');
    const [first = ''] = readdirSync(directory);
    const file = join(directory, first, 'container.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, 'torn');
    try {
      const { code, stdout, stderr } = await net('ps', '-a', '-q');
      assert.deepEqual([code, stdout.split('\n').length], [0, 2]);
      assert.match(stderr, /^warning: skipping container \w{12}: cannot parse .*\n$/);
      // Once, though inspect looks among the containers and the networks.
      const inspected = await net('inspect', 'nosuch');
      assert.match(inspected.stderr, /^warning: skipping container [^\n]*\nerror: [^\n]*\n$/);
    } finally {
      writeFileSync(file, text);
    }
  });

  it('fails where existing state cannot be read', async () => {
    const directory = join(home, 'data', 'rootless-net', 'containers');
    renameSync(directory, `${directory}.kept`);
    symlinkSync('containers', directory);
    try {
      const { code, stdout, stderr } = await net('ps', '-a', '-q');
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^error: cannot list \/[^\n]*\/containers: [^\n]*\n$/);
    } finally {
      unlinkSync(directory);
      renameSync(`${directory}.kept`, directory);
    }
  });
});

describe('rootless-net that only reads, for a user without containers', () => {
  it('shows none, and makes nothing', async () => {
    const home = tempDir();
    const { env } = userDirectories(home);
    const before = contents(home);
    for (const args of [
      ['ps', '-a', '-q'],
      ['network', 'ls', '-q', '--filter=driver=bridge'],
    ]) {
      const { code, stdout, stderr } = await run(binPath('rootless-net'), args, { env });
      assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
    }
    assert.deepEqual(contents(home), before);
  });
});
