import assert from 'node:assert/strict';
import { join } from 'node:path';
import { repoRoot, run } from '../../../support/index.js';

/** Loads a module in a process of its own, and prints what that has changed there. */
const SCRIPT = `
  import { readFileSync } from 'node:fs';
  const state = () => ({
    listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
    resources: process.getActiveResourcesInfo().filter((name) => name !== 'FSReqPromise' && !name.startsWith('File')),
    env: { ...process.env },
    native: /rootless_net\\.node/.test(readFileSync('/proc/self/maps', 'utf8')),
  });
  const before = state();
  const module = await import(process.argv[1]);
  await new Promise(setImmediate);
  console.log(JSON.stringify({ before, after: state(), names: Object.keys(module) }));
`;

describe('importing the library', () => {
  for (const [entry, name] of [
    ['library/index.js', 'createNamespace'],
    ['library/client.js', 'StackClient'],
    ['library/protocol.js', 'parsePortSpec'],
  ] as const) {
    it(`has no effect: ${entry}`, async () => {
      const path = join(repoRoot, 'dist', entry);
      const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', SCRIPT, path]);
      assert.equal(stderr, '');
      const { before, after, names } = JSON.parse(stdout);
      assert.deepEqual(after, before);
      assert.equal(after.native, false);
      assert.ok(names.includes(name), names.join());
    });
  }
});
