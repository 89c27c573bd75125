/**
 * Files that are whole at any moment, whenever we are killed. Those that are to outlast the machine's end as well are
 * written to the disk first, which takes its time.
 *
 * Small ones are read and written at once: a file takes the kernel some microseconds, and Node's thread pool, asked for each
 * of its calls, a quarter of the time that attaching a container took.
 */
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode } from '../../protocol/error-text.js';

let counter = 0;

/** Names of files that are being written; nothing else in our directories begins with a dot. */
const UNFINISHED = /^\./;

/** Where to write what will be known by another name. */
export function unfinished(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${counter++}.new`);
}

/** Writes to a new file that then takes the place of the old one. */
export async function writeWhole(
  path: string,
  text: string,
  { mode = 0o600, lasting = false }: { mode?: number | undefined; lasting?: boolean } = {},
): Promise<void> {
  const temporary = unfinished(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // A rename may reach the disk before what was written: an empty file would be left.
  if (lasting) await writeFile(temporary, text, { mode, flush: true });
  else writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
}

export async function writeJSON(path: string, value: unknown, mode?: number): Promise<void> {
  await writeWhole(path, textOf(value), { mode });
}

/** As writeJSON, for what nobody could make again after a power failure. */
export async function writeLastingJSON(path: string, value: unknown, mode?: number): Promise<void> {
  await writeWhole(path, textOf(value), { mode, lasting: true });
}

function textOf(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Undefined where the file is not there, or is no JSON. */
export async function readJSON(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined where the file is not there. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Adds to the end of a file, which is made if need be. */
export function append(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  appendFileSync(path, text, { mode: 0o600 });
}

/** The names in a directory, sorted, without what an interrupted write left; none where it is not there. */
export async function namesIn(directory: string): Promise<string[]> {
  const names: string[] = await readdir(directory).catch(() => []);
  return names.filter((name) => !UNFINISHED.test(name)).sort();
}

/** Removes what interrupted writes left in a directory and below; nobody may be writing there. */
export async function removeUnfinished(directory: string, pattern = UNFINISHED): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isFile() && pattern.test(entry.name)) await rm(join(entry.parentPath, entry.name), { force: true });
  }
}

export async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}
