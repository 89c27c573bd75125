/** Standard streams of further programs in a container: pipes, so that nothing of the host's file system is passed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { native } from '../../../native/index.js';
import { runtimeEnvironment } from '../oci/runtime.js';

/** Device number of /dev/null: major 1, minor 3 (null(4)). */
const NULL_DEVICE = (1 << 8) | 3;

export interface ExecPipes {
  child: ChildProcess;
  stdin: Socket | undefined;
  stdout: Socket;
  stderr: Socket;
}

/**
 * Starts an OCI runtime with pipes as its standard streams. Node's own are sockets, which cannot be opened through
 * /dev/stdout; some runtimes pass them on to the container's program as they are, and our /dev/null as well.
 *
 * @param options `pid`: a process in the container; `descriptors`: the runtime's from 3 on, which remain the caller's
 */
export function startWithPipes(
  [program = '', ...args]: readonly string[],
  { openStdin, pid, descriptors }: { openStdin: boolean; pid: number; descriptors: readonly number[] },
): ExecPipes {
  const [input, output, errors] = [native().pipe(), native().pipe(), native().pipe()];
  const nothing = openStdin ? undefined : openNull(pid);
  const theirs = [nothing ?? input[0], output[1], errors[1]];
  const child = spawn(program, args, { stdio: [...theirs, ...descriptors], env: runtimeEnvironment() });
  for (const fd of new Set([...theirs, input[0]])) closeSync(fd);
  if (!openStdin) closeSync(input[1]);
  const stdin = openStdin ? new Socket({ fd: input[1], readable: false, writable: true }) : undefined;
  stdin?.on('error', () => {});
  const reading = ([fd]: [number, number]) => new Socket({ fd, readable: true, writable: false });
  return { child, stdin, stdout: reading(output), stderr: reading(errors) };
}

/** The container's own /dev/null; undefined if it has none, and a pipe without a writer is used instead. */
function openNull(pid: number): number | undefined {
  let fd: number;
  try {
    // The container controls this path: do not follow links, do not block.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
    fd = openSync(`/proc/${pid}/root/dev/null`, flags);
  } catch {
    return undefined;
  }
  const status = fstatSync(fd);
  if (status.isCharacterDevice() && status.rdev === NULL_DEVICE) return fd;
  closeSync(fd);
  return undefined;
}
