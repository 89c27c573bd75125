import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testPath } from '../../setup/requirements.js';
import { binPath, run } from '../../support/index.js';

/** A user's home, runtime directory, and a PATH on which `rootlesskit` and `rootlessctl` are ours. */
export interface Home {
  directory: string;
  env: { HOME: string; XDG_RUNTIME_DIR: string; PATH: string; [name: string]: string };
}

export function makeHome(directory: string): Home {
  const home = { HOME: join(directory, 'home'), XDG_RUNTIME_DIR: join(directory, 'run') };
  const programs = join(directory, 'bin');
  for (const path of [programs, ...Object.values(home)]) mkdirSync(path, { mode: 0o700 });
  symlinkSync(process.execPath, join(programs, 'node'));
  for (const name of ['rootlesskit', 'rootlessctl'] as const) {
    const script = `#!/bin/sh\nexec ${process.execPath} ${binPath(name)} "$@"\n`;
    writeFileSync(join(programs, name), script);
    chmodSync(join(programs, name), 0o755);
  }
  return { directory, env: { ...home, PATH: `${programs}:${testPath}` } };
}

/** Removes a directory in which files belong to sub-ids, as rootless Docker's set-up tool does. */
export async function removeTree(directory: string): Promise<void> {
  await run(process.execPath, [binPath('rootlesskit'), 'rm', '-rf', directory]);
}
