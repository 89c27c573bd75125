import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { tempDir, waitFor } from '../../support/index.js';
import { refuses, runNested, runScript, runWords } from '../../support/stacks/rootless-run.js';

const copyUp = (...directories: string[]) => [
  '--net=none',
  ...directories.map((directory) => `--copy-up=${directory}`),
];

/** What others have left there, such as a RootlessKit that was killed. */
let leftovers: readonly string[] = [];

/** Entries of /tmp that only exist while directories are copied up, and are this user's. */
function scaffolding(): string[] {
  return readdirSync('/tmp').filter((name) => {
    if (leftovers.includes(name) || !/^rootless(kit-b|-net-sys-)/.test(name)) return false;
    return statSync(join('/tmp', name), { throwIfNoEntry: false })?.uid === process.getuid?.();
  });
}

describe('a directory that is copied up', () => {
  before(() => {
    leftovers = scaffolding();
  });

  it('shows each entry as a link to what it was, and each link as it was', async () => {
    const directory = tempDir();
    for (const name of ['.hidden', 'a b', 'new\nline']) writeFileSync(join(directory, name), name);
    mkdirSync(join(directory, 'directory'));
    symlinkSync('nowhere', join(directory, 'dangling'));
    symlinkSync('/proc/version', join(directory, 'absolute'));
    const list = `find . -mindepth 1 -maxdepth 1 -type l -printf '%f -> %l\\0' | sort -z`;
    const { stdout, code } = await runScript(`cd ${directory}; ${list}; cat 'a b'`, copyUp(directory));
    assert.equal(code, 0);
    assert.deepEqual(stdout.replace(/\.ro[^/]+\//g, 'HIDDEN/').split('\0'), [
      '.hidden -> HIDDEN/.hidden',
      'a b -> HIDDEN/a b',
      'absolute -> /proc/version',
      'dangling -> nowhere',
      'directory -> HIDDEN/directory',
      'new\nline -> HIDDEN/new\nline',
      'a b',
    ]);
    assert.equal(readdirSync(directory).length, 6, 'nothing of it is on the host');
  });

  it('can be changed without the host noticing: only links are removed', async () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'kept'), 'kept');
    mkdirSync(join(directory, 'below'));
    symlinkSync('kept', join(directory, 'link'));
    const script = 'cd "$0"; rm kept below link; echo new > kept; mkdir below; touch below/file; ls';
    const { stdout, stderr } = await runScript(script.replace('"$0"', directory), copyUp(directory));
    assert.deepEqual([stdout, stderr], ['below\nkept\n', '']);
    assert.equal(readFileSync(join(directory, 'kept'), 'utf8'), 'kept');
    assert.equal(readlinkSync(join(directory, 'link')), 'kept');
    assert.deepEqual(readdirSync(join(directory, 'below')), []);
  });

  it('is a tmpfs of root, with the mode that it had', async () => {
    const directory = tempDir();
    for (const mode of [0o700, 0o755, 0o1777]) {
      chmodSync(directory, mode);
      const { stdout } = await runScript(
        `stat -f -c %T ${directory}; stat -c '%u:%g %a' ${directory}`,
        copyUp(directory),
      );
      assert.equal(stdout, `tmpfs\n0:0 ${mode.toString(8)}\n`);
    }
  });

  it('lets what is mounted below it be reached', async () => {
    const directory = tempDir();
    mkdirSync(join(directory, 'a/mount'), { recursive: true });
    const script = 'mount -t tmpfs none "$1/a/mount"; echo mounted > "$1/a/mount/file"; cd "$1"; shift; exec "$@"';
    const { stdout, stderr } = await runNested(script, [
      directory,
      ...runWords(...copyUp(directory), 'cat', 'a/mount/file'),
    ]);
    assert.deepEqual([stdout, stderr], ['mounted\n', '']);
  });

  it('may lie in another one', async () => {
    const directory = tempDir();
    mkdirSync(join(directory, 'outer/inner'), { recursive: true });
    writeFileSync(join(directory, 'outer/inner/file'), 'text');
    const [outer, inner] = [join(directory, 'outer'), join(directory, 'outer/inner')];
    const both = await runScript(`stat -f -c %T ${outer}; cat ${inner}/file`, copyUp(inner, outer));
    assert.deepEqual([both.stdout, both.stderr], ['tmpfs\ntext', '']);
  });

  it('is /etc by default, and hosts and resolv.conf are files of their own there', async () => {
    const script =
      'stat -f -c %T /etc; for f in hosts resolv.conf; do stat -c "%F" /etc/$f; cmp /etc/$f $ROOTLESSKIT_STATE_DIR/$f; done';
    const { stdout, stderr } = await runScript(script, ['--net=slirp4netns']);
    assert.deepEqual([stdout, stderr], ['tmpfs\nregular file\nregular file\n', '']);
  });

  it('need not be /etc: then hosts and resolv.conf lie over those of the host', async () => {
    const before = readFileSync('/etc/resolv.conf', 'utf8');
    const directory = tempDir();
    const { stdout, code } = await runScript('cat /etc/resolv.conf; stat -f -c %T /etc', [
      ...['--net=slirp4netns', `--copy-up=${directory}`],
    ]);
    assert.match(stdout, /^nameserver 10\.0\.2\.3\n/);
    assert.doesNotMatch(stdout, /^tmpfs$/m);
    assert.equal(code, 0);
    assert.equal(readFileSync('/etc/resolv.conf', 'utf8'), before);
  });

  it('leaves no scaffolding in /tmp', async () => {
    assert.equal((await runScript('true', copyUp('/etc', '/run'))).code, 0);
    await waitFor(() => scaffolding().length === 0, { what: `the end of ${scaffolding()}` });
  });

  it('that is invalid is refused in one line that names the option', async () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'file'), '');
    const refused = (value: string, expected: RegExp) =>
      refuses(runWords('--net=none', `--copy-up=${value}`, 'true'), expected, { cwd: directory });
    await refused('/tmp', /\/tmp cannot be copied up/);
    await refused('/tmp/', /\/tmp cannot be copied up/);
    await refused('/', /\/ cannot be copied up/);
    await refused(join(directory, 'missing'), /copy-?[ -]?up.*missing.*does not exist/);
    await refused(join(directory, 'file'), /copy-?[ -]?up.*file.*not a directory/);
    assert.deepEqual(scaffolding(), []);
  });
});

