import type { ChildProcess } from 'node:child_process';
import type { Context, RootHookObject } from 'mocha';
import { abandon, startedPrograms } from '../support/start.js';
import { patience } from '../support/wait-for.js';

let before: ReadonlySet<ChildProcess> = new Set();

/** What a test that fails has started ends with it, so that a failure leaves nothing open; other tests end it themselves. */
export const rootHooks: RootHookObject = {
  beforeEach(this: Context) {
    this.currentTest?.timeout(this.currentTest.timeout() * patience);
    before = startedPrograms();
  },
  afterEach(this: Context) {
    if (this.currentTest?.state !== 'failed') return;
    for (const child of startedPrograms()) if (!before.has(child)) abandon(child);
  },
};
