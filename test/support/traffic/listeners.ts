// A program that opens and closes ports as a test requests it (test/programs/python/ports/listeners.py).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pythonProgram } from '../paths.js';
import type { Readiness, Started } from '../start.js';
import { tempDir } from '../temp-dir.js';

export interface Listeners extends AsyncDisposable {
  /** Carries out an order; see the program. */
  order(line: string): Promise<void>;
}

/** @param inside starts a program in the namespaces */
export async function startListeners(
  inside: (command: readonly string[], ready: Readiness) => Promise<Started>,
): Promise<Listeners> {
  const path = join(tempDir(), 'control');
  const started = await inside(['python3', '-c', pythonProgram('ports/listeners'), path], { output: /^ready$/m });
  const socket = connect(path);
  const lines = createInterface({ input: socket });
  return {
    async order(line) {
      const answer = once(lines, 'line');
      socket.write(`${line}\n`);
      const [text] = await answer;
      assert.equal(text, 'ok', line);
    },
    async [Symbol.asyncDispose]() {
      lines.close();
      socket.destroy();
      await started[Symbol.asyncDispose]();
    },
  };
}
