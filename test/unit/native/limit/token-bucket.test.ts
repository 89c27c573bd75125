import { expectSteps } from '../policy/policy.js';

const second = 1_000_000;

describe('a token bucket', () => {
  it('allows a burst, and then the rate', async () => {
    await expectSteps(
      [`bucket 1000 500 0`],
      ['available 0', 500],
      ['take 500 0'],
      ['available 0', 0],
      ['wait 1 0', 1000],
      ['wait 250 0', second / 4],
      ['available 1000', 1],
      [`available ${second / 4}`, 250],
      [`available ${10 * second}`, 500],
      // More than the burst never comes.
      [`wait 900 ${10 * second}`, 0],
    );
  });

  it('counts parts of a byte, however often it is asked', async () => {
    const asked = Array.from({ length: 999 }, (_, i) => [`available ${i + 1}`] as const);
    await expectSteps(['bucket 1500 500 0'], ['take 500 0'], ...asked, ['available 1000', 1], ['available 2000', 3]);
  });

  it('pays a debt first', async () => {
    await expectSteps(
      ['bucket 1000 100 0'],
      ['take 1100 0'],
      ['available 0', 0],
      ['wait 1 0', second + 1000],
      [`available ${second}`, 0],
      [`available ${second + 50_000}`, 50],
    );
  });

  it('takes back what was not sent, up to the burst', async () => {
    await expectSteps(
      ['bucket 1000 500 0'],
      ['take 500 0'],
      ['giveback 200'],
      ['available 0', 200],
      ['giveback 900'],
      ['available 0', 500],
    );
  });

  it('has no overflow at its largest rate, after years', async () => {
    const most = 1_000_000_000_000;
    await expectSteps(
      [`bucket ${most} ${most} 0`],
      [`take ${most} 0`],
      [`take ${Number.MAX_SAFE_INTEGER} 0`],
      ['wait 1 0', second + 1],
      [`available ${second}`, 0],
      [`available ${9e15}`, most],
      ['available 0', most],
    );
  });
});
