// In CI a test that failed is run once more, alone, after all others: what passes then depends on the load of the machine
// or on the tests beside it. It is named at the end of the run all the same, so that it is looked into; but the change
// that is tested is not to blame.
import { addCounts, type Counts } from './counts.js';

/** More failures than these are not chance. */
const limit = 8;

/** The pattern of mocha's that those tests, or suites, are run with. */
function patternOf(titles: readonly string[]): string {
  return titles.map((title) => `^${title.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}`).join('|');
}

/**
 * The counts of a run after its failed tests were given a second try by `run`, and the reports of those that passed it.
 * What is not a test's failure stays one, unless a test failed in the same run and may have left it behind.
 */
export async function afterSecondTry(
  first: Counts,
  run: (options: string[]) => Promise<Counts>,
): Promise<{ counts: Counts; flaky: string[] }> {
  const titles = [...new Set(first.failures.flatMap(({ title }) => title ?? []))];
  if (titles.length === 0 || titles.length > limit) return { counts: first, flaky: [] };
  process.stdout.write(`\nOnce more, alone: ${titles.join('; ')}\n`);
  const second = await run(['--grep', patternOf(titles)]);
  if (second.passed === 0) return { counts: first, flaky: [] };
  const lasting = first.failures.filter(({ title, mayFollow }) => title === undefined && !mayFollow);
  const retried = first.failures.length - lasting.length;
  const failedAgain = new Set(second.failures.map(({ title }) => title));
  return {
    counts: addCounts({ ...first, failed: first.failed - retried, failures: lasting }, second),
    flaky: first.failures
      .filter((failure) => !lasting.includes(failure) && !failedAgain.has(failure.title))
      .map(
        ({ title, report }) =>
          `${title === undefined ? 'After a failed test' : 'Passed at the second try only'}: ${report}`,
      ),
  };
}
