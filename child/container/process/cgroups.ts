/**
 * The cgroups of containers: one each, below the stack's own, so that killing the stack's cgroup, as systemd does with a
 * unit's, kills them too. All processes in such a cgroup belong to its container, so it also shows whether anything of the
 * container still lives. Only where cgroup2 is delegated to the stack; elsewhere the OCI runtime decides.
 */
import { readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CGROUP_ROOT, cgroupOf, processesIn, type StackCgroup } from '../../../protocol/system/cgroup.js';
import type { ContainerCgroup } from '../oci/spec.js';

const PREFIX = 'container-';

export class Cgroups {
  /** Parent of all containers' cgroups; undefined if they have none of their own. */
  readonly #parent: string | undefined;

  constructor(stack: StackCgroup | undefined) {
    this.#parent = stack && visiblePath(stack);
  }

  /** The cgroup for a container; undefined if that is left to the OCI runtime. */
  cgroupFor(id: string): ContainerCgroup | undefined {
    if (this.#parent === undefined) return undefined;
    return { path: join(this.#parent, `${PREFIX}${id}`), controllers: this.#controllers() };
  }

  #controllers(): string[] {
    const file = join(CGROUP_ROOT, this.#parent ?? '', 'cgroup.subtree_control');
    return readFileSync(file, 'utf8').match(/\w+/g) ?? [];
  }

  /** Removes empty cgroups of containers for which `keep` is false. */
  async removeEmpty(keep: (id: string) => boolean): Promise<void> {
    if (this.#parent === undefined) return;
    for (const name of await readdir(join(CGROUP_ROOT, this.#parent)).catch(() => [])) {
      if (name.startsWith(PREFIX) && !keep(name.slice(PREFIX.length))) removeCgroup(join(this.#parent, name));
    }
  }
}

/** Whether there is a process in a cgroup or below it; false where the cgroup is gone. */
export function isPopulated(path: string): boolean {
  try {
    return /^populated 1$/m.test(readFileSync(join(CGROUP_ROOT, path, 'cgroup.events'), 'utf8'));
  } catch {
    return false;
  }
}

/** SIGKILL to all in a cgroup and below it (cgroups(7), cgroup.kill); nothing where it is gone. */
export function killCgroup(path: string): void {
  try {
    writeFileSync(join(CGROUP_ROOT, path, 'cgroup.kill'), '1');
  } catch {
    // It is gone, or no longer delegated to the stack.
  }
}

/** Removes a cgroup where it is empty. */
export function removeCgroup(path: string): void {
  try {
    rmdirSync(join(CGROUP_ROOT, path));
  } catch {
    // It is in use, or gone.
  }
}

/**
 * The path at which this process sees the stack's cgroup: the parent's path or, where a cgroup namespace or another mount
 * hides that, one derived from our own. Undefined if neither is the cgroup that this process is in.
 */
function visiblePath({ path, leaf }: StackCgroup): string | undefined {
  const own = cgroupOf('self') ?? '/';
  return [path, leaf === '' ? own : dirname(own)].find((candidate) => {
    try {
      return processesIn(join(CGROUP_ROOT, candidate, leaf)).includes(process.pid);
    } catch {
      return false;
    }
  });
}
