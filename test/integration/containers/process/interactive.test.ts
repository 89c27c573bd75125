import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { binPath, isAlive, listProcesses, run, start, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  kill,
  onlyLeft,
  startContainer,
  type Traces,
  traces,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { runInTerminal, type TerminalInput } from '../../../support/terminal.js';

for (const runtime of ['runc', 'crun']) {
  describe(`rootless-net run and exec in a terminal, with ${runtime}`, () => {
    const stack = withContainerStack({ keep: true });
    let clean: Traces;
    before(async () => {
      await startContainer(stack, { name: 'peer', runtime });
      clean = await traces(stack);
    });
    afterEach(async () => {
      await onlyLeft(stack, clean, 'after the test');
    });

    const cli = (...words: string[]) => [binPath('rootless-net'), ...words];
    const container = () => ['--runtime', runtime, '--rootfs', busyboxRootfs()];
    const inTerminal = (words: string[], steps: [string, TerminalInput][], program = cli(...words)) =>
      runInTerminal(program, steps, { env: stack.env }).then(({ code, output }) => ({
        code,
        // What a program writes last crun may take for words of its own, and shows them as errors.
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how.
        output: output.replace(/\x1b\[1;31m\S+Z: ([^\x1b]*)\x1b\[0m\n/g, '$1'),
      }));

    /**
     * Prints a word each time that the terminal gets one of these sizes, and repeats a line then. That of exec has none for
     * a moment, which stty does not like.
     */
    const sizes = (code: number) => {
      const until = (size: string, word: string) =>
        `until [ "$(stty size 2>&-)" = "${size}" ]; do sleep 0.02; done; echo ${word}`;
      return `trap "echo changed" WINCH; tty; ${until('33 111', 'first')}; ${until('22 99', 'second')}; read a; echo "got $a"; exit ${code}`;
    };
    const resized: [string, TerminalInput][] = [
      ['/dev/pts/', { columns: 111, rows: 33 }],
      ['first', { columns: 99, rows: 22 }],
      ['second', 'end\r'],
    ];

    it('has a terminal of the size of that of the caller, also when that changes, and ends with its exit code', async () => {
      for (const [words, code] of [
        [['run', '-it', '--rm', ...container(), '--'], 5],
        [['exec', '-it', 'peer'], 6],
      ] as const) {
        const result = await inTerminal([...words, 'sh', '-c', sizes(code)], resized);
        assert.match(result.output, /^\/dev\/pts\/\d+\n(changed\n)+first\n(changed\n)+second\nend\ngot end\n$/);
        assert.equal(result.code, code);
      }
    });

    it('has the size of the terminal of the caller from the beginning', async () => {
      const words = cli('run', '-it', '--rm', ...container(), '--', 'stty', 'size');
      const script = 'stty cols 123 rows 45; exec "$@"';
      const { output } = await inTerminal([], [], ['/bin/sh', '-c', script, 'sh', ...words]);
      assert.equal(output, '45 123\n');
    });

    it('leaves a container alone when the keys to detach are typed, and can be attached to it again', async () => {
      const words = [
        'run',
        '-it',
        '--rm',
        '--name',
        'left',
        ...container(),
        '--',
        'sh',
        '-c',
        'echo ready; read a; echo "got $a"',
      ];
      assert.equal((await inTerminal(words, [['ready', 'x\x10\x11']])).code, 0);
      assert.equal((await stack.containers.inspect('left')).status, 'running');
      const keys: [string, TerminalInput][] = [['', '\x10\x11\x02']];
      assert.equal((await inTerminal(['attach', '--detach-keys', 'ctrl-b', 'left'], keys)).code, 0);
      const { code, output } = await inTerminal(['attach', 'left'], [['', '\r']]);
      assert.deepEqual([code, /got x/.test(output)], [0, true], output);
      assert.match((await stack.net('attach', '--detach-keys', 'ctrl', 'left')).stderr, /invalid --detach-keys "ctrl"/);
    });

    it('passes Ctrl-C and Ctrl-D on as keys', async () => {
      const interrupted = await inTerminal(
        [
          'run',
          '-it',
          '--rm',
          ...container(),
          '--',
          'sh',
          '-c',
          'trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 1; done',
        ],
        [['ready', '\x03']],
      );
      assert.deepEqual([interrupted.code, interrupted.output], [3, 'ready\n^Cinterrupted\n']);
      // What is typed into exec goes to its program.
      const typed = await inTerminal(
        ['exec', '-it', 'peer', 'sh', '-c', 'echo ready; cat; exit 7'],
        [
          ['ready', 'abc\r'],
          ['abc\r\nabc', '\x04'],
        ],
      );
      assert.deepEqual([typed.code, typed.output], [7, 'ready\nabc\nabc\n']);
      const ended = await inTerminal(
        ['run', '-it', '--rm', ...container(), '--', 'sh', '-c', 'echo ready; cat; exit 4'],
        [['ready', '\x04']],
      );
      assert.deepEqual([ended.code, ended.output], [4, 'ready\n']);
    });

    it('shows why a container in a terminal cannot be started, and removes it', async () => {
      const { code, output: coloured } = await inTerminal(['run', '-it', ...container(), '--', 'no-such-program'], []);
      const output = stripVTControlCharacters(coloured);
      // Where it has a terminal, crun often loses the output of its child.
      if (/closed/.test(output)) return assert.deepEqual([code, /^error: crun create .*\n$/.test(output)], [125, true]);
      assert.equal(code, 127);
      assert.match(output, /^error: command not found in the container: no-such-program; hint: .*\n$/);
    });

    it('continues when the client is killed, and accepts the next one, which sees its screen', async () => {
      const script = 'echo ready; read a; echo "got $a"; touch /tmp/seen; read b; echo "and $b"; exit 9';
      const words = ['run', '-it', '--name', 'on', ...container(), '--', 'sh', '-c', script];
      const first = inTerminal(words, [['ready', 'one\r']]);
      const seen = join(busyboxRootfs(), 'tmp', 'seen');
      await waitFor(() => existsSync(seen), { what: 'the first line' });
      rmSync(seen);
      const command = cli('run', '-it', '--name', 'on').join(' ');
      const client = listProcesses().find(({ args }) => args.join(' ').startsWith(command));
      assert.ok(client);
      kill(client.pid);
      // What the container has written may not have reached it yet.
      const killed = await first;
      assert.equal(killed.code, -9);
      assert.ok('ready\none\ngot one\n'.startsWith(killed.output), killed.output);
      assert.equal((await stack.containers.inspect('on')).status, 'running');
      const { code, output } = await inTerminal(['start', '-a', 'on'], [['got one', 'two\r']]);
      assert.deepEqual([code, output], [9, 'ready\none\ngot one\ntwo\nand two\n']);
      await stack.must('rm', 'on');
    });

    it('leaves our terminal as it was', async () => {
      const script = 'before=$(stty -a); "$@"; [ "$before" = "$(stty -a)" ] && echo same';
      const words = cli('run', '-it', '--rm', ...container(), '--', 'true');
      const { output } = await inTerminal([], [], ['/bin/sh', '-c', script, 'sh', ...words]);
      assert.equal(output, 'same\n');
    });
  });
}

describe('rootless-net run without a terminal', () => {
  const stack = withContainerStack({ keep: true });
  let clean: Traces;
  before(async () => {
    await startContainer(stack, { name: 'peer' });
    clean = await traces(stack);
  });
  afterEach(async () => {
    await onlyLeft(stack, clean, 'after the test');
  });

  const net = binPath('rootless-net');
  const rootfs = () => ['--rootfs', busyboxRootfs()];

  it('passes all of a large standard input and output', async () => {
    const input = Buffer.alloc(3_000_000, 'rootless ');
    const hash = createHash('sha256').update(input).digest('hex');
    const options = { env: stack.env, input };
    const sum = await run(net, ['run', '-i', '--rm', ...rootfs(), '--', 'sha256sum'], options);
    assert.deepEqual([sum.code, sum.stdout, sum.stderr], [0, `${hash}  -\n`, '']);
    for (const command of [
      ['run', '-i', '--rm', ...rootfs(), '--', 'cat'],
      ['exec', '-i', 'peer', 'cat'],
    ]) {
      const { code, stdout } = await run(net, command, options);
      assert.equal(code, 0);
      assert.equal(createHash('sha256').update(stdout).digest('hex'), hash, command.join(' '));
    }
  });

  it('ends with the exit code of its program, whichever that is', async () => {
    for (const [script, expected] of [
      ['exit 0', 0],
      ['exit 1', 1],
      ['exit 255', 255],
      ['kill -9 $$', 137],
      ['kill -15 $$', 143],
    ] as const) {
      // The first process of a pid namespace gets no signals from within but those that it handles.
      const inner = `sh -c '${script}'; exit $?`;
      const { code } = await stack.net('run', '--rm', ...rootfs(), '--', 'sh', '-c', inner);
      assert.equal(code, expected, script);
      assert.equal((await stack.net('exec', 'peer', 'sh', '-c', inner)).code, expected, `exec ${script}`);
    }
  });

  it('passes signals on, and is removed with --rm when it has ended', async () => {
    const script = 'trap "echo term; exit 9" TERM; echo ready; while :; do sleep 0.05; done';
    const client = await start(net, ['run', '--rm', ...rootfs(), '--', 'sh', '-c', script], {
      env: stack.env,
      ready: { output: /ready/ },
    });
    assert.deepEqual(await client.stop('SIGTERM'), { code: 9, signal: null });
    assert.equal(client.output(), 'ready\nterm\n');
    assert.deepEqual(
      (await stack.containers.list()).map(({ name }) => name),
      ['peer'],
    );
  });

  it('continues when the client is killed, with all that it writes', async () => {
    const script = 'echo ready; until [ -e /tmp/end ]; do sleep 0.05; done; rm /tmp/end; echo done; exit 8';
    for (const command of [
      ['run', '--name', 'on', ...rootfs(), '--', 'sh', '-c', script],
      ['start', '-a', 'on'],
      ['logs', '-f', 'on'],
    ]) {
      if (command[0] === 'logs') await stack.containers.start('on');
      const client = await start(net, command, { env: stack.env, ready: { output: /ready/ } });
      kill(client.pid);
      await client.ended;
      const { status, pid = 0 } = await stack.containers.inspect('on');
      assert.equal(status, 'running', command.join(' '));
      assert.ok(isAlive(pid));
      await stack.must('exec', 'on', 'touch', '/tmp/end');
      assert.equal(await stack.must('wait', 'on'), '8');
    }
    assert.equal(await stack.must('logs', 'on'), 'ready\ndone\n'.repeat(3).trim());
    await stack.must('rm', 'on');
  });

  it('removes one with --rm that is detached, or whose agent died, or whose stack was restarted', async () => {
    const id = await stack.must('run', '-d', '--rm', ...rootfs(), '--', 'true');
    await waitFor(async () => !(await stack.containers.list()).some((report) => report.id === id), {
      what: 'its removal',
    });
    const { id: other, pid = 0 } = await startContainer(stack, { autoRemove: true });
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    assert.equal((await stack.containers.inspect(other)).status, 'running');
    kill(pid);
    await waitFor(async () => (await stack.containers.list()).length === 1, { what: 'its removal' });
  });
});
