/**
 * Files that are complete at any moment, whenever the process is killed. Those that must survive a power failure as well are
 * synced to the disk first, which is slow.
 *
 * Small files are read and written synchronously: each takes the kernel some microseconds, while the calls through Node's
 * thread pool took a quarter of the time that attaching a container took.
 */
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { FileError, onFile } from '../../../protocol/errors/file-error.js';
import { readRegularFile } from '../../../protocol/system/regular-file.js';

let counter = 0;

/** Names of temporary files; nothing else in our directories begins with a dot. */
const TEMPORARY = /^\./;

/** A temporary path beside `path`, to be renamed to it. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${counter++}.new`);
}

/** Replaces a file by a new one, atomically. Throws FileError. */
export async function writeAtomic(
  path: string,
  text: string,
  { mode = 0o600, durable = false }: { mode?: number | undefined; durable?: boolean } = {},
): Promise<void> {
  // Replacing a file makes ext4 wait for the disk (ext4(5), auto_da_alloc), and often it would be replaced by the same.
  if (!durable && onFile(path, () => hasContent(path, text, mode))) return;
  const temporary = temporaryPath(path);
  if (!existsSync(dirname(path))) makeDirectoryOf(path);
  // With `lasting`, synced: a rename may reach the disk before the content, and leave an empty file. `wx`, since no file
  // and no link of that name may exist.
  try {
    if (durable) await onFile(path, () => writeToDisk(temporary, text, mode));
    else onFile(path, () => writeWithMode(temporary, text, { mode, flag: 'wx' }));
    onFile(path, () => renameSync(temporary, path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function hasContent(path: string, text: string, mode: number): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size !== Buffer.byteLength(text) || (stats.mode & 0o7777) !== mode) return false;
  return readFileSync(path, 'utf8') === text;
}

export async function writeJSON(path: string, value: unknown, mode?: number): Promise<void> {
  await writeAtomic(path, textOf(value), { mode });
}

/** Like writeJSON(), for what could not be recreated after a power failure. */
export async function writeDurableJSON(path: string, value: unknown, mode?: number): Promise<void> {
  await writeAtomic(path, textOf(value), { mode, durable: true });
}

function textOf(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Undefined if the file does not exist, or is not JSON. */
export async function readJSON(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined if the file does not exist. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return readRegularFile(path);
  } catch (error) {
    if (errnoName(error) === 'ENOENT' || errnoName(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Appends to a file, which is created where it does not exist. Throws FileError. */
export function append(path: string, text: string): void {
  try {
    appendFileSync(path, text, { mode: 0o600 });
  } catch {
    makeDirectoryOf(path);
    onFile(path, () => appendFileSync(path, text, { mode: 0o600 }));
  }
}

function makeDirectoryOf(path: string): void {
  onFile(dirname(path), () => mkdirSync(dirname(path), { recursive: true, mode: 0o700 }));
}

/** Writes a file in place, not atomically, with that mode whatever the umask. Throws FileError. */
export function write(path: string, text: string, mode = 0o600): void {
  onFile(path, () => writeWithMode(path, text, { mode, flag: constants.O_WRONLY | constants.O_CREAT }));
}

/**
 * With fchmod(2), since open(2) applies the umask. A file that exists is not emptied first: at its end ext4 would wait until
 * the new content is on its way to the disk (ext4(5), auto_da_alloc).
 */
function writeWithMode(path: string, text: string, { mode, flag }: { mode: number; flag: number | 'wx' }): void {
  const fd = openSync(path, flag, mode);
  try {
    fchmodSync(fd, mode);
    writeFileSync(fd, text);
    const length = Buffer.byteLength(text);
    if (flag !== 'wx' && fstatSync(fd).size > length) ftruncateSync(fd, length);
  } finally {
    closeSync(fd);
  }
}

/** Like writeWithMode() for a new file, synced to the disk. */
async function writeToDisk(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * The names in a directory, sorted, without temporary files; none if it does not exist. Throws FileError if they
 * cannot be read: otherwise existing entries would count as removed, and what belongs to them as left over.
 */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    const names = onFile(directory, () => readdirSync(directory));
    return names.filter((name) => !TEMPORARY.test(name)).sort();
  } catch (error) {
    if (error instanceof FileError && ['ENOENT', 'ENOTDIR'].includes(error.errno)) return [];
    throw error;
  }
}

/** Removes the temporary files in a directory and below. Nothing may be writing there. */
export async function removeTemporaryFiles(directory: string, pattern = TEMPORARY): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isFile() && pattern.test(entry.name)) await rm(join(entry.parentPath, entry.name), { force: true });
  }
}

/** Removes a file, or a directory with all that is in it; does nothing if there is none. */
export async function remove(path: string): Promise<void> {
  try {
    unlinkSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoName(error))) return;
    rmSync(path, { recursive: true, force: true });
  }
}
