/**
 * Evacuation of a cgroup: a cgroup2 that has processes cannot give its controllers to those below it (cgroups(7), "no
 * internal processes"), so all of them move down to one that is made for them.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../errors.js';

/**
 * Moves every process of our cgroup to `name` below it, and gives all controllers there. Resolves with what could not be
 * done, a line each.
 */
export async function evacuateCgroup(name: string): Promise<string[]> {
  const [mount, path] = await Promise.all([cgroup2Mount(), ownCgroup()]);
  if (mount === undefined || path === undefined) return ['cannot evacuate the cgroup: cgroup2 is not mounted'];
  const own = join(mount, path);
  const below = join(own, name);
  try {
    await mkdir(below, { recursive: true });
    await moveProcesses(own, below);
  } catch (error) {
    return [`cannot evacuate the cgroup ${own}: ${errorText(error)}; it has to be delegated (systemd: Delegate=yes)`];
  }
  const problems: string[] = [];
  const controllers = await readFile(join(own, 'cgroup.controllers'), 'utf8');
  for (const controller of controllers.split(/\s+/).filter((word) => word !== '')) {
    await writeFile(join(own, 'cgroup.subtree_control'), `+${controller}`).catch((error: unknown) => {
      problems.push(`cannot give the controller ${controller} to cgroups below ${own}: ${errorText(error)}`);
    });
  }
  return problems;
}

/** Until there are none: some may start others meanwhile. */
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

/** Path of our cgroup2 below its mount point (cgroups(7), /proc/PID/cgroup). */
async function ownCgroup(): Promise<string | undefined> {
  return /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'))?.[1];
}

/** Where cgroup2 is mounted (proc(5), /proc/PID/mountinfo). */
async function cgroup2Mount(): Promise<string | undefined> {
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    if (after.startsWith('cgroup2 ')) return before.split(' ')[4];
  }
  return undefined;
}
