// Users that run the candidates. Pipe pages are limited per user, so as root each candidate has a user of its own; otherwise all
// run as the caller.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeUser } from '../../test/setup/machine/prepare.js';
import { testPath } from '../../test/setup/machine/requirements.js';

/** A user to run programs as. */
export interface Account {
  /** The user's name, or undefined for the caller. */
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

/** A command line that runs `command` as that user, without our environment and capabilities. */
export function runAs({ user, directory }: Account, command: readonly string[]): string[] {
  const environment = [`PATH=${testPath}`, `HOME=${directory}`, `TMPDIR=${directory}`, `XDG_RUNTIME_DIR=${directory}`];
  const clean = ['env', '-i', 'LANG=C.UTF-8', `USER=${user ?? process.env.USER ?? ''}`, ...environment, ...command];
  if (user === undefined) return clean;
  return ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', '--inh-caps=-all', ...clean];
}
