const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

/** Where the code cache of a bundle is, for the node that runs this. */
exports.codeCacheFile = (directory, name) => `${directory}/${name}.${process.version}-${process.arch}.cache`;

function read(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/**
 * Runs a bundle, and with it those packages that it asks for and that are bundles of their own. Returns its script.
 *
 * @param {string} directory where the bundles are
 * @param {string} name
 * @param {readonly string[]} packages
 * @param {NodeJS.Require} require for all else that it asks for
 */
exports.load = (directory, name, packages, require) => {
  const loaded = new Map();
  const load = (name) => {
    const filename = `${directory}/${name}.cjs`;
    // esbuild writes plain ASCII.
    const text = `(function (require, module, __filename) {${readFileSync(filename, 'latin1')}\n})`;
    // V8 refuses a cache that it has not made itself, with the same flags; then it compiles.
    const script = new Script(text, { filename, cachedData: read(exports.codeCacheFile(directory, name)) });
    const module = { exports: {} };
    loaded.set(name, module);
    script.runInThisContext()(requireBundle, module, filename);
    return script;
  };
  const requireBundle = (name) => {
    if (!packages.includes(name)) return require(name);
    if (!loaded.has(name)) load(name);
    return loaded.get(name).exports;
  };
  return load(name);
};
