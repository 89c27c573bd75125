import assert from 'node:assert/strict';
import { freeSubIdStart, hasProgram, missingPackages, parseSubIds } from '../../setup/requirements.js';

describe('what the tests need of the machine', () => {
  it('names each missing package once', () => {
    assert.deepEqual(
      missingPackages((program) => program !== 'ip' && program !== 'ss' && program !== 'curl'),
      ['curl', 'iproute2'],
    );
    assert.deepEqual(
      missingPackages(() => true),
      [],
    );
  });

  it('looks for a program in PATH, or where its full path says', () => {
    assert.deepEqual(['sh', '/bin/sh', '/nonexistent/sh', 'no-such-program'].map(hasProgram), [
      true,
      true,
      false,
      false,
    ]);
  });

  it('reads sub-id files', () => {
    assert.deepEqual(parseSubIds('a:100000:65536\n\nnonsense\n1001:165536:65536\n'), [
      { user: 'a', first: 100_000, count: 65_536 },
      { user: '1001', first: 165_536, count: 65_536 },
    ]);
  });

  it('finds sub-ids that belong to nobody', () => {
    const range = (first: number, count = 65_536) => ({ user: 'a', first, count });
    assert.equal(freeSubIdStart([], 65_536), 100_000);
    assert.equal(freeSubIdStart([range(500_000)], 65_536), 100_000);
    assert.equal(freeSubIdStart([range(165_536), range(100_000)], 65_536), 231_072);
    assert.equal(freeSubIdStart([range(120_000, 10)], 65_536), 120_010);
    assert.equal(freeSubIdStart([range(100, 50)], 65_536), 100_000);
  });
});
