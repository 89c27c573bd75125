import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { write, writeAtomic } from '../../../../../child/container/storage/atomic-files.js';
import { tempDir } from '../../../../support/index.js';

describe('a file that is replaced', () => {
  it('stays the same file where content and mode are the same', async () => {
    const directory = tempDir();
    const path = join(directory, 'file');
    await writeAtomic(path, 'text');
    const { ino } = statSync(path);
    await writeAtomic(path, 'text');
    assert.equal(statSync(path).ino, ino);
    chmodSync(path, 0o644);
    await writeAtomic(path, 'text');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await writeAtomic(path, 'test');
    assert.equal(readFileSync(path, 'utf8'), 'test');
    await writeAtomic(path, 'test', { mode: 0o644 });
    assert.equal(statSync(path).mode & 0o777, 0o644);
    assert.deepEqual(readdirSync(directory), ['file']);
  });
});

describe('a file that is written in place', () => {
  it('has nothing of a longer text before it', () => {
    const path = join(tempDir(), 'file');
    for (const text of ['a longer text', 'short', '', 'ä']) {
      write(path, text, 0o640);
      assert.deepEqual([readFileSync(path, 'utf8'), statSync(path).mode & 0o777], [text, 0o640]);
    }
  });
});
