/**
 * The limit of open files of further programs in a container. runc up to 1.1, built with some versions of Go, gives them the
 * hard limit as the soft one; so it executes a small program of this package instead, which sets the limit and then executes theirs
 * (native/src/container/container_exec.c).
 */
import { closeSync, constants, existsSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { CONTAINER_EXEC, native } from '../../../native/index.js';
import type { Spec } from '../oci/bundle.js';
import type { Rlimit } from '../oci/file-limit.js';

/** How many descriptors the OCI runtime is started with, from 3 on. */
const PRESERVED = 2;

export class ExecLimit implements Disposable {
  #report: number | undefined;

  private constructor(
    private readonly limit: Rlimit,
    private readonly program: number,
    private readonly pipe: [read: number, write: number],
  ) {}

  /**
   * Undefined if the runtime needs no correction, or there can be none.
   *
   * @param runtime program of the OCI runtime
   * @param pid a process in the container, which must have /proc mounted
   */
  static for(runtime: string, own: Spec['process'], pid: number): ExecLimit | undefined {
    const limits = Array.isArray(own.rlimits) ? (own.rlimits as Rlimit[]) : [];
    const limit = limits.find(({ type }) => type === 'RLIMIT_NOFILE');
    if (!basename(runtime).includes('runc') || limit === undefined || limit.soft >= limit.hard) return undefined;
    if (!existsSync(CONTAINER_EXEC) || !existsSync(`/proc/${pid}/root/proc/1/fd`)) return undefined;
    try {
      return new ExecLimit(limit, native().sealedCopy(CONTAINER_EXEC), native().pipe());
    } catch {
      // Without memfd_create(2), or without free descriptors, the program has a higher limit than it should.
      return undefined;
    }
  }

  /** The process description, with our program before the command. */
  wrap(process: Spec['process']): Spec['process'] {
    const { soft, hard } = this.limit;
    return { ...process, args: ['/proc/self/fd/3', String(soft), String(hard), ...process.args] };
  }

  get options(): string[] {
    return ['--preserve-fds', String(PRESERVED)];
  }

  /** The runtime's descriptors 3 and 4; closed on disposal. */
  get descriptors(): number[] {
    return [this.program, this.pipe[1]];
  }

  /** After the runtime has ended: the errno with which the program could not be executed, if any. */
  failure(): number | undefined {
    // Not blocking: another process may still hold the other end.
    this.#report ??= openSync(`/proc/self/fd/${this.pipe[0]}`, constants.O_RDONLY | constants.O_NONBLOCK);
    const byte = Buffer.alloc(1);
    try {
      return readSync(this.#report, byte) === 1 ? byte[0] : undefined;
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    for (const fd of [this.program, ...this.pipe, ...(this.#report === undefined ? [] : [this.#report])]) closeSync(fd);
  }
}
