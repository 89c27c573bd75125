import assert from 'node:assert/strict';
import { DetachKeys, parseDetachKeys } from '../../../../bin/net/detach-keys.js';

describe('keys to detach from a terminal', () => {
  it('are written as with docker', () => {
    assert.deepEqual([...parseDetachKeys('ctrl-p,ctrl-q')], [16, 17]);
    assert.deepEqual([...parseDetachKeys('ctrl-@,a,CTRL-z,ctrl-_,ctrl-\\')], [0, 97, 26, 31, 28]);
    assert.deepEqual([...parseDetachKeys('')], []);
    for (const text of ['ctrl-', 'ctrl-1', 'ab', 'ctrl-p,', 'ä', 'ctrl-p ctrl-q']) {
      assert.throws(() => parseDetachKeys(text), { message: /^invalid --detach-keys / }, text);
    }
  });

  it('are found however they arrive, and nothing else is lost', () => {
    const type = (keys: string, ...parts: string[]) => {
      const detach = new DetachKeys(Buffer.from(keys));
      let passed = '';
      for (const part of parts) {
        const { data, detached } = detach.filter(Buffer.from(part));
        passed += data.toString();
        if (detached) return `${passed}|`;
      }
      return passed;
    };
    assert.equal(type('pq', 'abcpqd'), 'abc|');
    assert.equal(type('pq', 'abp', 'q'), 'ab|');
    assert.equal(type('pq', 'p', 'p', 'q'), 'p|');
    assert.equal(type('pq', 'pa', 'qp'), 'paq');
    assert.equal(type('aab', 'aaab'), 'a|');
    assert.equal(type('aab', 'aa', 'c'), 'aac');
    assert.equal(type('', 'pq'), 'pq');
  });
});
