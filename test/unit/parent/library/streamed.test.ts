import assert from 'node:assert/strict';
import { ProgramError, type ProgramOptions } from '../../../../parent/library/programs/options.js';
import { RunningProgram } from '../../../../parent/library/programs/program.js';
import { streamedProgram } from '../../../../parent/library/programs/streamed.js';

describe('a program of a stack that hangs', () => {
  /** The stack never answers. */
  function start(options: ProgramOptions): RunningProgram {
    const source = streamedProgram({ open: () => new Promise(() => {}), stdin: true });
    return new RunningProgram(source, ['true'], { forceKillAfterDelay: 0, ...options });
  }

  it('is given up when it is canceled, or its time is over', async () => {
    const error = await start({ timeout: 1 }).catch((failure: unknown) => failure);
    assert.ok(error instanceof ProgramError);
    assert.deepEqual([error.code, error.message], ['timed-out', 'true was not started before its timeout']);
    const cancel = new AbortController();
    const canceled = start({ cancelSignal: cancel.signal, reject: false });
    cancel.abort();
    assert.equal((await canceled).canceled, true);
  });
});