/** Where the file system is mounted that a directory is in. */
function mountPointOf(directory: string): string {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '/');
  const above = points.filter((point) => point === '/' || `${directory}/`.startsWith(`${point}/`));
  return above.reduce((longest, point) => (point.length > longest.length ? point : longest), '/');
}

describe('mount propagation', () => {
  /** What is seen inside of a mount that is made outside while the command runs. */
  async function seen(...args: string[]): Promise<string> {
    const directory = tempDir();
    mkdirSync(join(directory, 'mount'));
    // The command prints that it is there, and waits for the mount to have been made.
    const inside =
      'echo > "$0/ready"; while ! test -e "$0/made"; do sleep 0.02; done; cat "$0/mount/file" 2> /dev/null || echo unseen';
    const outside =
      'd=$1; shift; "$@" & while ! test -e "$d/ready"; do sleep 0.02; kill -0 $!; done;' +
      ' mount -t tmpfs none "$d/mount"; echo seen > "$d/mount/file"; echo > "$d/made"; wait $!';
    const words = runWords('--net=none', ...args, 'sh', '-c', inside, directory);
    const { stdout, stderr, code } = await runNested(outside, [directory, ...words]);
    assert.deepEqual([stderr, code], ['', 0]);
    return stdout.trim();
  }

  it('keeps what the host mounts later from the command by default', async () => {
    assert.equal(await seen(), 'unseen');
    // It is about the mount of / alone: not about /tmp, where that is another one.
    const inRootMount = mountPointOf(tempDir()) === '/';
    assert.equal(await seen('--propagation=private'), inRootMount ? 'unseen' : 'seen');
    assert.equal(await seen('--propagation=rprivate'), 'unseen');
  });

  it('as slave shows it, with directories copied up', async () => {
    assert.equal(await seen('--propagation=slave'), 'seen');
    assert.equal(await seen('--propagation=rslave'), 'seen');
    assert.equal(await seen('--propagation=rslave', '--copy-up=/etc', '--copy-up=/run'), 'seen');
  });

  it('as shared shows it, and excludes copying up in so many words', async () => {
    for (const mode of ['shared', 'rshared']) {
      assert.equal(await seen(`--propagation=${mode}`), 'seen');
      await refuses(
        runWords('--net=none', `--propagation=${mode}`, '--copy-up=/etc', 'true'),
        new RegExp(`${mode}.*copy-up`),
      );
    }
  });

  it('never lets the host see what is mounted inside', async () => {
    const directory = tempDir();
    for (const mode of ['rprivate', 'rslave']) {
      const inside = `mount -t tmpfs none ${directory} && touch ${directory}/inside && ls ${directory}`;
      const { stdout } = await runScript(inside, ['--net=none', `--propagation=${mode}`]);
      assert.equal(stdout, 'inside\n');
      assert.deepEqual(readdirSync(directory), []);
    }
  });
});
