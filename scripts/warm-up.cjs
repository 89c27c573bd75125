// Runs a program as dist/bin/NAME.cjs does, and when it ends keeps what V8 has compiled of it: what is needed for a usual
// start, and no more, since reading the cache takes time too.
//   node warm-up.cjs BUNDLE CACHE [ARGUMENT…]
const { renameSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');
const { wrapped } = require('./program-files.cjs');

const [, , filename, cache] = process.argv;
process.argv.splice(1, 3, filename);

const script = new Script(wrapped(filename), { filename });
process.on('exit', () => {
  // Nobody is to read half of it.
  writeFileSync(`${cache}.${process.pid}`, script.createCachedData());
  renameSync(`${cache}.${process.pid}`, cache);
});
script.runInThisContext()(require, filename);
