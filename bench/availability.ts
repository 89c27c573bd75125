// Checks whether the programs and files that a candidate or a row needs are installed.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackages, hasProgram } from '../test/setup/machine/requirements.js';

/** Packages that only the benchmark uses, if installed; nothing installs them. */
export const morePackages: Readonly<Record<string, string>> = {
  wrk: 'wrk',
  dnsperf: 'dnsperf',
  dnsmasq: 'dnsmasq-base',
  'docker-proxy': 'docker.io',
  git: 'git',
  strace: 'strace',
};

/** The Debian package of a program, if known. */
export function packageOf(program: string): string | undefined {
  return morePackages[program] ?? debianPackages[program];
}

export interface Needs {
  /** Programs that must be installed. */
  programs: readonly string[];
  /** File of this package that must exist. */
  file?: string;
}

/** Why something cannot be measured here, or undefined. */
export function unavailable({ programs, file }: Needs, root: string): string | undefined {
  const missing = programs.filter((program) => !hasProgram(program));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(packageOf).filter((name) => name !== undefined))];
    const hint = packages.length > 0 ? ` (Debian package ${packages.join(', ')})` : '';
    return `not installed: ${missing.join(', ')}${hint}`;
  }
  if (file !== undefined && !existsSync(join(root, file))) return `not built: ${file} is missing`;
  return undefined;
}
