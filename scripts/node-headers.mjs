// Finds the C headers of the node that is running, so that node-gyp need not fetch them from the network
// (which fails for whoever is offline or behind a proxy). The native part is N-API: headers of any
// supported node do, and one binary serves them all.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** True if `dir` can be given to node-gyp as --nodedir. */
export function isNodeDir(dir) {
  return Boolean(dir) && existsSync(join(dir, 'include', 'node', 'node_api.h'));
}

/**
 * The directory to give to node-gyp as --nodedir, or undefined where no headers are found.
 *
 * Looked at, in this order: npm's own setting `nodedir`, the prefix that node was installed into, and the
 * packages that npm's `node` package consists of.
 *
 * @param {{ execPath?: string, env?: NodeJS.ProcessEnv, arch?: string }} [options] for tests
 * @returns {string | undefined}
 */
export function findNodeDir(options) {
  const { execPath = process.execPath, env = process.env, arch = process.arch } = options || {};
  const prefix = dirname(dirname(realpathSync(execPath)));
  const platformPackage = `node-linux-${arch}`;
  const candidates = [
    env.npm_config_nodedir,
    prefix,
    join(prefix, 'node_modules', platformPackage),
    join(dirname(prefix), platformPackage),
  ];
  return candidates.find(isNodeDir);
}
