import assert from 'node:assert/strict';
import { parseGetSubIds, parseSubIds } from '../../../../parent/namespaces/id-map.js';

describe('sub-ids', () => {
  const alice = { uid: 1000, name: 'alice' };

  it('are those of the user, by name or by id', () => {
    const file = 'bob:1:2\nalice:100000:65536\n1000:300000:10\n10000:5:5\n';
    assert.deepEqual(parseSubIds(file, alice), [
      { start: 100000, length: 65536 },
      { start: 300000, length: 10 },
    ]);
  });

  it('count once if a range is there by name and by id', () => {
    assert.deepEqual(parseSubIds('alice:100000:65536\n1000:100000:65536\n', alice), [{ start: 100000, length: 65536 }]);
  });

  it('are not read from lines that are malformed or empty', () => {
    assert.deepEqual(parseSubIds('alice:x:10\nalice:5\nalice::\nalice:7:0\n\n# alice:1:1\n', alice), []);
  });

  it('do not belong to a user without a name by an empty owner', () => {
    assert.deepEqual(parseSubIds('other:1:1\n', { uid: 5, name: '' }), []);
    assert.deepEqual(parseSubIds('\n:1:1\n', { uid: 5, name: '' }), []);
  });

  it('come from getsubids as well', () => {
    assert.deepEqual(parseGetSubIds('0: alice 100000 65536\n1: alice 300000 10\n'), [
      { start: 100000, length: 65536 },
      { start: 300000, length: 10 },
    ]);
    assert.deepEqual(parseGetSubIds('Error fetching ranges\n'), []);
  });
});
