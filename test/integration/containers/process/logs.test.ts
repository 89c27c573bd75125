// What containers write, and what they are given to write to.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { NewContainer } from '../../../../parent/client/container-client.js';
import { binPath, processInfo, run, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  kill,
  startContainer,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { runInTerminal } from '../../../support/terminal.js';

const shell = (script: string) => ['sh', '-c', script];

/** The log's files of a container, by their sizes in bytes. */
function logSizes(directory: string): Record<string, number> {
  const names = readdirSync(directory).filter((name) => name.startsWith('container.log'));
  return Object.fromEntries(names.map((name) => [name, statSync(join(directory, name)).size]));
}

for (const runtime of ['runc', 'crun']) {
  describe(`the streams of a container, with ${runtime}`, () => {
    const stack = withContainerStack({ keep: true });

    const container = () => ['--runtime', runtime, '--rootfs', busyboxRootfs()];
    /** Runs a script to its end. */
    const finished = async (script: string, request: NewContainer = {}) => {
      const command = shell(script);
      const report = await startContainer(stack, { network: { mode: 'none' }, runtime, command, ...request });
      await stack.containers.wait(report.id);
      return report;
    };

    it('keep all that it writes if it opens them again', async () => {
      for (const user of ['0', '1000']) {
        const { id } = await finished('echo one; echo two > /dev/stdout; echo three; echo four > /dev/stderr', {
          user,
        });
        const { stdout, stderr } = await stack.net('logs', id);
        assert.deepEqual([stdout, stderr], ['one\ntwo\nthree\n', 'four\n'], user);
      }
    });

    it('are pipes, and nothing of the host is among its descriptors', async () => {
      // Descriptor 3 is the directory that is listed.
      const script = 'for fd in /proc/self/fd/*; do readlink $fd; done';
      for (const stdin of [false, true]) {
        const { id } = await finished(script, { stdin });
        const [input, ...others] = (await stack.must('logs', id)).split('\n');
        assert.match(input ?? '', stdin ? /^pipe:/ : /^\/dev\/null$/);
        assert.match(others.slice(0, 2).join(' '), /^pipe:\S+ pipe:\S+$/);
        for (const other of others.slice(2)) assert.match(other, /^\/proc\/(\d+|self)\/fd$|^pipe:/, other);
      }
    });

    it('of a further program are pipes, too, which it can open again', async () => {
      const { id } = await startContainer(stack, { runtime, network: { mode: 'none' } });
      const script = 'readlink /proc/self/fd/1; readlink /proc/self/fd/2; echo two > /dev/stdout; echo three';
      assert.match(await execIn(stack, id, ...shell(script)), /^pipe:\S+\npipe:\S+\ntwo\nthree\n$/);
      await stack.containers.remove(id, { force: true });
    });

    it('of a further program without input is at its end, and no file of the host', async () => {
      const { id } = await startContainer(stack, { runtime, network: { mode: 'none' } });
      assert.equal(await execIn(stack, id, ...shell('cat; cat /dev/stdin; echo end')), 'end\n');
      const file = await execIn(stack, id, 'readlink', '/proc/self/fd/0');
      // What is on a file system is on one that the container sees.
      const mount = /mnt_id:\s*(\d+)/.exec(await execIn(stack, id, 'cat', '/proc/self/fdinfo/0'))?.[1];
      const mounts = await execIn(stack, id, 'cat', '/proc/self/mountinfo');
      assert.ok(/^pipe:/.test(file) || new RegExp(`^${mount} `, 'm').test(mounts), `${file} on ${mount}\n${mounts}`);
      await stack.containers.remove(id, { force: true });
    });

    it('are shown in the order in which it wrote to them', async () => {
      const script = 'for i in 1 2 3 4 5 6 7 8; do echo "out $i"; echo "more $i"; echo "err $i" >&2; done';
      const { id } = await finished(script);
      const words = [binPath('rootless-net'), 'logs', id];
      const merged = await run('sh', ['-c', 'exec "$@" 2>&1', 'sh', ...words], { env: stack.env });
      const expected = [1, 2, 3, 4, 5, 6, 7, 8].map((i) => `out ${i}\nmore ${i}\nerr ${i}\n`).join('');
      assert.equal(merged.stdout, expected);
    });

    it('keep a log of what it shows in a terminal, and outlive the agent', async () => {
      const script = 'echo ready; read a; echo "got $a"; exit 6';
      const { id } = await startContainer(stack, { runtime, command: shell(script), tty: true, stdin: true });
      for (const agent of stack.agents()) kill(agent);
      await stack.settled();
      const words = [binPath('rootless-net'), 'start', '-a', id];
      const { code, output } = await runInTerminal(words, [['ready', 'x\r']], { env: stack.env });
      assert.deepEqual([code, output], [6, 'ready\nx\ngot x\n']);
      assert.equal((await stack.net('logs', id)).stdout, 'ready\r\nx\r\ngot x\r\n');
    });

    it('take input when the agent is another one by now', async () => {
      const { id } = await startContainer(stack, { runtime, command: ['cat'], stdin: true });
      for (const agent of stack.agents()) kill(agent);
      await stack.settled();
      const stream = await stack.containers.attach(id);
      await stream.write(Buffer.from('hello'));
      stream.control({ type: 'stdin-end' });
      assert.equal(await stream.exit, 0);
      assert.equal(await stack.must('logs', id), 'hello');
    });

    it('lose nothing while the agent is killed and another one starts', async () => {
      const script = 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i"; done; exit 5';
      const { id } = await startContainer(stack, { runtime, command: shell(script) });
      for (const agent of stack.agents()) kill(agent);
      await stack.settled();
      assert.equal(await stack.containers.wait(id), 5);
      const lines = (await stack.must('logs', id)).split('\n');
      assert.deepEqual(
        lines,
        Array.from({ length: 3000 }, (_, index) => `line ${index + 1}`),
      );
    });

    it('are passed on to the very last byte if it is removed at its end', async () => {
      const script = 'head -c 12000000 /dev/zero | tr "\\0" x; echo; echo last >&2';
      const words = ['run', '--rm', ...container(), '--', ...shell(script)];
      const result = await run(binPath('rootless-net'), words, { env: stack.env });
      assert.deepEqual([result.code, result.stdout.length, result.stderr], [0, 12_000_001, 'last\n']);
    });
  });
}

describe('the log of a container', () => {
  const stack = withContainerStack({ keep: true });
  const finished = async (script: string, request: NewContainer = {}) => {
    const report = await startContainer(stack, { network: { mode: 'none' }, command: shell(script), ...request });
    await stack.containers.wait(report.id);
    return report;
  };

  it('is bounded, whatever the container writes, and does not block it', async () => {
    const words = ['--log-opt', 'max-size=1m', '--log-opt', 'max-file=2', '--net=none', '--rootfs', busyboxRootfs()];
    const script = 'head -c 400000000 /dev/zero; echo; echo last';
    const id = await stack.must('run', '-d', ...words, '--', ...shell(script));
    assert.equal(await stack.containers.wait(id), 0);
    const sizes = logSizes((await stack.containers.inspect(id)).directory);
    assert.deepEqual(Object.keys(sizes).sort(), ['container.log', 'container.log.1']);
    for (const [name, size] of Object.entries(sizes)) assert.ok(size <= 1_000_000, `${name}: ${size}`);
    assert.equal(await stack.must('logs', '--tail', '1', id), 'last');
  });

  it('is followed to the last byte, however much less the log holds', async () => {
    const small = ['--log-opt', 'max-size=8k', '--log-opt', 'max-file=2', '--net=none', '--rootfs', busyboxRootfs()];
    const { stdout, stderr, code } = await stack.net(
      'run',
      '--rm',
      ...small,
      '--',
      ...shell('seq 1 200000; echo end >&2'),
    );
    const lines = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`);
    assert.deepEqual(differences(stdout, lines.join('')), []);
    assert.deepEqual([stderr, code], ['end\n', 0]);
  });

  it('is followed across its files, until the container ends', async () => {
    const script = 'read go; i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo "line $i of many"; done';
    // Files enough for all: a slow reader would miss output otherwise.
    const log = { maxSize: 10_000, maxFiles: 100 };
    const { id, directory } = await startContainer(stack, { command: shell(script), stdin: true, log });
    const follower = await stack.containers.logs(id, { follow: true });
    let text = '';
    follower.listen((_, data) => {
      text += data.toString();
    });
    const input = await stack.containers.attach(id);
    await input.write(Buffer.from('go\n'));
    assert.equal(await follower.exit, 0);
    const lines = Array.from({ length: 4000 }, (_, index) => `line ${index + 1} of many\n`);
    assert.deepEqual(differences(text, lines.join('')), []);
    assert.ok(Object.keys(logSizes(directory)).length > 10);
  });

  it('has the bytes as they were written, whatever they are', async () => {
    const script = 'dd if=/dev/urandom bs=1000 count=300 of=/tmp/random 2>/dev/null; cat /tmp/random; printf "no end"';
    const { id } = await finished(script);
    const random = readFileSync(join(busyboxRootfs(), 'tmp', 'random'));
    const stream = await stack.containers.logs(id);
    const pieces: Buffer[] = [];
    stream.listen((_, data) => pieces.push(data));
    await stream.exit;
    const hash = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    assert.equal(hash(Buffer.concat(pieces)), hash(Buffer.concat([random, Buffer.from('no end')])));
  });

  it('has one entry a line, with time and stream, and the pieces of lines', async () => {
    const { directory } = await finished('printf one; sleep 0.1; echo " line"; echo error >&2');
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z`;
    assert.match(
      readFileSync(join(directory, 'container.log'), 'utf8'),
      new RegExp(`^${time} stdout P one\n${time} stdout F  line\n${time} stderr F error\n$`),
    );
  });

  it('can be shown in part', async () => {
    const { id, directory } = await finished('echo one; printf tw; sleep 0.3; echo o; echo three >&2; echo four');
    const [, ...times] = readFileSync(join(directory, 'container.log'), 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '');
    // Of the second piece of the second line, and of the last line.
    const [second = '', , third = '', last = ''] = [times[1], '', times[2], times[3]];
    const unix = `${Date.parse(second) / 1000 - 0.1}`;
    for (const [words, stdout, stderr = ''] of [
      [[], 'one\ntwo\nfour\n', 'three\n'],
      [['--tail', '0'], ''],
      [['--tail', '1'], 'four\n'],
      [['-n', '2'], 'four\n', 'three\n'],
      [['--tail=3'], 'two\nfour\n', 'three\n'],
      [['--tail', '99'], 'one\ntwo\nfour\n', 'three\n'],
      [['--tail', 'all'], 'one\ntwo\nfour\n', 'three\n'],
      [['--since', last], 'four\n'],
      [['--since', unix], 'o\nfour\n', 'three\n'],
      [['--since', '1h'], 'one\ntwo\nfour\n', 'three\n'],
      [['--since', '0s'], ''],
      [['--until', unix], 'one\ntw'],
      [['--until', third], 'one\ntwo\n', 'three\n'],
      [['--until', third, '--tail', '2'], 'two\n', 'three\n'],
      [['--since', second, '--until', third], 'o\n', 'three\n'],
      [['--until', '2000-01-01'], ''],
      [['-f', '--tail', '1'], 'four\n'],
      [['-t', '--tail', '1'], `${last} four\n`],
      [['-t', '--tail', '3'], `${times[0]} two\n${last} four\n`, `${third} three\n`],
    ] as const) {
      const result = await stack.net('logs', ...words, id);
      assert.deepEqual([result.code, result.stdout, result.stderr], [0, stdout, stderr], words.join(' '));
    }
  });

  it('reports in one line what is invalid', async () => {
    const { id } = await finished('true');
    for (const [words, what] of [
      [['logs', '--tail', 'x', id], /^error: invalid --tail "x": /],
      [['logs', '--since', 'yesterday', id], /^error: invalid --since "yesterday": expected RFC 3339/],
      [['logs', '--until', '2026-13-01', id], /^error: invalid --until "2026-13-01": /],
      [['run', '--log-opt', 'max-size=0', '--rootfs', '/', 'true'], /^error: invalid max-size "0": /],
      [['run', '--log-opt', 'max-size=10q', '--rootfs', '/', 'true'], /^error: invalid max-size "10q": /],
      [['run', '--log-opt', 'max-file=0', '--rootfs', '/', 'true'], /^error: invalid max-file "0": /],
      [['run', '--log-opt', 'compress=true', '--rootfs', '/', 'true'], /^error: invalid log option "compress=true": /],
      [['run', '--log-driver', 'journald', '--rootfs', '/', 'true'], /^error: invalid log driver "journald": /],
      [['logs', 'nobody'], /^error: no such container: nobody/],
    ] as const) {
      const { code, stdout, stderr } = await stack.net(...words);
      assert.deepEqual([code !== 0, stdout, stderr.split('\n').length], [true, '', 2], stderr);
      assert.match(stderr, what);
    }
  });

  it('counts what did not fit on a full disk, and the container continues', async () => {
    const many = 'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "line $i"; done';
    const script = `read go; ${many}; touch /tmp/written; read go; rm /tmp/written; echo last; exit 4`;
    const { id, pid = 0, directory } = await startContainer(stack, { command: shell(script), stdin: true });
    const monitor = processInfo(pid)?.ppid ?? assert.fail('the container has no monitor');
    assert.equal(processInfo(monitor)?.comm, 'container-mon');
    const limit = async (size: string) => {
      assert.equal((await run('prlimit', [`--pid=${monitor}`, `--fsize=${size}:unlimited`])).code, 0);
    };
    await limit('5000');
    const input = await stack.containers.attach(id);
    await input.write(Buffer.from('go\n'));
    const log = () => readFileSync(join(directory, 'container.log'), 'utf8');
    await waitFor(() => existsSync(join(busyboxRootfs(), 'tmp', 'written')), { what: 'all that it writes' });
    assert.ok(log().length <= 5000);
    await limit('unlimited');
    await input.write(Buffer.from('go\n'));
    assert.equal(await input.exit, 4);
    assert.match(
      log(),
      /Z stderr F rootless-net: \d+ bytes of output were dropped: File too large\n\S+ stdout F last\n$/,
    );
    assert.ok(
      log()
        .split('\n')
        .every((line) => line === '' || /^\S+Z std(out|err) F /.test(line)),
    );
  });

  it('continues after an entry whose writer was killed', async () => {
    const {
      id,
      pid = 0,
      directory,
    } = await startContainer(stack, {
      command: shell('printf begun; while [ ! -e /tmp/again ]; do sleep 0.02; done; echo again'),
    });
    await waitFor(() => readFileSync(join(directory, 'container.log'), 'utf8').includes('begun'), {
      what: 'its output',
    });
    kill(processInfo(pid)?.ppid);
    kill(pid);
    await stack.containers.wait(id);
    await execTouch(stack, 'again');
    await stack.containers.start(id);
    await stack.containers.wait(id);
    assert.equal(await stack.must('logs', id), 'begunbegunagain');
    assert.equal(existsSync(join(directory, 'stdout.log')), false);
  });
});

/** The first lines in which two texts differ; a large text is shown badly. */
function differences(text: string, expected: string): string[] {
  const [lines, others] = [text.split('\n'), expected.split('\n')];
  const index = lines.findIndex((line, at) => line !== others[at]);
  return index < 0 && lines.length === others.length
    ? []
    : [`${index}`, ...lines.slice(Math.max(index, 0)).slice(0, 3)];
}

/** Makes a file in the root file system that containers share. */
async function execTouch(stack: ContainerStack, name: string): Promise<void> {
  const { id } = await startContainer(stack, { command: ['touch', `/tmp/${name}`], autoRemove: true });
  await stack.containers.wait(id).catch(() => {});
}
