import assert from 'node:assert/strict';
import { UndoStack } from '../../../../parent/stack/undo.js';

describe('undoing', () => {
  it('goes backwards, continues after failures, and resolves for all who wait after the last step', async () => {
    const done: string[] = [];
    const undo = new UndoStack((what, error) => done.push(`${what}: ${error}`));
    const slow = (name: string) => async () => {
      await new Promise(setImmediate);
      done.push(name);
    };
    undo.push('one', slow('one'));
    undo.push('two', () => {
      throw 'no';
    });
    undo.push('three', slow('three'));
    const first = undo.unwind();
    await undo.unwind();
    assert.deepEqual(done, ['three', 'two: no', 'one']);
    await first;
  });
});
