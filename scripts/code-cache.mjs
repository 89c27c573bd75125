// Leaves beside each bundle in dist/programs/ what V8 makes of it, for the node that runs this; npm runs it on install,
// since a package may have been made with another one. Without it the programs work, and start more slowly.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packages } from './bundles.mjs';

const scripts = dirname(fileURLToPath(import.meta.url));
const bundles = resolve(scripts, '..', 'dist', 'programs');
const TIMEOUT_MS = 20_000;

const stack = ['--port-driver=builtin', '--copy-up=/etc', '--publish=127.0.0.1:0:80/tcp', '--', 'true'];
const starts = [
  ['--net=slirp4netns', ...stack],
  ['--net=none', ...stack],
];

/** What is compiled in advance is what these runs need: the first that succeeds, else the last as far as it came. */
const runs = {
  'rootless-run': starts,
  rootlesskit: starts,
  rootlessctl: [['--socket=/nonexistent', 'list-ports']],
  'rootless-net': [['--state-dir=/nonexistent', 'ps']],
  // Its parent is at descriptor 3, and gone at once.
  agent: [[]],
  ...Object.fromEntries(packages.map((name) => [name, [[]]])),
};

for (const [name, attempts] of Object.entries(runs)) {
  // In a checkout npm installs before it compiles.
  if (!existsSync(join(bundles, `${name}.cjs`))) continue;
  for (const args of attempts) {
    if ((await run([join(scripts, 'warm-up.cjs'), bundles, name, packages.join(','), ...args])) === 0) break;
  }
}

/** Resolves with the exit code. */
async function run(args) {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  child.stdio[3].destroy();
  const [code] = await once(child, 'exit');
  return code;
}
