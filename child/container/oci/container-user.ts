/**
 * The user that a container's programs run as, by the container's own /etc/passwd and /etc/group (passwd(5), group(5)). The
 * rules are docker's: where only a user is given, the group is that of its passwd entry, and the additional groups are those
 * that list it as a member.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { IrregularFileError, readRegularFile } from '../../../protocol/system/regular-file.js';
import { ContainerError } from '../errors.js';

export interface ContainerUser {
  uid: number;
  gid: number;
  additionalGids: number[];
}

interface UserEntry {
  name: string;
  uid: number;
  gid: number;
}

interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

const MAX_LINKS = 40;
const MAX_FILE = 4 * 1024 * 1024;

/**
 * @param root directory of the container's root file system
 * @param text `USER[:GROUP]`; undefined for root
 * @param groups additional groups
 * @throws ContainerError for an unknown name, and for an id that is not mapped in the stack
 */
export function containerUser(root: string, text: string | undefined, groups: readonly string[]): ContainerUser {
  const [userText = '', groupText] = (text ?? '0').split(':');
  const users = usersIn(root);
  const allGroups = groupsIn(root);
  const entry = users.find(({ name, uid }) => name === userText || String(uid) === userText);
  const uid = numberOf(userText) ?? entry?.uid;
  if (uid === undefined) {
    throw new ContainerError(`no user ${userText} in ${root}/etc/passwd (--user ${text})`, 400, {
      hint: 'use a number, as in --user 1000',
    });
  }
  const groupId = (name: string, option: string) => {
    const gid = numberOf(name) ?? allGroups.find((group) => group.name === name)?.gid;
    if (gid !== undefined) return gid;
    throw new ContainerError(`no group ${name} in ${root}/etc/group (${option})`, 400, {
      hint: 'use a number',
    });
  };
  const gid = groupText === undefined ? (entry?.gid ?? 0) : groupId(groupText, `--user ${text}`);
  const own =
    groupText === undefined && text !== undefined && entry
      ? allGroups.filter(({ members }) => members.includes(entry.name)).map((group) => group.gid)
      : [];
  const more = groups.map((name) => groupId(name, `--group-add ${name}`));
  const user = {
    uid,
    gid,
    additionalGids: [...new Set([...own.filter((id) => id !== gid && isMapped('gid', id)), ...more])],
  };
  checkMapped(user, text, more);
  return user;
}

/** Throws ContainerError. */
function checkMapped({ uid, gid }: ContainerUser, text: string | undefined, more: readonly number[]): void {
  const refuse = (what: string, file: string): never => {
    throw new ContainerError(`${what} is not mapped in the stack`, 400, {
      hint: `add a range to ${file} and restart the stack`,
    });
  };
  if (!isMapped('uid', uid)) refuse(`the user id ${uid} (--user ${text})`, '/etc/subuid');
  if (!isMapped('gid', gid)) refuse(`the group id ${gid} (--user ${text})`, '/etc/subgid');
  const missing = more.find((id) => !isMapped('gid', id));
  if (missing !== undefined) refuse(`the group id ${missing} (--group-add)`, '/etc/subgid');
  if (more.length > 0 && readFileSync('/proc/self/setgroups', 'utf8').trim() === 'deny') {
    refuse('a further group (--group-add)', '/etc/subgid');
  }
}

function numberOf(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function usersIn(root: string): UserEntry[] {
  return fieldsOf(join(root, 'etc/passwd'), root, 4).flatMap(([name = '', , uid = '', gid = '']) => {
    const [user, group] = [numberOf(uid), numberOf(gid)];
    return user === undefined || group === undefined ? [] : [{ name, uid: user, gid: group }];
  });
}

function groupsIn(root: string): GroupEntry[] {
  return fieldsOf(join(root, 'etc/group'), root, 3).flatMap(([name = '', , gid = '', members = '']) => {
    const group = numberOf(gid);
    return group === undefined ? [] : [{ name, gid: group, members: members.split(',') }];
  });
}

/** The lines of a file with at least that many fields; none if it does not exist or cannot be read. */
function fieldsOf(path: string, root: string, count: number): string[][] {
  const file = pathInside(root, path);
  if (file === undefined) return [];
  try {
    const lines = readRegularFile(file, MAX_FILE).split('\n');
    return lines.map((line) => line.split(':')).filter((fields) => fields.length >= count);
  } catch (error) {
    if (error instanceof IrregularFileError || errnoName(error) !== '') return [];
    throw error;
  }
}

/**
 * Resolves a path below `root` as if that were the root directory, so that symbolic links do not lead out of it. Undefined
 * where it does not exist. A container can change the result meanwhile.
 */
export function pathInside(root: string, path: string): string | undefined {
  const left = path.slice(root.length).split('/');
  let at = root;
  let links = 0;
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      at = at === root ? root : dirname(at);
      continue;
    }
    const next = join(at, name);
    try {
      if (!lstatSync(next).isSymbolicLink()) {
        at = next;
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = root;
      left.unshift(...target.split('/'));
    } catch {
      return undefined;
    }
  }
  return at;
}

/** Whether an id exists in our user namespace (user_namespaces(7)). */
export function isMapped(kind: 'uid' | 'gid', id: number): boolean {
  return readFileSync(`/proc/self/${kind}_map`, 'utf8')
    .trim()
    .split('\n')
    .some((line) => {
      const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
      return first <= id && id < first + count;
    });
}
