/**
 * Evacuation of a cgroup: a cgroup2 that has processes cannot give its controllers to those below it (cgroups(7), "no
 * internal processes"), so all of them move down to one that is made for them.
 */
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CGROUP_ROOT, cgroupOf, isUnified, processesIn, type StackCgroup } from '../../protocol/system/cgroup.js';
import { errnoName, errorText } from '../errors.js';

/** Name of the cgroup of the stack's own processes, beside those of its containers. */
const LEAF = 'rootless-net';

/**
 * Finds out where containers can have cgroups: below our own, so that systemd, when it ends a unit's, reaches them. Where
 * all its processes are ours, as in a unit with Delegate=yes, they are moved to a leaf first, and containers get its
 * controllers. Undefined if the cgroup is not delegated to this user, or cgroup v1 is mounted, too.
 */
export function divideCgroup(): StackCgroup | undefined {
  if (!isUnified()) return undefined;
  const path = cgroupOf('self');
  if (path === undefined || path === '/') return undefined;
  const own = join(CGROUP_ROOT, path);
  try {
    for (const name of ['', 'cgroup.procs']) accessSync(join(own, name), constants.W_OK);
    if (!processesIn(own).every(isOurs)) return { path, leaf: '' };
    mkdirSync(join(own, LEAF), { recursive: true });
    moveOurs(own, join(own, LEAF));
  } catch {
    return undefined;
  }
  for (const controller of readFileSync(join(own, 'cgroup.controllers'), 'utf8').match(/\w+/g) ?? []) {
    try {
      writeFileSync(join(own, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Containers do without it.
    }
  }
  return { path, leaf: LEAF };
}

/** This process, or one below it. */
function isOurs(pid: number): boolean {
  for (let at = pid; at > 1; at = parentOf(at)) {
    if (at === process.pid) return true;
  }
  return false;
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Repeats until none is left: a child may start others meanwhile. */
function moveOurs(from: string, to: string): void {
  for (let pids = processesIn(from); pids.length > 0; pids = processesIn(from)) {
    for (const pid of pids) {
      try {
        writeFileSync(join(to, 'cgroup.procs'), String(pid));
      } catch (error) {
        // It has ended.
        if (errnoName(error) !== 'ESRCH') throw error;
      }
    }
  }
}

/**
 * Moves every process of our cgroup to `name` below it, and enables all controllers there. Resolves with the problems, a
 * line each, and with where containers can have cgroups then.
 */
export async function evacuateCgroup(name: string): Promise<{ problems: string[]; evacuated?: StackCgroup }> {
  const [mount, path] = [await cgroup2Mount(), cgroupOf('self')];
  if (mount === undefined || path === undefined) {
    return { problems: ['cannot evacuate the cgroup: cgroup2 is not mounted'] };
  }
  const own = join(mount, path);
  const below = join(own, name);
  try {
    await mkdir(below, { recursive: true });
    await moveProcesses(own, below);
  } catch (error) {
    return {
      problems: [
        `cannot evacuate the cgroup ${own}: ${errorText(error)}; it has to be delegated (systemd: Delegate=yes)`,
      ],
    };
  }
  const problems: string[] = [];
  const controllers = await readFile(join(own, 'cgroup.controllers'), 'utf8');
  for (const controller of controllers.split(/\s+/).filter((word) => word !== '')) {
    await writeFile(join(own, 'cgroup.subtree_control'), `+${controller}`).catch((error: unknown) => {
      problems.push(`cannot give the controller ${controller} to cgroups below ${own}: ${errorText(error)}`);
    });
  }
  return { problems, ...(mount === CGROUP_ROOT ? { evacuated: { path, leaf: name } } : {}) };
}

/** Repeats until none is left: some may start others meanwhile. */
async function moveProcesses(from: string, to: string): Promise<void> {
  for (;;) {
    const pids = (await readFile(join(from, 'cgroup.procs'), 'utf8')).split('\n').filter((line) => line !== '');
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        await writeFile(join(to, 'cgroup.procs'), pid);
      } catch (error) {
        // It has ended.
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    }
  }
}

/** Where cgroup2 is mounted (proc(5), /proc/PID/mountinfo). */
async function cgroup2Mount(): Promise<string | undefined> {
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    if (after.startsWith('cgroup2 ')) return before.split(' ')[4];
  }
  return undefined;
}
