import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  findProgram,
  freeSubIdStart,
  hasProgram,
  missingPackages,
  parseSubIds,
  suits,
} from '../../setup/machine/requirements.js';
import { tempDir } from '../../support/index.js';

describe('what the tests need of the machine', () => {
  it('names each missing package once', () => {
    assert.deepEqual(
      missingPackages(
        (program) => program !== 'ip' && program !== 'ss' && program !== 'curl',
        () => false,
      ),
      ['curl', 'dbus-user-session', 'iproute2'],
    );
    assert.deepEqual(
      missingPackages(
        () => true,
        () => true,
      ),
      [],
    );
  });

  it('searches a program in PATH, or at its full path', () => {
    assert.deepEqual(['sh', '/bin/sh', '/nonexistent/sh', 'no-such-program'].map(hasProgram), [
      true,
      true,
      false,
      false,
    ]);
  });

  it('requires a busybox that is static', () => {
    const directory = tempDir();
    copyFileSync('/bin/sh', join(directory, 'busybox'));
    assert.equal(suits('busybox', join(directory, 'busybox')), false);
    assert.equal(suits('sh', '/bin/sh'), true);
    const found = findProgram('busybox');
    if (found !== undefined) assert.equal(suits('busybox', found), true);
  });

  it('reads sub-id files', () => {
    assert.deepEqual(parseSubIds('a:100000:65536\n\nnonsense\n1001:165536:65536\n'), [
      { user: 'a', first: 100_000, count: 65_536 },
      { user: '1001', first: 165_536, count: 65_536 },
    ]);
  });

  it('finds unused sub-ids', () => {
    const range = (first: number, count = 65_536) => ({ user: 'a', first, count });
    assert.equal(freeSubIdStart([], 65_536), 100_000);
    assert.equal(freeSubIdStart([range(500_000)], 65_536), 100_000);
    assert.equal(freeSubIdStart([range(165_536), range(100_000)], 65_536), 231_072);
    assert.equal(freeSubIdStart([range(120_000, 10)], 65_536), 120_010);
    assert.equal(freeSubIdStart([range(100, 50)], 65_536), 100_000);
  });
});
