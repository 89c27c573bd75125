// In CI a file of tests of which one failed is run once more, alone, after all others: what passes then depends on the load of
// the machine or on the tests beside it. It is named at the end of the run all the same, so that it is looked into; but the
// change that is tested is not to blame. The whole file, since tests may build on those before them.
import type { Counts, Failure } from './counts.js';

/** More failures than these are not chance. */
const limit = 8;

/**
 * The counts of a run after the files of its failed tests were given a second try by `run`, and reports of the tests that failed
 * in one of the two alone. What is not a test's failure stays one, unless a test failed in the same run and may have left it
 * behind.
 */
export async function afterSecondTry(
  first: Counts,
  run: (options: string[]) => Promise<Counts>,
): Promise<{ counts: Counts; flaky: string[] }> {
  const titles = new Set(first.failures.flatMap(({ title }) => title ?? []));
  const files = [...new Set(first.failures.flatMap(({ file }) => file ?? []))];
  if (files.length === 0 || titles.size > limit) return { counts: first, flaky: [] };
  process.stdout.write(`\nOnce more, alone: ${files.join(', ')}\n`);
  const second = await run(files.flatMap((file) => ['--file', file]));
  if (second.passed === 0) return { counts: first, flaky: [] };
  const isNew = ({ title }: Failure) => title !== undefined && !titles.has(title);
  const again = second.failures.filter((failure) => !isNew(failure));
  const failedAgain = new Set(again.map(({ title }) => title));
  const lasting = first.failures.filter(({ title, mayFollow }) => title === undefined && !mayFollow);
  const passed = [...titles].filter((title) => !failedAgain.has(title)).length;
  const failures = [...lasting, ...again];
  return {
    counts: { ...first, passed: first.passed + passed, failed: failures.length, failures },
    flaky: [
      ...first.failures
        .filter((failure) => !lasting.includes(failure) && !failedAgain.has(failure.title))
        .map(
          ({ title, report }) =>
            `${title === undefined ? 'After a failed test' : 'Passed at the second try only'}: ${report}`,
        ),
      ...second.failures.filter(isNew).map(({ report }) => `Failed at the second try only: ${report}`),
    ],
  };
}
