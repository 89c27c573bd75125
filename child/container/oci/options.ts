/** Options of a container in its OCI configuration: capabilities, limits, sysctls, mounts, init. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CONTAINER_INIT } from '../../../native/index.js';
import { changedCapabilities } from '../../../protocol/containers/capabilities.js';
import type { ContainerMount } from '../../../protocol/containers/mounts.js';
import { isOfDevice, sysctlFile, sysctlNamespace } from '../../../protocol/containers/sysctls.js';
import type { ContainerRequest } from '../../../protocol/containers/types.js';
import { errnoText } from '../../../protocol/errors/errno-text.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { ContainerError } from '../errors.js';
import { pathInside } from './container-user.js';

export type Mount = {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
};

/** `process.capabilities` (runtime-spec, config.md). */
type CapabilitySets = Record<string, string[]>;

/** Where the program of --init is mounted; /dev is a tmpfs. */
const INIT_PATH = '/dev/init';
/** How many arguments --init puts before the command. */
export const ARGUMENTS_OF_INIT = 2;

/**
 * Applies --cap-add and --cap-drop. As with docker, --cap-add for a user other than root changes the bounding set only, so
 * that root inside can have them.
 */
export function withCapabilities(
  sets: CapabilitySets | undefined,
  { capAdd, capDrop }: ContainerRequest,
  uid: number,
): CapabilitySets | undefined {
  if (capAdd.length + capDrop.length === 0) return sets;
  const change = (name: string) => {
    const add = name === 'bounding' || uid === 0 ? capAdd : [];
    return changedCapabilities(sets?.[name] ?? [], { add, drop: capDrop });
  };
  const kept = Object.entries(sets ?? {}).map(([name, set]) => [
    name,
    changedCapabilities(set, { add: [], drop: capDrop }),
  ]);
  return {
    ...(Object.fromEntries(kept) as CapabilitySets),
    ...Object.fromEntries(['bounding', 'effective', 'permitted'].map((name) => [name, change(name)])),
  };
}

/** The limits of --ulimit, as `process.rlimits`. Throws ContainerError for one above the stack's own. */
export function rlimitsOf({ ulimits }: ContainerRequest): { type: string; soft: number; hard: number }[] {
  if (ulimits.length === 0) return [];
  const own = readFileSync('/proc/self/limits', 'utf8');
  return ulimits.map(({ name, soft, hard }) => {
    const limit = hardLimit(own, name);
    if (limit !== undefined && (hard === -1 || hard > limit)) {
      throw new ContainerError(
        `--ulimit ${name}=${soft}:${hard} exceeds the stack's own hard limit ${limit}, which only an administrator can raise`,
        400,
        { hint: `--ulimit ${name}=${soft === -1 || soft > limit ? limit : soft}:${limit}` },
      );
    }
    const number = (value: number) => (value === -1 ? RLIM_INFINITY : value);
    return { type: `RLIMIT_${name.toUpperCase()}`, soft: number(soft), hard: number(hard) };
  });
}

/** Stands for 2^64 - 1 (getrlimit(2)), which is not a JavaScript number; see stringifySpec(). */
const RLIM_INFINITY = 2 ** 64;

/** JSON in which RLIM_INFINITY has its exact value. */
export function stringifySpec(spec: unknown): string {
  return JSON.stringify(spec).replaceAll(/(?<="(?:soft|hard)":)18446744073709552000\b/g, '18446744073709551615');
}

/** Names of limits in /proc/PID/limits (proc(5)). */
const LIMIT_NAMES: Readonly<Record<string, string>> = {
  core: 'core file size',
  cpu: 'cpu time',
  data: 'data size',
  fsize: 'file size',
  locks: 'file locks',
  memlock: 'locked memory',
  msgqueue: 'msgqueue size',
  nice: 'nice priority',
  nofile: 'open files',
  nproc: 'processes',
  rss: 'resident set',
  rtprio: 'realtime priority',
  rttime: 'realtime timeout',
  sigpending: 'pending signals',
  stack: 'stack size',
};

/** Undefined if there is no limit. */
function hardLimit(limits: string, name: string): number | undefined {
  const line = limits.split('\n').find((text) => text.startsWith(`Max ${LIMIT_NAMES[name]} `));
  const [, hard] = /(?:unlimited|\d+) +(unlimited|\d+)/.exec(line ?? '') ?? [];
  return hard === undefined || hard === 'unlimited' ? undefined : Number(hard);
}

/**
 * Checks that the container's own namespaces have the requested sysctls.
 *
 * @param types the types of the namespaces that it does not share
 * @throws ContainerError
 */
export function checkSysctls({ sysctls }: ContainerRequest, types: readonly string[]): void {
  for (const name of Object.keys(sysctls)) {
    const wanted = sysctlNamespace(name);
    if (wanted !== undefined && !types.includes(wanted)) {
      throw new ContainerError(`--sysctl ${name} needs a private namespace of the type ${wanted}`);
    }
    if (!isOfDevice(name) && !existsSync(sysctlFile(name))) {
      throw new ContainerError(
        `--sysctl ${name}: no such setting ${wanted === 'network' ? 'in a network namespace' : 'on this machine'}`,
      );
    }
  }
}

