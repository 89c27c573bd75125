// Who runs what. Pipe pages are rationed per user, so each candidate has a user of its own where root may make
// them; elsewhere all run as the caller.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeUser } from '../test/setup/prepare.js';
import { testPath } from '../test/setup/requirements.js';

/** Someone to run a program as. */
export interface Account {
  /** A name of the system, or undefined for the caller. */
  user: string | undefined;
  /** A directory that belongs to the user. */
  directory: string;
}

/** The account of a candidate (or of the client), with a new directory below `parent`. */
export function makeAccount(name: string, parent: string): Account {
  const directory = join(parent, name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (process.getuid?.() !== 0) return { user: undefined, directory };
  const user = `rootless-bench-${name === 'rootless-run' ? 'own' : name}`;
  makeUser(user);
  spawnSync('chown', [`${user}:`, directory]);
  return { user, directory };
}

/** The command line that runs a command as that account, without our environment and capabilities. */
export function runAs({ user, directory }: Account, command: readonly string[]): string[] {
  const environment = [`PATH=${testPath}`, `HOME=${directory}`, `TMPDIR=${directory}`, `XDG_RUNTIME_DIR=${directory}`];
  const clean = ['env', '-i', 'LANG=C.UTF-8', `USER=${user ?? process.env.USER ?? ''}`, ...environment, ...command];
  if (user === undefined) return clean;
  return ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', '--inh-caps=-all', ...clean];
}
