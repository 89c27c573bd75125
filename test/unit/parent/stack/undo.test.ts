import assert from 'node:assert/strict';
import { UndoStack } from '../../parent/undo.js';

describe('undoing', () => {
  it('goes backwards, through failures, and is over for everybody who waits when the last step is', async () => {
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
