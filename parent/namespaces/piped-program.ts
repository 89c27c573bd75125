/** Streams of a program in the namespaces: pipes, whose other ends are passed to the launcher. */
import { openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { native } from '../../native/index.js';
import { errnoText } from '../../protocol/errors/errno-text.js';
import { errnoName, UserError } from '../errors.js';
import type { CommandResult } from './launcher.js';
import type { NewProgram, StartedProgram } from './programs.js';

/** A descriptor of this process, or what its name stands for, as in Node's `child_process`. */
export type Stdio = 'pipe' | 'inherit' | 'ignore' | number;

/** A program, wherever it runs, with the streams that are pipes. */
export interface ProgramSource {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Resolves with the pid, where that is known, when it runs. Rejects where it cannot be started. */
  readonly started: Promise<number | undefined>;
  readonly ended: Promise<CommandResult>;
  /** Does nothing if it has ended; before its start, waits for that. */
  kill(signal: number): void;
}

/** Starts a program. Throws UserError for a descriptor that is none, and system errors where they have run out. */
export function pipedProgram(
  start: (program: NewProgram) => Promise<StartedProgram>,
  program: Omit<NewProgram, 'fds'>,
  stdio: readonly [stdin: Stdio, stdout: Stdio, stderr: Stdio],
): ProgramSource {
  const ours: Socket[] = [];
  const theirs: number[] = [];
  try {
    const [stdin, stdout, stderr] = stdio.map((kind, index) => openStream(kind, index, { ours, theirs }));
    const [first = -1, second = -1, third = -1] = theirs;
    const starting = start({ ...program, fds: [first, second, third] });
    return {
      stdin,
      stdout,
      stderr,
      started: starting.then(({ pid }) => pid),
      ended: starting.then(({ ended }) => ended),
      kill: (signal) => void starting.then((started) => started.signal(signal)).catch(() => {}),
    };
  } catch (error) {
    for (const stream of ours) stream.destroy();
    for (const fd of theirs) native().closeFd(fd);
    throw error;
  }
}

/** Returns our end of a pipe. */
function openStream(
  kind: Stdio,
  index: number,
  { ours, theirs }: { ours: Socket[]; theirs: number[] },
): Socket | undefined {
  if (kind === 'ignore') {
    theirs.push(openSync('/dev/null', index === 0 ? 'r' : 'w'));
  } else if (kind === 'pipe') {
    const [read, write] = native().pipe();
    const [own, other] = index === 0 ? [write, read] : [read, write];
    theirs.push(other);
    // Streams of files occupy a thread while they wait for a pipe.
    const stream = new Socket({ fd: own, readable: index > 0, writable: index === 0 });
    ours.push(stream);
    return stream;
  } else {
    theirs.push(duplicate(kind === 'inherit' ? index : kind));
  }
  return undefined;
}

function duplicate(fd: number): number {
  try {
    return native().duplicateFd(fd);
  } catch (error) {
    throw new UserError(`cannot pass on descriptor ${fd}: ${errnoText(errnoName(error))}`, { cause: error });
  }
}