/** The requested mounts, parents before children. Throws ContainerError for a source or a target that does not fit. */
export function userMounts(request: ContainerRequest, root: string): Mount[] {
  for (const mount of request.mounts) {
    checkTarget(mount, root);
    if (mount.type === 'bind') checkSource(mount, root);
  }
  const depth = ({ target }: ContainerMount) => target.split('/').length;
  return request.mounts.toSorted((a, b) => depth(a) - depth(b)).map(ociMount);
}

function ociMount(mount: ContainerMount): Mount {
  const { target: destination, options } = mount;
  if (mount.type === 'tmpfs') {
    // docker's defaults; explicit options override them.
    const defaults = ['nosuid', 'nodev', 'noexec'].filter((flag) => !options.includes(flag.slice('no'.length)));
    return { destination, type: 'tmpfs', source: 'tmpfs', options: [...new Set([...defaults, ...options])] };
  }
  const hasPropagation = options.some((option) => /^r?(private|slave|shared)$/.test(option));
  const hasBind = options.some((option) => /^r?bind$/.test(option));
  const hasMode = options.some((option) => option === 'ro' || option === 'rw');
  const defaults = [hasBind ? [] : ['rbind'], hasPropagation ? [] : ['rprivate'], hasMode ? [] : ['rw']].flat();
  return { destination, type: 'bind', source: mount.source, options: [...defaults, ...options] };
}

/** Throws ContainerError if the source does not exist, or a file meets a directory. */
function checkSource({ source, target }: { source: string; target: string }, root: string): void {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(source).isDirectory();
  } catch (error) {
    const code = errnoName(error);
    const what = `cannot mount ${source} at ${target} (-v)`;
    if (code !== 'ENOENT' && code !== 'ENOTDIR')
      throw new ContainerError(`${what}: ${errnoText(code ?? String(error))}`);
    throw new ContainerError(`${what}: no such file or directory`, 400, { hint: `mkdir -p ${source}` });
  }
  const there = pathInside(root, join(root, target));
  if (there === undefined) return;
  const targetIsDirectory = statSync(there, { throwIfNoEntry: false })?.isDirectory();
  if (targetIsDirectory === undefined || targetIsDirectory === isDirectory) return;
  const word = (directory: boolean) => (directory ? 'a directory' : 'a file');
  throw new ContainerError(
    `cannot mount ${source} at ${target} (-v): ${source} is ${word(isDirectory)}, but ${target} is ${word(targetIsDirectory)} in ${root}`,
  );
}

/** Throws ContainerError if the target, or a directory on its path, is a file. */
function checkTarget(mount: ContainerMount, root: string): void {
  const { type, target } = mount;
  const parts = target.split('/').filter((part) => part !== '');
  // Files are mounted over files, see checkSource().
  const depth = type === 'bind' ? parts.length - 1 : parts.length;
  for (let count = 1; count <= depth; count++) {
    const path = `/${parts.slice(0, count).join('/')}`;
    const there = pathInside(root, join(root, path));
    if (there === undefined) return;
    if (statSync(there, { throwIfNoEntry: false })?.isDirectory() !== false) continue;
    const what = mount.type === 'bind' ? mount.source : 'a tmpfs';
    throw new ContainerError(
      `cannot mount ${what} at ${target} (${OPTION[type]}): ${path} is a file in ${root}, not a directory`,
    );
  }
}

/** The option that messages name. */
const OPTION = { bind: '-v', tmpfs: '--tmpfs' };

/** Replaces /dev/shm by one of that size. */
export function withShm<M extends { destination: string }>(mounts: M[], size: number | undefined): (M | Mount)[] {
  if (size === undefined) return mounts;
  const shm = { destination: '/dev/shm', type: 'tmpfs', source: 'shm' };
  const options = ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${size}`];
  const others = mounts.filter(({ destination }) => destination !== shm.destination);
  return [...others, { ...shm, options }];
}

/** The arguments with what --init puts before them, and the mount that it needs. Throws ContainerError. */
export function withInit(args: string[], { init }: ContainerRequest): { args: string[]; mounts: Mount[] } {
  if (!init) return { args, mounts: [] };
  if (!existsSync(CONTAINER_INIT)) {
    throw new ContainerError('--init is not available on this architecture', 400, {
      hint: 'put a program such as tini into the root file system, and name it with --entrypoint',
    });
  }
  const options = ['bind', 'ro', 'rprivate', 'nosuid', 'nodev'];
  return {
    args: [INIT_PATH, '--', ...args],
    mounts: [{ destination: INIT_PATH, type: 'bind', source: CONTAINER_INIT, options }],
  };
}
