/**
 * Id maps of the child's user namespace: the user becomes root in it, and the user's sub-ids follow (user_namespaces(7),
 * subuid(5)). Ranges beyond the user's own id can only be written by newuidmap(1) and newgidmap(1).
 */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { errorText, NamespaceError, type Problem } from '../errors.js';
import { findProgram } from '../programs/find-program.js';
import { runProgramToEnd } from '../programs/run-programs.js';

export interface IdRange {
  start: number;
  length: number;
}

export type IdMap =
  | { kind: 'sub-ids'; newuidmap: string; newgidmap: string; uids: IdRange[]; gids: IdRange[] }
  /** Root is mapped to the user, and no other id is mapped, for that reason. */
  | { kind: 'single'; reason: Problem }
  /** For root: every id is mapped to itself. */
  | { kind: 'identity' };

/** Where sub-ids are looked up: by getsubids(1), in /etc/subuid and /etc/subgid, or in both. */
export const subIdSources = ['auto', 'dynamic', 'static'] as const;
export type SubIdSource = (typeof subIdSources)[number];

interface User {
  uid: number;
  gid: number;
  name: string;
}

function currentUser(): User {
  try {
    const { uid, gid, username } = userInfo();
    return { uid, gid, name: username };
  } catch {
    // A user without an entry in passwd(5).
    return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, name: '' };
  }
}

/** Why the user has no sub-ids, with the fix; undefined if there are some, or none are needed. */
export async function subIdProblem(): Promise<Problem | undefined> {
  const map = await planIdMap();
  return map.kind === 'single' ? map.reason : undefined;
}

/** Decides how ids are mapped; changes nothing. */
export async function planIdMap(source: SubIdSource = 'auto'): Promise<IdMap> {
  const user = currentUser();
  if (user.uid === 0) return { kind: 'identity' };
  const [uids, gids] = await Promise.all([
    subIds('/etc/subuid', user, [], source),
    subIds('/etc/subgid', user, ['-g'], source),
  ]);
  const newuidmap = findProgram('newuidmap');
  const newgidmap = findProgram('newgidmap');
  const who = user.name === '' ? `user ${user.uid}` : user.name;
  if (uids.length === 0 || gids.length === 0) {
    const file = uids.length === 0 ? '/etc/subuid' : '/etc/subgid';
    return {
      kind: 'single',
      reason: {
        what: `${who} has no sub-ids in ${file}`,
        fix: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${who}`,
      },
    };
  }
  if (!newuidmap || !newgidmap) {
    const missing = newuidmap ? 'newgidmap' : 'newuidmap';
    return {
      kind: 'single',
      reason: {
        what: `${missing} is not installed`,
        fix: 'sudo apt-get install uidmap (or the package shadow-utils)',
      },
    };
  }
  return { kind: 'sub-ids', newuidmap, newgidmap, uids, gids };
}

/** Writes the maps of process `pid`, which has just made its user namespace. Throws NamespaceError. */
export async function writeIdMap(pid: number, map: Exclude<IdMap, { kind: 'sub-ids' }>): Promise<void> {
  if (map.kind === 'identity') {
    await Promise.all(['uid_map', 'gid_map'].map((file) => copyOwnMap(pid, file)));
    return;
  }
  const user = currentUser();
  // An unprivileged gid_map needs setgroups to be denied first (user_namespaces(7)).
  await writeMap(`/proc/${pid}/setgroups`, 'deny');
  await writeMap(`/proc/${pid}/uid_map`, `0 ${user.uid} 1`);
  await writeMap(`/proc/${pid}/gid_map`, `0 ${user.gid} 1`);
}

/** The programs, with their arguments, that write the maps of process `pid`. */
export function mapPrograms(pid: number, map: Extract<IdMap, { kind: 'sub-ids' }>): [string[], string[]] {
  const { uid, gid } = currentUser();
  return [
    [map.newuidmap, ...mapArguments(pid, uid, map.uids)],
    [map.newgidmap, ...mapArguments(pid, gid, map.gids)],
  ];
}

/** Maps all ids of our own user namespace to themselves. */
async function copyOwnMap(pid: number, file: string): Promise<void> {
  const own = await readFile(`/proc/self/${file}`, 'utf8');
  const lines = own
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([inside, , length]) => `${inside} ${inside} ${length}\n`);
  if (lines.join('') === '0 0 1\n') await writeMap(`/proc/${pid}/setgroups`, 'deny').catch(() => {});
  await writeMap(`/proc/${pid}/${file}`, lines.join(''));
}

async function writeMap(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new NamespaceError(`cannot write the id map ${text.trim()} to ${path}: ${errorText(error)}`);
  }
}

function mapArguments(pid: number, own: number, ranges: IdRange[]): string[] {
  const args = [String(pid), '0', String(own), '1'];
  let inside = 1;
  for (const { start, length } of ranges) {
    args.push(String(inside), String(start), String(length));
    inside += length;
  }
  return args;
}

/** Error for one of mapPrograms() that failed; `status` is that of wait(2). */
export function mapError(command: readonly string[], status: number, output: string): NamespaceError {
  const lines = output.trim().split('\n').join('; ');
  const problem = (status & 0x7f) === 0 ? `exit code ${status >> 8}` : `signal ${status & 0x7f}`;
  return new NamespaceError(
    `failed to set up the id map: ${command.join(' ')}: ${lines || problem}; check /etc/subuid and /etc/subgid, and that ${command[0]} is setuid root`,
  );
}

/**
 * The user's ranges. From getsubids(1) where nsswitch.conf names another source for `subid`, and where the file has none;
 * else from the file, whose lines are NAME-OR-UID:START:LENGTH.
 */
async function subIds(file: string, user: User, option: string[], source: SubIdSource): Promise<IdRange[]> {
  if (source === 'static' || (source === 'auto' && !hasOtherSource())) {
    const ranges = parseSubIds(textOf(file), user);
    if (ranges.length > 0 || source === 'static') return ranges;
  }
  const getsubids = process.env.GETSUBIDS || findProgram('getsubids');
  if (!getsubids || user.name === '') return [];
  const result = await runProgramToEnd(getsubids, [...option, user.name]);
  return result.exitCode === 0 ? parseGetSubIds(result.stdout) : [];
}

function hasOtherSource(): boolean {
  return /^\s*subid:/m.test(textOf('/etc/nsswitch.conf'));
}

/** "" if the file cannot be read. Synchronous as findProgram() is. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The lines of subuid(5) that belong to the user, by name or by id. */
export function parseSubIds(text: string, user: { uid: number; name: string }): IdRange[] {
  const ranges: IdRange[] = [];
  for (const line of text.split('\n')) {
    const [owner, start, length] = line.trim().split(':');
    if (!owner || (owner !== user.name && owner !== String(user.uid))) continue;
    addRange(ranges, start, length);
  }
  return ranges;
}

/** Output of getsubids(1): lines such as `0: alice 100000 65536`. */
export function parseGetSubIds(text: string): IdRange[] {
  const ranges: IdRange[] = [];
  for (const line of text.split('\n')) {
    const [, , start, length] = line.trim().split(/\s+/);
    addRange(ranges, start, length);
  }
  return ranges;
}

/** Adds the range unless it is malformed, empty, or there already. */
function addRange(ranges: IdRange[], start: string | undefined, length: string | undefined): void {
  const range = { start: Number(start), length: Number(length) };
  if (!Number.isSafeInteger(range.start) || !Number.isSafeInteger(range.length) || range.length < 1) return;
  if (!ranges.some((known) => known.start === range.start)) ranges.push(range);
}
