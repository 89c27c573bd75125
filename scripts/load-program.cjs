// Becomes dist/bin/NAME.cjs, and dist/child/agent.cjs (see compile.mjs): runs the bundle of a program. V8 need not parse
// and compile it where scripts/code-cache.mjs has left what it came to, for this very node.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');
const { codeCacheFile, wrapped } = require('./program-files.cjs');

/* global PROGRAM */
const directory = join(__dirname, '..', 'programs');
const filename = join(directory, `${PROGRAM}.cjs`);

function codeCache() {
  try {
    return readFileSync(codeCacheFile(directory, PROGRAM));
  } catch {
    return undefined;
  }
}

// V8 refuses a cache that it has not made itself, with the same flags; then it compiles.
new Script(wrapped(filename), { filename, cachedData: codeCache() }).runInThisContext()(require, filename);
