// Installs the commands, dist/bin/NAME: the native front (native/src/front/front.c) if it is built, else a script that does
// the same as far as a script can. npm creates links to these files, so only their content is replaced.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, parse, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programs } from './bundles.mjs';

const release = join('native', 'build', 'Release');

/**
 * File that the front reads: the path of the node that installed the package, used where PATH has no node; and the directory
 * of the native part, as seen from the package.
 */
const RECORD = join('native', 'build', 'front-paths');

/**
 * A package that npm packs gets the scripts: the machine that it is installed on builds its own front. Yarn, which starts
 * commands as `node FILE`, needs scripts as well.
 */
function needsScripts() {
  const { npm_command: command, npm_config_user_agent: agent = '' } = process.env;
  return command === 'pack' || command === 'publish' || /^yarn\//.test(agent);
}

function isUpToDate(file, content) {
  return existsSync(file) && readFileSync(file).equals(content);
}

/** Replaces the file atomically, and without disturbing processes that execute the old one. */
function replace(file, write) {
  const temporary = `${file}.${process.pid}`;
  write(temporary);
  chmodSync(temporary, 0o755);
  renameSync(temporary, file);
}

/**
 * @param {string} root of the package
 * @param {{ scripts?: boolean, directory?: string, node?: string }} [options] `scripts`: whether to install scripts even if
 *   there is a front; `directory`: of the native part; `node`: the one that the front uses where PATH has none
 */
export function installFront(root, options = {}) {
  const { scripts = needsScripts(), directory = join(root, release), node = process.execPath } = options;
  const front = join(directory, 'front');
  const native = existsSync(front) && !scripts;
  if (native) {
    mkdirSync(dirname(join(root, RECORD)), { recursive: true });
    const from = relative(realpathSync(root), realpathSync(directory));
    writeFileSync(join(root, RECORD), `${node}\n${from}\n`);
  }
  for (const program of programs) {
    const { dir, name } = parse(program);
    const file = join(root, 'dist', dir, name);
    // In a checkout npm installs before it compiles.
    if (dir !== 'bin' || !existsSync(`${file}.cjs`)) continue;
    const script = Buffer.from(`#!/usr/bin/env node\nimport './${name}.cjs';\n`);
    if (isUpToDate(file, native ? readFileSync(front) : script)) continue;
    replace(file, (temporary) => (native ? copyFileSync(front, temporary) : writeFileSync(temporary, script)));
  }
}

// As a program (npm's postpack): gives the checkout its fronts back after a package was packed.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  installFront(resolve(dirname(process.argv[1]), '..'), { scripts: false });
}
