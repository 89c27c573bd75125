// Finds the C headers of the running node, so that node-gyp need not download them (which fails offline or behind a proxy).
// The native part uses Node-API: headers of any supported node will do, and one binary serves them all.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** True if `dir` is valid for node-gyp's option --nodedir. */
function isNodeDir(dir) {
  return Boolean(dir) && existsSync(join(dir, 'include', 'node', 'node_api.h'));
}

/**
 * The directory for node-gyp's option --nodedir, or undefined if no headers are found.
 *
 * Searched in this order: npm's setting `nodedir`, the prefix that node was installed into, and the packages that npm's
 * package `node` consists of.
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
