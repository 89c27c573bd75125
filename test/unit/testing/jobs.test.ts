import assert from 'node:assert/strict';
import { describeJob, divide, filesOf, parseShard, planJobs, runAtOnce } from '../../setup/jobs.js';
import { BlockPrinter } from '../../setup/results/blocks.js';
import { kinds, testFiles } from '../../setup/test-files.js';

describe('jobs of a test run', () => {
  it('have each test file once', () => {
    const planned = planJobs(kinds, 3).flatMap((job) => filesOf(job).map((file) => `${job.kind} ${file}`));
    const all = kinds.flatMap((kind) => testFiles(kind).map((file) => `${kind} ${file}`));
    assert.deepEqual(planned.sort(), all.sort());
    assert(planJobs(['integration'], 3).length > 3);
    assert.equal(planJobs(['unit'], 3).length, 3);
    assert.equal(planJobs(['system'], 3).length, 1);
  });

  it('take about the same time if a kind is divided', () => {
    const seconds: Record<string, number> = { a: 9, b: 5, c: 4, d: 3, e: 3 };
    const parts = divide(['e', 'd', 'c', 'b', 'a'], 3, (file) => seconds[file] ?? 0);
    assert.deepEqual(parts, [['a'], ['b', 'e'], ['c', 'd']]);
  });

  it('are named, and parts of a kind are read back from their names', () => {
    assert.equal(describeJob({ kind: 'compat' }), 'compat');
    assert.equal(describeJob({ kind: 'unit', shard: { number: 2, of: 3 } }), 'unit 2/3');
    assert.deepEqual(parseShard('2/3'), { number: 2, of: 3 });
    for (const text of ['', '0/3', '4/3', '1', '1.5/3', 'x/y'])
      assert.throws(() => parseShard(text), /^Error: invalid/);
  });

  it('run at most so many at once, in their order, until they are stopped', async () => {
    const log: string[] = [];
    const ends: (() => void)[] = [];
    const task = (name: string) => () =>
      new Promise<string>((resolve) => {
        log.push(name);
        ends.push(() => resolve(name));
      });
    let stopped = false;
    const running = runAtOnce(['a', 'b', 'c', 'd'].map(task), 2, () => stopped);
    assert.deepEqual(log, ['a', 'b']);
    ends[1]?.();
    await new Promise(setImmediate);
    assert.deepEqual(log, ['a', 'b', 'c']);
    stopped = true;
    ends[0]?.();
    ends[2]?.();
    assert.deepEqual(await running, ['a', 'b', 'c']);
  });
});

describe('output of test runs side by side', () => {
  it('comes in whole blocks, under the name of a run if that changes', () => {
    let text = '';
    const printer = new BlockPrinter((block) => {
      text += block;
    });
    const [one, two] = [printer.source('one'), printer.source('two')];
    one.write('\n  first\n    ✔ a');
    two.write('\n  other\n    ✔ x\n\n');
    one.write('\n\n  second\n');
    one.write('    ✔ b\n\n  third');
    one.end();
    two.end();
    const [a, b, c] = ['\n  first\n    ✔ a\n\n', '  second\n    ✔ b\n\n', '  third\n'];
    assert.equal(text, `\n── two\n\n  other\n    ✔ x\n\n\n── one\n${a}${b}${c}`);
  });
});
