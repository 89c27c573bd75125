/** The command line of rootless-run before and after it is checked. */
import { UsageError } from '../../../parent/errors.js';
import type { LogLevel } from '../../../parent/log/levels.js';
import type { StackOptions } from '../../../parent/stack/options.js';
import type { Dialect } from '../dialect.js';

/** The options as commander parses them: text, or a boolean for a switch. */
export interface Values {
  stateDir?: string;
  name?: string;
  printSemver?: string;
  net: string;
  mtu: string;
  cidr: string;
  ifname?: string;
  disableHostLoopback?: boolean;
  allowHostLoopback?: boolean;
  hostPort?: string[];
  dnsPublish?: string;
  ipv6?: boolean;
  allow?: string[];
  deny?: string[];
  egressFile?: string[];
  learn?: string;
  limit?: string;
  detachNetns?: boolean;
  slirp4netnsBinary: string;
  slirp4netnsSandbox: string;
  slirp4netnsSeccomp: string;
  pastaBinary: string;
  lxcUserNicBinary?: string;
  lxcUserNicBridge: string;
  portDriver?: string;
  portThreads?: string;
  publish?: string[];
  autoAddress?: string;
  http?: string;
  bypassOutbound?: boolean;
  activate?: boolean;
  sourceIpTransparent?: boolean;
  sourceIpTransparentBackend: string;
  copyUp?: string[];
  copyUpMode: string;
  propagation: string;
  pidns?: boolean;
  ipcns?: boolean;
  utsns?: boolean;
  cgroupns?: boolean;
  reaper: string;
  evacuateCgroup2?: string;
  subidSource: string;
  debug?: boolean;
  quiet?: boolean;
  logLevel?: string;
  logFormat?: string;
  metrics?: string;
  ui?: string;
}

export interface ParsedOptions {
  values: Values;
  /** Whether the option is on the command line. */
  given: (name: keyof Values) => boolean;
}

/** The words of a command line, parsed but not checked yet. */
export interface CommandLine extends ParsedOptions {
  dialect: Dialect;
  /** The command and its arguments; empty for a stack without one. */
  command: readonly string[];
  hasCommand: boolean;
}

export interface LogRequest {
  level: LogLevel;
  json: boolean;
}

/** A command line that was checked. */
export interface RunRequest {
  options: StackOptions;
  log: LogRequest;
  /** Reported at the start; the stack starts anyway. */
  warnings: string[];
}

/** An unknown option, or one whose value is not of its kind; RootlessKit prints its help for these. */
export class IncorrectUsageError extends UsageError {
  override name = 'IncorrectUsageError';
}
