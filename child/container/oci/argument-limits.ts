/**
 * The kernel's limits of arguments and environment (execve(2)), counted as in its fs/exec.c. OCI runtimes notice too late for
 * a clear error: by then the container has been started, and ends.
 */
import { readFileSync } from 'node:fs';
import { ContainerCommandError } from './failures/command-failure.js';

/** What a program is executed with. */
export interface Execution {
  args: readonly string[];
  env: readonly string[];
  /** `process.rlimits` (runtime-spec, config.md). */
  rlimits?: unknown;
}

export interface ArgumentLimits {
  /** Longest argument or variable, in bytes, with the NUL after it (MAX_ARG_STRLEN, 32 pages). */
  one: number;
  /** Sum of all, each with its NUL and a pointer: a quarter of the stack limit, between 128 KiB and 6 MiB. */
  all: number;
}

const POINTER = 8;
const MIN_ALL = 128 * 1024;
const MAX_ALL = 6 * 1024 * 1024;
/** Key of the page size in the auxiliary vector (getauxval(3)). */
const AT_PAGESZ = 6n;

/** @param stack soft limit of the stack, in bytes; by default this process's own, which its children inherit */
export function argumentLimits(stack = ownStackLimit()): ArgumentLimits {
  return { one: 32 * pageSize(), all: Math.max(MIN_ALL, Math.min(MAX_ALL, Math.floor(stack / 4))) };
}

/** Throws ContainerCommandError if the kernel would refuse to execute a program with these (E2BIG). */
export function checkArguments({ args, env, rlimits }: Execution): void {
  const limits = argumentLimits(stackLimitIn(rlimits));
  const sizes = { args: args.map(bytes), env: env.map(bytes) };
  const longArgument = sizes.args.findIndex((size) => size > limits.one);
  if (longArgument >= 0) {
    const what = longArgument === 0 ? "the program's name" : `argument ${longArgument} of the command`;
    throw tooLong(`${what} is`, Number(sizes.args[longArgument]) - 1, limits.one - 1);
  }
  const longVariable = sizes.env.findIndex((size) => size > limits.one);
  if (longVariable >= 0) {
    const name = (env[longVariable] ?? '').split('=')[0];
    throw tooLong(`the environment variable ${name} is`, Number(sizes.env[longVariable]) - 1, limits.one - 1);
  }
  const all = [...sizes.args, ...sizes.env].reduce((sum, size) => sum + size + POINTER, sizes.args[0] ?? 0);
  if (all <= limits.all) return;
  throw tooLong('the command and its environment are', all, limits.all);
}

function tooLong(what: string, size: number, limit: number): ContainerCommandError {
  return new ContainerCommandError(
    'command-not-executable',
    `${what} too long: ${size} bytes, the kernel's limit is ${limit} (E2BIG)`,
    'pass long data by standard input or a file',
  );
}

/** Size with the NUL. */
function bytes(word: string): number {
  return Buffer.byteLength(word) + 1;
}

/** Undefined if they do not include it. */
function stackLimitIn(rlimits: unknown): number | undefined {
  const list = Array.isArray(rlimits) ? (rlimits as { type: string; soft: number }[]) : [];
  return list.find(({ type }) => type === 'RLIMIT_STACK')?.soft;
}

function ownStackLimit(): number {
  const [, soft] = /^Max stack size +(\S+) /m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

function pageSize(): number {
  const vector = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
  }
  return 4096;
}
