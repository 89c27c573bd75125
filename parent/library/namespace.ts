/** Namespaces of this program: a stack in this process. */
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorText } from '../errors.js';
import type { ProgramSource } from '../namespaces/piped-program.js';
import { pipedProgram } from '../namespaces/piped-program.js';
import type { StackLog } from '../stack/options.js';
import type { Stack } from '../stack/stack.js';
import { startStack } from '../stack/start.js';
import { type NamespaceOptions, toStackOptions } from './options.js';
import type { RunOptions } from './programs/options.js';
import { BaseHandle, type StackHandle } from './stack-handle.js';

/** A stack that ends with close(), with `await using`, and with this process, however that ends. */
export interface Namespace extends StackHandle {
  /** Of a process in the namespaces, as the host counts: for nsenter(1) and the like. */
  readonly pid: number;
}

class OwnNamespace extends BaseHandle implements Namespace {
  protected readonly endsAll = true;
  readonly #stack: Stack;
  readonly #undo: () => void;

  constructor(stack: Stack, socketPath: string, undo: () => void) {
    super(socketPath);
    this.#stack = stack;
    this.#undo = undo;
  }

  get pid(): number {
    return this.#stack.info.childPID;
  }

  protected source(command: readonly string[], options: RunOptions): ProgramSource {
    const { cwd = '', env = {}, extendEnv = true, stdio = 'pipe', input } = options;
    const [stdin, stdout, stderr] = typeof stdio === 'object' ? stdio : ([stdio, stdio, stdio] as const);
    const program = { command, cwd: resolve(cwd), env, onlyEnv: !extendEnv };
    const first = input === undefined ? stdin : 'pipe';
    return pipedProgram((started) => this.#stack.startProgram(started), program, [first, stdout, stderr]);
  }

  protected async end(): Promise<void> {
    await this.#stack.close();
    this.#undo();
  }
}

/**
 * Starts namespaces with a network of their own; resolves when programs can be run in them. Rejects with an ExpectedError, whose
 * `code` is the reason, and nothing is left then; with the reason of `signal` when that aborts.
 */
export async function startNamespace(options: NamespaceOptions): Promise<Namespace> {
  options.signal?.throwIfAborted();
  const { stack: stackOptions, remove } = toStackOptions(options);
  const { signal } = options;
  const log = logOf(options);
  let stack: Stack;
  try {
    stack = await startStack(stackOptions, log, signal);
  } catch (error) {
    remove();
    throw error;
  }
  // All else ends with this process anyhow; a directory that was given is reused.
  const atExit = () => {
    if (options.stateDir === undefined) rmSync(stack.info.stateDir, { recursive: true, force: true });
    remove();
  };
  // close() has the failure as well.
  const abort = () =>
    void namespace.close().catch((error) => log.warn(`cannot end the namespace: ${errorText(error)}`));
  const namespace = new OwnNamespace(stack, stack.socketPath, () => {
    signal?.removeEventListener('abort', abort);
    dropAtExit(atExit);
    remove();
  });
  runAtExit(atExit);
  if (signal?.aborted) {
    await namespace.close();
    throw signal.reason;
  }
  signal?.addEventListener('abort', abort, { once: true });
  return namespace;
}

/** What is to be removed where this process exits without closing its namespaces; one listener for all of them. */
const atExits = new Set<() => void>();
const runAll = () => {
  for (const atExit of atExits) atExit();
};

function runAtExit(atExit: () => void): void {
  if (atExits.size === 0) process.on('exit', runAll);
  atExits.add(atExit);
}

function dropAtExit(atExit: () => void): void {
  atExits.delete(atExit);
  if (atExits.size === 0) process.off('exit', runAll);
}

function logOf({ log = {} }: NamespaceOptions): StackLog {
  return {
    debug: (line) => log.debug?.(line),
    info: (line) => log.info?.(line),
    warn: (line) => (log.warn ? log.warn(line) : process.emitWarning(line, { type: 'RootlessNetWarning' })),
  };
}
