import type { HostNetwork } from '../../protocol/wire/messages.js';
import type { Problem } from '../errors.js';

export interface ContainerNetwork {
  name: string;
  /** In CIDR notation. */
  subnet: string;
  /** Whether rootless-net has made it. */
  own: boolean;
  file: string;
}

/** The machine as the checks see it; tests have fakes of it. */
export interface Machine {
  readonly user: { uid: number; gid: number; name: string };
  /** "" if it cannot be read. */
  read(path: string): Promise<string>;
  /** Permission bits and owner; undefined if there is none. */
  stat(path: string): Promise<{ mode: number; uid: number } | undefined>;
  /** Full path; undefined if it is not installed. */
  find(program: string): Promise<string | undefined>;
  /** Standard output and standard error together, "" if it cannot be started. */
  run(program: string, ...args: string[]): Promise<{ code: number; output: string }>;
  /** Why the network driver builtin cannot be used: tries it in namespaces of its own. Not where there can be none. */
  gatewayProblem(): Promise<Problem | undefined>;
  /** Whether that driver does without TPROXY; where it works. */
  gatewayTranslates(): Promise<boolean>;
  /** Why /dev/net/tun cannot be used. */
  tunProblem(): Promise<Problem | undefined>;
  /** Why the user has no sub-ids. */
  subIdProblem(): Promise<Problem | undefined>;
  /** Makes user, mount and network namespaces, and ends them again; rejects with a UserError. */
  tryNamespaces(): Promise<void>;
  /** Networks that the host has routes to, the most specific first; undefined if they cannot be listed. */
  hostNetworks(): Promise<HostNetwork[] | undefined>;
  /** Subnets of this user's bridge networks of containers, read from the files of the networks. */
  containerNetworks(): Promise<ContainerNetwork[]>;
  readonly launcher: string;
}

export type Severity = 'ok' | 'warning' | 'failed';

export interface Finding {
  /** Name of the check; stable. */
  name: string;
  status: Severity;
  /** One line. */
  what: string;
  /** What to do, where there is something: commands as they are typed, a line each. */
  fix?: string;
}

/** Checks one subject. `failed` is for what every stack needs, `warning` for what only some features need. */
export type Check = (machine: Machine) => Promise<Finding>;
