import type { Problem } from '../errors.js';

/** What the machine has, as far as the checks look at it; tests stand in for it. */
export interface Machine {
  readonly user: { uid: number; gid: number; name: string };
  /** "" where it cannot be read. */
  read(path: string): Promise<string>;
  /** Permission bits and owner; undefined where there is none. */
  stat(path: string): Promise<{ mode: number; uid: number } | undefined>;
  /** Full path; undefined where it is not there. */
  find(program: string): Promise<string | undefined>;
  /** Standard output and standard error together, "" where it cannot be started. */
  run(program: string, ...args: string[]): Promise<{ code: number; output: string }>;
  /** Why /dev/net/tun cannot be used. */
  tunProblem(): Promise<Problem | undefined>;
  /** Why the user has no sub-ids. */
  subIdProblem(): Promise<Problem | undefined>;
  /** Makes user, mount and network namespaces, and ends them again; rejects with a UserError. */
  tryNamespaces(): Promise<void>;
  readonly launcher: string;
}

export type Severity = 'ok' | 'warning' | 'failed';

export interface Finding {
  /** Of the check; stable. */
  name: string;
  status: Severity;
  /** One line. */
  what: string;
  /** What to do, where there is something: commands as they are typed, a line each. */
  fix?: string;
}

/** One subject. `failed` is for what nothing works without, `warning` for what only some things need. */
export type Check = (machine: Machine) => Promise<Finding>;
