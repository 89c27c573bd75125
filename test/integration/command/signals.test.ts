import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { run, start, tempDir, waitFor } from '../../support/index.js';
import { listProcesses } from '../../support/process-info.js';
import { pathWith, runScript, runWords } from '../../support/stacks/rootless-run.js';

/** All that can be caught; the C library keeps 32 and 33 for itself. */
const all = Array.from({ length: 64 }, (_, index) => index + 1).filter((number) => ![9, 19, 32, 33].includes(number));
/** Those that are about the process alone that gets them. */
const own: number[] = [constants.signals.SIGCHLD, constants.signals.SIGPIPE, constants.signals.SIGURG];
/** Those that stop a process: tested by themselves. */
const stopping: number[] = [constants.signals.SIGTSTP, constants.signals.SIGTTIN, constants.signals.SIGTTOU];

/** Prints `ready`, and then the number of each signal that it gets, a line each. */
const witness = `
import signal, sys
numbers = [n for n in range(1, 65) if n not in (9, 19, 32, 33, 17)]
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print('ready', flush=True)
while True:
    print('got', signal.sigwait(numbers), flush=True)
`;

describe('signals', () => {
  for (const args of [['--net=slirp4netns'], ['--net=none', '--pidns']]) {
    it(`are passed on, real-time ones and those of faults included (${args.join(' ')})`, async () => {
      const [program, ...words] = runWords(...args, `--state-dir=${join(tempDir(), 'state')}`);
      const started = await start(program, [...words, '--', 'python3', '-c', witness], {
        ready: { output: /^ready$/m },
      });
      const got = () =>
        started
          .output()
          .split('\n')
          .flatMap((line) => /^got (\d+)$/.exec(line)?.[1] ?? [])
          .map(Number);
      const sent = all.filter((number) => !own.includes(number) && !stopping.includes(number));
      for (const number of sent) {
        process.kill(started.pid, number);
        await waitFor(() => got().includes(number), { what: `signal ${number}` });
      }
      assert.deepEqual(got(), sent, 'each once');
      assert.doesNotMatch(started.output(), /rootless-run:/, 'and nothing else happens');
      await started.stop('SIGKILL');
    });
  }

  it('that come as soon as the command runs are for the command', async () => {
    // The launcher's parent is rootless-run.
    const script =
      "trap 'exit 7' INT; kill -INT $(awk '/^PPid/{print $2}' /proc/$PPID/status); while :; do sleep 0.01; done";
    for (let time = 1; time <= 5; time++) {
      const { code, stderr } = await runScript(script);
      assert.deepEqual([code, stderr], [7, '']);
    }
  });

  it('to the process group while the id maps are written end the start, and do not reach the programs that write them', async () => {
    const groups = join(tempDir(), 'groups');
    const real = pathWith(['newuidmap']);
    // $1 is the pid of the launcher; the fifth field of a stat file is the process group, which has the pid of rootless-run.
    // That is ready for signals when it has a handler of SIGHUP (the lowest bit): the ids are mapped while it starts.
    const newuidmap = `cut -d ' ' -f 5 /proc/$$/stat /proc/$1/stat >${groups}
group=$(tail -n 1 ${groups})
until grep -q '^SigCgt:.*[13579bdf]$' /proc/$group/status; do kill -0 $group || exit 1; done
kill -TERM -$group
exec ${real}/newuidmap "$@"`;
    const env = { PATH: `${pathWith([], { newuidmap })}:${process.env.PATH}` };
    const serve = runWords('serve', '--net=none', `--state-dir=${join(tempDir(), 'state')}`);
    // In a process group of its own.
    const { code, stderr } = await run('setsid', serve, { env });
    assert.deepEqual([code, stderr], [0, '']);
    const [ofProgram, ofLauncher] = readFileSync(groups, 'utf8').split('\n');
    assert.notEqual(ofProgram, ofLauncher);
  });

  it('that stop a process stop the command, and rootless-run after it, until they are continued', async () => {
    const [program, ...words] = runWords('--net=none', `--state-dir=${join(tempDir(), 'state')}`);
    const started = await start(program, [...words, '--', 'python3', '-c', witness], {
      ready: { output: /^ready$/m },
    });
    process.kill(started.pid, 'SIGTSTP');
    await waitFor(() => started.output().includes(`got ${constants.signals.SIGTSTP}`));
    // Not before it has stopped: the kernel drops one signal for the other.
    const state = () => listProcesses().find(({ pid }) => pid === started.pid)?.state;
    await waitFor(() => state() === 'T', { what: 'rootless-run to stop' });
    process.kill(started.pid, 'SIGCONT');
    await waitFor(() => started.output().includes(`got ${constants.signals.SIGCONT}`));
    await started.stop('SIGKILL');
  });
});
