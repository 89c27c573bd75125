import assert from 'node:assert/strict';
import { GarbageCollector } from '../../../../../child/container/lifecycle/gc/garbage-collector.js';
import type { LiveContainers, Sweep, Sweepable } from '../../../../../child/container/storage/sweepable.js';

/** For stores that do not ask which containers there are. */
const NO_CONTAINERS = {} as LiveContainers;

function collector(...parts: Sweepable['sweep'][]): { garbage: GarbageCollector; warnings: string[] } {
  const warnings: string[] = [];
  const stores = parts.map((sweep) => ({ sweep }));
  return {
    garbage: new GarbageCollector(
      stores,
      NO_CONTAINERS,
      () => Promise.resolve(),
      (line) => warnings.push(line),
    ),
    warnings,
  };
}

describe('garbage collection', () => {
  it('reports what the stores find, in their order, and repairs nothing unless asked', async () => {
    const { garbage } = collector(
      ({ report }) => report('port', 'one', () => assert.fail('repaired')),
      ({ report }) => report('name', 'two', () => assert.fail('repaired')),
    );
    assert.deepEqual(await garbage.run('none'), [
      { kind: 'port', what: 'one', repaired: false },
      { kind: 'name', what: 'two', repaired: false },
    ]);
  });

  it('continues after a repair that fails, with a warning', async () => {
    const { garbage, warnings } = collector(
      ({ report }) =>
        report('port', 'ports of web', () => {
          throw new Error('busy');
        }),
      ({ report }) => report('name', 'stray', () => undefined),
    );
    assert.deepEqual(
      (await garbage.run('all')).map(({ repaired }) => repaired),
      [false, true],
    );
    assert.deepEqual(warnings, ['cannot repair ports of web: busy']);
  });

  for (const [repairs, repair, safe] of [
    ['none', false, false],
    ['safe', true, true],
    ['all', true, false],
  ] as const) {
    it(`passes on what is to be repaired: ${repairs}`, async () => {
      const sweeps: Pick<Sweep, 'repair' | 'safe'>[] = [];
      const { garbage } = collector(async (sweep) => {
        sweeps.push({ repair: sweep.repair, safe: sweep.safe });
      });
      await garbage.run(repairs);
      assert.deepEqual(sweeps, [{ repair, safe }]);
    });
  }
});
