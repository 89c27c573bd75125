// Runs a bundle as dist/bin/NAME.cjs does, and when it ends keeps what V8 has compiled of it: what is needed for a usual
// start, and no more, since reading the cache takes time too.
//   node warm-up.cjs DIRECTORY NAME PACKAGES [ARGUMENT…]
const { renameSync, rmSync, writeFileSync } = require('node:fs');
const { codeCacheFile, load } = require('./load-bundle.cjs');

const [, , directory, name, packages] = process.argv;
process.argv.splice(1, 4, name);
const cache = codeCacheFile(directory, name);
// What was made of it before has too much, or too little.
rmSync(cache, { force: true });

let script;
process.on('exit', () => {
  if (!script) return;
  // Nobody is to read half of it.
  writeFileSync(`${cache}.${process.pid}`, script.createCachedData());
  renameSync(`${cache}.${process.pid}`, cache);
});
script = load(directory, name, packages.split(','), require);
