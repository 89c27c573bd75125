import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findProgram } from '../../setup/machine/requirements.js';
import { binPath, freePort, run, tempDir } from '../../support/index.js';
import { startContainer } from '../../support/stacks/containers.js';
import { withContainerStack } from '../../support/stacks/with-stack.js';
import { runInTerminal } from '../../support/terminal.js';

const programs = ['rootless-run', 'rootless-net', 'rootlessctl'];
const KILL_LINE = '\x15';

/** What is typed, and how the line ends afterwards. */
const LINES: readonly (readonly [typed: string, end: string])[] = [
  ['rootless-net netw\tinsp\t', 'inspect '],
  ['rootless-net stop --time 1 web\t', 'web-server '],
  ['rootless-run --port-driver=by\t', '=bypass'],
];

describe('completion of command lines', () => {
  const stack = withContainerStack({ keep: true });
  const env = () => ({ ...stack.env, PATH: `${dirname(binPath('rootless-net'))}:${process.env.PATH}`, TERM: 'dumb' });
  before(async () => {
    await startContainer(stack, { name: 'web-server' });
  });

  /** Types in a shell that loads the scripts by these words, without the user's files. */
  async function type(command: readonly string[], load: string): Promise<void> {
    const [program = '', ...words] = command;
    const path = findProgram(program) ?? program;
    const steps: [string, string][] = [['ready> ', `${load}; echo loaded $((1+1))\n`]];
    let shown = 'loaded 2';
    for (const [typed, end] of LINES) {
      steps.push([shown, `${KILL_LINE}${typed}`]);
      shown = end;
    }
    steps.push([shown, `${KILL_LINE}exit\n`]);
    const { code, output } = await runInTerminal([path, ...words], steps, { env: { ...env(), PS1: 'ready> ' } });
    assert.equal(code, 0, output);
  }

  it('is what a user gets with the tab key in bash', () =>
    type(['bash', '--norc', '--noprofile', '-i'], `for p in ${programs.join(' ')}; do . <($p completion bash); done`));

  it('is what a user gets with the tab key in zsh', () =>
    type(
      ['zsh', '-f', '-i'],
      `autoload -U compinit; compinit -D -u; for p in ${programs.join(' ')}; do source <($p completion zsh); done`,
    ));

  it('is what fish finds', async () => {
    const load = programs.map((program) => `${program} completion fish | source`).join('; ');
    const lines = [
      'rootless-net netw',
      'rootless-net stop web',
      'rootless-run --port-driver=by',
      'rootless-net run --rootfs /us',
    ];
    const finds = lines.map((line) => `complete -C '${line}'`).join('; ');
    const { code, stdout } = await run('fish', ['--no-config', '-c', `${load}; ${finds}`], { env: env() });
    assert.equal(code, 0);
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[0]),
      ['network', 'web-server', '--port-driver=bypass', '/usr/'],
    );
  });

  it('has the ports of the stack that the line selects', async () => {
    // So that it is not the default stack.
    const others = { ...env(), XDG_RUNTIME_DIR: tempDir() };
    const address = `127.0.0.1:${await freePort('127.0.0.1')}`;
    const given = ['--stack', stack.stateDir];
    await run(binPath('rootlessctl'), [...given, 'add-ports', `${address}:80/tcp`], { env: others });
    for (const [words, value] of [
      [[...given, 'trace', '127'], address],
      [[`--stack=${stack.stateDir}`, 'remove-ports', ''], '1'],
    ] as const) {
      const { stdout } = await run(binPath('rootlessctl'), ['__complete', ...words], { env: others });
      assert.equal(stdout.trim(), value);
    }
    const { stdout } = await run(binPath('rootless-net'), ['__complete', 'inspect', 'web'], { env: env() });
    assert.equal(stdout.trim(), 'web-server');
  });

  it('has scripts that the shells accept, and no others', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { stdout } = await run(binPath('rootlessctl'), ['completion', shell]);
      const file = join(tempDir(), 'script');
      writeFileSync(file, stdout);
      const { code, stderr } = await run(shell, ['-n', file]);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    }
    const { code, stderr } = await run(binPath('rootless-run'), ['completion', 'tcsh']);
    assert.deepEqual([code, /invalid shell "tcsh": expected one of bash, zsh, fish/.test(stderr)], [125, true], stderr);
  });

  it('gives nothing for an invalid command line, and never an error', async () => {
    for (const words of [[], ['--nonsense', ''], ['run', '--name', ''], ['x', 'y', 'z']]) {
      const { code, stdout, stderr } = await run(binPath('rootless-net'), ['__complete', ...words], { env: env() });
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.doesNotMatch(stdout, /error/);
    }
  });
});
