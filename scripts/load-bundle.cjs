// Runs a bundle of dist/programs/ with V8's code cache, which saves parsing and compiling it. Part of each dist/bin/NAME.cjs
// (see compile.mjs); code-cache.mjs writes the cache.
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

/** Path of a bundle's code cache for the node that runs this. */
exports.codeCacheFile = (directory, name) => `${directory}/${name}.${process.version}-${process.arch}.cache`;

/**
 * Modules of Node that are loaded when their first function is called: each takes up to two milliseconds, and most starts
 * need none of them. Bundles refer to what they import as `module.name`, each time; those that import() one copy its names,
 * which does not work with these.
 */
const LAZY = [
  ...['node:child_process', 'node:fs/promises', 'node:net', 'node:timers/promises'],
  // The package ws needs them for what is not used here: encryption, compression.
  ...['https', 'querystring', 'tls', 'zlib'],
];
exports.LAZY = LAZY;

function lazily(name, require) {
  return new Proxy({}, { get: (_, key) => require(name)[key], has: (_, key) => key in require(name) });
}

function read(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** The scripts of the bundles that were loaded, by name. */
exports.scripts = new Map();

/**
 * Runs a bundle, and on demand the packages that are bundles of their own. Returns its script.
 *
 * @param {string} directory of the bundles
 * @param {string} name
 * @param {readonly string[]} packages that are bundles of their own
 * @param {NodeJS.Require} require for everything else
 */
exports.load = (directory, name, packages, require) => {
  const loaded = new Map();
  const load = (name) => {
    const filename = `${directory}/${name}.cjs`;
    // esbuild writes plain ASCII. V8 rejects a cache that it has not created itself, with the same flags; then it compiles.
    const script = new Script(readFileSync(filename, 'latin1'), {
      filename,
      cachedData: read(exports.codeCacheFile(directory, name)),
    });
    const module = { exports: {} };
    loaded.set(name, module);
    exports.scripts.set(name, script);
    script.runInThisContext()(requireModule, module, filename);
    return script;
  };
  const requireModule = (name) => {
    if (LAZY.includes(name)) return lazily(name, require);
    if (!packages.includes(name)) return require(name);
    if (!loaded.has(name)) load(name);
    return loaded.get(name).exports;
  };
  return load(name);
};
