import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, run } from '../../support/index.js';

/** A user's home, runtime directory, and a PATH on which `rootlesskit` and `rootlessctl` are this project's. */
export interface Home {
  directory: string;
  env: { HOME: string; XDG_RUNTIME_DIR: string; PATH: string; [name: string]: string };
}

export function makeHome(directory: string): Home {
  // A containerd that takes long to end writes a file to TMPDIR, where its goroutines are.
  const home = {
    HOME: join(directory, 'home'),
    XDG_RUNTIME_DIR: join(directory, 'run'),
    TMPDIR: join(directory, 'tmp'),
  };
  const programs = join(directory, 'bin');
  for (const path of [programs, ...Object.values(home)]) mkdirSync(path, { mode: 0o700 });
  symlinkSync(process.execPath, join(programs, 'node'));
  for (const name of ['rootlesskit', 'rootlessctl'] as const) {
    symlinkSync(binPath(name), join(programs, name));
  }
  return { directory, env: { ...home, PATH: `${programs}:${process.env.PATH}` } };
}

/** Removes a directory in which files belong to sub-ids, as rootless Docker's set-up tool does. */
export async function removeTree(directory: string): Promise<void> {
  await run(binPath('rootlesskit'), ['rm', '-rf', directory]);
}
