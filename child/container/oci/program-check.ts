/**
 * Finds out, before a container's program is executed, why the kernel would refuse it. When an OCI runtime finds out, it has
 * started the container: its message is in the container's own output, and the exit code looks like the program's.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { arch } from 'node:process';
import { pathInside } from './container-user.js';
import { ContainerCommandError, executionFailure } from './failures/command-failure.js';
import { ARGUMENTS_OF_INIT } from './options.js';

/** What a program is executed with. */
export interface Program {
  args: readonly string[];
  env: readonly string[];
  cwd?: unknown;
}

/** What the kernel reads (BINPRM_BUF_SIZE), and the program headers that usually follow; in bytes. */
const HEAD = 4096;

/** ELF machines that a kernel runs natively (e_machine, elf(5)), by process.arch. */
const MACHINES: Partial<Record<string, readonly number[]>> = { x64: [62, 3], arm64: [183, 40] };
const PT_INTERP = 3;

/**
 * Cases that the file alone does not decide are left to the runtime and the kernel. Where the container changes the file
 * meanwhile, only the message changes.
 *
 * @param root root directory of the container's processes, such as /proc/PID/root
 * @param options `init`: whether --init runs the program; `strict`: whether a program that does not exist is an error, since nothing would report it later
 * @throws ContainerCommandError
 */
export function checkProgram(
  root: string,
  { args, env, cwd }: Program,
  { init = false, strict = init }: { init?: boolean; strict?: boolean } = {},
): void {
  const name = args[init ? ARGUMENTS_OF_INIT : 0] ?? '';
  const file = findProgram(root, name, { env, cwd: typeof cwd === 'string' ? cwd : '/' });
  // Paths through /proc depend on the process that resolves them.
  if (file === undefined ? name.startsWith('/proc/') : file.startsWith(`${root}/proc/`)) return;
  // Otherwise the runtime has checked that the program exists.
  if (strict && (file === undefined || !isExecutable(file))) {
    const { ENOENT, EACCES } = osConstants.errno;
    throw executionFailure(file === undefined ? ENOENT : EACCES, name);
  }
  const head = file === undefined ? undefined : headOf(file);
  if (head === undefined) return;
  const interpreter = interpreterOf(head);
  if (interpreter !== undefined) {
    if (!interpreter.startsWith('/') || interpreter.startsWith('/proc/')) return;
    if (pathInside(root, `${root}${interpreter}`) !== undefined) return;
    throw new ContainerCommandError(
      'command-not-found',
      `cannot execute ${name} in the container: it needs ${interpreter}, which does not exist there`,
      isElf(head) ? 'use a program that was built for this root file system, or a static one' : 'check its first line',
    );
  }
  if (isForeign(head)) throw executionFailure(osConstants.errno.ENOEXEC, name);
}

/** Undefined if it does not exist. */
function findProgram(root: string, name: string, { env, cwd }: { env: readonly string[]; cwd: string }) {
  if (name === '') return undefined;
  const below = (directory: string) => `${root}/${directory}/${name}`;
  if (name.startsWith('/')) return pathInside(root, `${root}${name}`);
  if (name.includes('/')) return pathInside(root, below(cwd));
  const path = env.findLast((text) => text.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  for (const directory of path.split(':')) {
    if (!directory.startsWith('/')) return undefined;
    const file = pathInside(root, below(directory));
    if (file !== undefined && isExecutable(file)) return file;
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  const status = statSync(file, { throwIfNoEntry: false });
  return status?.isFile() === true && (status.mode & 0o111) !== 0;
}

/** The beginning of an executable regular file; undefined for anything else. */
function headOf(file: string): Buffer | undefined {
  let fd: number;
  try {
    // The container controls this path: do not follow links, do not block.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || (status.mode & 0o111) === 0) return undefined;
    const buffer = Buffer.alloc(HEAD);
    return buffer.subarray(0, readSync(fd, buffer, 0, HEAD, 0));
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function isElf(head: Buffer): boolean {
  return head.length >= 64 && head.readUInt32BE(0) === 0x7f454c46;
}

/** The interpreter of a script, or of a dynamic 64-bit little-endian ELF file. */
function interpreterOf(head: Buffer): string | undefined {
  if (head.subarray(0, 2).toString('latin1') === '#!') {
    const [line = ''] = head.subarray(2, 256).toString().split('\n');
    return /^[ \t]*([^ \t]+)/.exec(line)?.[1];
  }
  if (!isElf(head) || head[4] !== 2 || head[5] !== 1 || isForeign(head)) return undefined;
  const [offset, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
  for (let at = offset; at < offset + size * count && at + 56 <= head.length && size >= 56; at += size) {
    if (head.readUInt32LE(at) !== PT_INTERP) continue;
    const begin = Number(head.readBigUInt64LE(at + 8));
    const end = begin + Number(head.readBigUInt64LE(at + 32));
    const path = end <= head.length ? head.subarray(begin, end).toString().replace(/\0.*$/s, '') : '';
    return path === '' ? undefined : path;
  }
  return undefined;
}

/** Whether no handler of the kernel accepts it, as far as can be determined. */
function isForeign(head: Buffer): boolean {
  const handlers = extraHandlers();
  if (handlers === 'some') return false;
  if (isElf(head)) {
    const machines = MACHINES[arch];
    return handlers === 'none' && machines !== undefined && !machines.includes(head.readUInt16LE(18));
  }
  // Handlers match the first bytes, and none matches text.
  const isText = head.subarray(0, 4).every((byte) => byte === 9 || byte === 10 || (byte >= 32 && byte < 127));
  return (handlers === 'none' || isText) && head.subarray(0, 2).toString('latin1') !== '#!';
}

/** Whether binfmt_misc has handlers, by which emulators run programs of other machines. */
function extraHandlers(): 'none' | 'some' | 'unknown' {
  try {
    if (!/\bbinfmt_misc$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return 'none';
    const names = readdirSync('/proc/sys/fs/binfmt_misc');
    if (!names.includes('status')) return 'unknown';
    return names.some((name) => name !== 'status' && name !== 'register') ? 'some' : 'none';
  } catch {
    return 'unknown';
  }
}
