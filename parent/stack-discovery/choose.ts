/** Selects one of the running stacks. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { handleOf, type StackRecord } from '../../protocol/state/stack-record.js';
import { isName } from '../../protocol/text/names.js';
import { UsageError, UserError } from '../errors.js';

const MAX_NAME = 64;
const MAX_LISTED = 10;

/** Throws UsageError for an invalid name of a stack. */
export function checkStackName(name: string): string {
  if (!isName(name, MAX_NAME)) {
    throw new UsageError(
      `invalid --name ${JSON.stringify(name)}: expected letters, digits, "_", "." and "-", with a letter or digit first, ${MAX_NAME} at most`,
    );
  }
  if (/^\d+$/.test(name)) {
    throw new UsageError(`invalid --name ${JSON.stringify(name)}: only digits could be a process id`, {
      hint: 'add a letter',
    });
  }
  return name;
}

/** Whether the text is the stack's name, process id or state directory. */
export function matchesStack({ name, process, stateDir }: StackRecord, text: string): boolean {
  return name === text || String(process.pid) === text || (text !== '' && sameDirectory(stateDir, text));
}

/** The stack with that name, process id or state directory. Throws UserError if there is none. */
export function chooseStack(running: readonly StackRecord[], text: string): StackRecord {
  // A name comes before a directory of the same name.
  const found = running.find(({ name }) => name === text) ?? running.find((record) => matchesStack(record, text));
  if (found) return found;
  if (running.length === 0) throw new UserError(`no running stack ${JSON.stringify(text)}: no stacks are running`);
  throw new UserError(`no running stack ${JSON.stringify(text)}`, { hint: listed(running) });
}

/** The only stack; undefined if none runs. Throws UserError with `hint` where there are several. */
export function onlyStack(running: readonly StackRecord[], hint: string): StackRecord | undefined {
  if (running.length <= 1) return running[0];
  throw new UserError(`${running.length} stacks are running: ${names(running)}`, { hint });
}

function listed(running: readonly StackRecord[]): string {
  return `running ${running.length === 1 ? 'is' : 'are'} ${names(running)} (rootless-run ls)`;
}

function names(running: readonly StackRecord[]): string {
  const shown = running.slice(0, MAX_LISTED).map(handleOf);
  return running.length > MAX_LISTED ? `${shown.join(', ')} and ${running.length - MAX_LISTED} more` : shown.join(', ');
}

function sameDirectory(stateDir: string, text: string): boolean {
  const path = resolve(text);
  return path === stateDir || real(path) === real(stateDir);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
