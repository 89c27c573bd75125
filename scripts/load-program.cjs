// Becomes dist/bin/NAME.cjs, and dist/child/agent.cjs (see compile.mjs): runs the bundle of a program. V8 need not parse
// and compile it where scripts/code-cache.mjs has left what it came to, for this very node.
const { join } = require('node:path');
const { load } = require('./load-bundle.cjs');

/* global PROGRAM, PACKAGES */
load(join(__dirname, '..', 'programs'), PROGRAM, PACKAGES, require);
