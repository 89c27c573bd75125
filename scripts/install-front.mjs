// Installs the commands, dist/bin/NAME: the native front (native/src/front/front.c) if it is built, else a script that does
// the same as far as a script can. npm creates links to these files, so only their content is replaced.
import { chmodSync, copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programs } from './bundles.mjs';

const release = ['native', 'build', 'Release'];

/** File from which the front reads the path of the node that installed the package; used if PATH has no node. */
export const NODE_PATH = 'node-path';

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
 * @param {boolean} [scripts] whether to install scripts even if the front is built
 */
export function installFront(root, scripts = needsScripts()) {
  const front = join(root, ...release, 'front');
  const native = existsSync(front) && !scripts;
  if (native) writeFileSync(join(root, ...release, NODE_PATH), `${process.execPath}\n`);
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
if (process.argv[1] === fileURLToPath(import.meta.url)) installFront(resolve(dirname(process.argv[1]), '..'), false);
