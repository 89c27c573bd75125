/**
 * The record that a running stack writes into the files that it holds a lock on: the state directory's `lock`, and the data
 * directory's, by which it is found if the state directory is unknown (parent/stack-discovery/running.ts). One JSON object; the
 * record of a process that has ended is ignored.
 */

import { isFields, isTexts } from '../api/report-shapes.js';
import { hasEnded, isAlive, type ProcessIdentity } from '../system/process-identity.js';

export interface StackRecord {
  /** The parent process of the stack. */
  process: ProcessIdentity;
  /** Given by --name. */
  name?: string;
  /** Absolute. */
  stateDir: string;
  /** Absolute path of api.sock. */
  socket: string;
  /** ISO 8601. */
  started: string;
  /** The name of the program that was started. */
  program: 'rootless-run' | 'rootlesskit';
  /** The beginning of the command and its arguments; absent for a stack without one. */
  command?: string[];
  /** Where the ports of a stack with a name are published, without those of its containers. */
  addresses?: string[];
  /** The requested network driver, and once it has started the one in use. */
  net: string;
}

/** Largest record, in bytes; longer files are not read. */
export const MAX_RECORD = 16 * 1024;
/** Longest command in a record, in UTF-16 code units; enough to recognise it. */
const MAX_COMMAND = 1000;

export function encodeStackRecord(record: StackRecord): string {
  return `${JSON.stringify({ ...record, ...(record.command && { command: beginning(record.command) }) })}\n`;
}

/** Undefined for anything else, such as the empty file of an earlier version. */
export function decodeStackRecord(text: string): StackRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isFields(value) || !isFields(value.process)) return undefined;
  const { process, name, stateDir, socket, started, program, command, net, addresses } = value;
  const texts = [process.startTime, process.bootId, process.pidNamespace, stateDir, socket, started, net];
  const sound =
    Number.isSafeInteger(process.pid) &&
    Number(process.pid) > 0 &&
    texts.every((entry) => typeof entry === 'string') &&
    (name === undefined || typeof name === 'string') &&
    (program === 'rootless-run' || program === 'rootlesskit') &&
    [command, addresses].every((list) => list === undefined || isTexts(list));
  return sound ? (value as unknown as StackRecord) : undefined;
}

/** Whether its process is running. False if the process is in another pid namespace, where that is unknown. */
export function isRunning({ process }: StackRecord): boolean {
  return isAlive(process);
}

/** Whether its process has ended, so that the holder of its lock is a remnant. False if unknown. */
export function isOver({ process }: StackRecord): boolean {
  return hasEnded(process);
}

/** The argument of `rootless-run stop` for it. */
export function handleOf({ name, stateDir }: Pick<StackRecord, 'name' | 'stateDir'>): string {
  return name ?? stateDir;
}

function beginning(command: readonly string[]): string[] {
  const words: string[] = [];
  let room = MAX_COMMAND;
  for (const word of command) {
    if (room <= 0) break;
    words.push(word.slice(0, room));
    room -= word.length + 1;
  }
  return words;
}
