import assert from 'node:assert/strict';
import { argumentLimits, checkArguments } from '../../../../../child/container/oci/argument-limits.js';
import { run } from '../../../../support/index.js';

describe('the limits of arguments and environment', () => {
  it('are a quarter of the stack, within bounds', () => {
    const all = (stack: number) => argumentLimits(stack).all;
    assert.deepEqual(
      [all(8 * 2 ** 20), all(1024), all(Number.POSITIVE_INFINITY)],
      [2 * 2 ** 20, 128 * 1024, 6 * 2 ** 20],
    );
  });

  it("are the kernel's, to the byte", async () => {
    const stack = 8 * 2 ** 20;
    const limits = argumentLimits(stack);
    const rlimits = [{ type: 'RLIMIT_STACK', soft: stack, hard: stack }];
    const file = '/bin/true';
    const env = { A: 'b' };
    // What is left for one more word, with its NUL and its pointer, beside the others.
    const words = Array.from({ length: 20 }, () => 'x'.repeat(100_000));
    const used = [file, file, 'A=b', ...words].reduce((sum, word) => sum + word.length + 1, 0) + 8 * (2 + words.length);
    const script = `
      const words = [...Array.from({ length: 20 }, () => 'x'.repeat(100_000)), 'y'.repeat(Number(process.argv[1]))];
      const { error } = require('node:child_process').spawnSync('${file}', words, { env: { A: 'b' } });
      console.log(error?.code ?? 'ok');`;
    const left = limits.all - used - 9;
    for (const [size, outcome] of [
      [left, 'ok'],
      [left + 1, 'E2BIG'],
    ] as const) {
      const args = [file, ...words, 'y'.repeat(size)];
      const check = () => checkArguments({ args, env: [`A=${env.A}`], rlimits });
      if (outcome === 'ok') check();
      else
        assert.throws(check, { httpStatus: 400, message: /^the command and its environment are too long: \d+ bytes/ });
      const { stdout } = await run('sh', [
        '-c',
        'ulimit -s 8192; exec "$@"',
        'sh',
        process.execPath,
        '-e',
        script,
        String(size),
      ]);
      assert.equal(stdout, `${outcome}\n`, String(size));
    }
  });

  it('name the word that is too long by itself', () => {
    const limits = argumentLimits();
    const long = 'x'.repeat(limits.one);
    for (const [args, env, message] of [
      [[long], [], /^the program's name is too long: \d+ bytes/],
      [['a', 'b', long], [], /^argument 2 of the command is too long: \d+ bytes, the kernel's limit is \d+ \(E2BIG\)$/],
      [['a'], ['A=b', `B=${long}`], /^the environment variable B is too long: /],
    ] as const) {
      assert.throws(() => checkArguments({ args, env }), { message });
    }
    checkArguments({ args: ['a', 'x'.repeat(limits.one - 1)], env: [] });
  });
});
