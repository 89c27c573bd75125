/**
 * The configuration for the OCI runtime (runtime-spec, config.md): our own for a root file system; for a bundle the user's,
 * completed by what the network needs.
 */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { OCI_HOOK } from '../../../native/index.js';
import { DEFAULT_CAPABILITIES } from '../../../protocol/containers/capabilities.js';
import type { ContainerRequest, TerminalSize } from '../../../protocol/containers/types.js';
import { PROGRAM_PATH } from '../run-program.js';
import { readBundle, type Spec, withProcess } from './bundle.js';
import { type ContainerUser, containerUser, isMapped } from './container-user.js';
import type { Rlimit } from './file-limit.js';
import { checkSysctls, type Mount, rlimitsOf, userMounts, withCapabilities, withInit, withShm } from './options.js';
import { checkRoot } from './root-directory.js';
import { seccompOf } from './seccomp/index.js';

/** The cgroup of a container. */
export interface ContainerCgroup {
  /** `linux.cgroupsPath` (runtime-spec, config-linux.md): absolute, below the mount of cgroup2. */
  path: string;
  /** Controllers that limits can be set for, such as `pids`. */
  controllers: readonly string[];
}

/** The parts of the configuration that are decided elsewhere. */
export interface SpecInput {
  id: string;
  request: ContainerRequest;
  hostname: string;
  /** Directory of hosts, hostname and resolv.conf. */
  nameFiles: string;
  /** Path of the network namespace to join; "" for a new one, undefined for the stack's own. */
  netns: string | undefined;
  /** Whether hooks notify the agent. */
  hooks: boolean;
  agentSocket: string;
  /** Limit of open files, where the bundle has no limits. */
  fileLimit?: Rlimit | undefined;
  /** Size of its terminal, where it has one. */
  size: TerminalSize;
  /** Its cgroup; undefined if the OCI runtime decides. */
  cgroup?: ContainerCgroup | undefined;
  warn: (line: string) => void;
}

const MASKED = ['acpi', 'asound', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi'];
const READ_ONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];
/** podman's default. */
const PIDS_LIMIT = 2048;
const DEFAULT_ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/** Throws ContainerError. */
export async function makeSpec(input: SpecInput): Promise<Spec> {
  const { request } = input;
  const bundle = request.bundle === undefined ? undefined : await readBundle(request.bundle);
  const given = bundle?.root.path ?? request.rootfs ?? '';
  if (bundle) checkRoot(given, `${request.bundle}/config.json`);
  // runc refuses a root file system behind a symbolic link.
  const path = await realpath(given).catch(() => given);
  const user =
    bundle && request.user === undefined && request.groupAdd.length === 0
      ? undefined
      : containerUser(path, request.user, request.groupAdd);
  const base = bundle ? withProcess(bundle, request, user) : rootfsSpec(request, user);
  const spec = integrate(confine(base, input), input, path);
  return { ...spec, process: withLimits(spec.process, input), root: { ...spec.root, path } };
}

/** Adds the requested limits and, where none is given, the limit of open files that the stack was started with. */
function withLimits(program: Spec['process'], { request, fileLimit }: SpecInput): Spec['process'] {
  const asked = rlimitsOf(request);
  const given = (program.rlimits as Rlimit[] | undefined) ?? (fileLimit === undefined ? [] : [fileLimit]);
  const kept = given.filter(({ type }) => asked.every((limit) => limit.type !== type));
  return kept.length + asked.length === 0 ? program : { ...program, rlimits: [...kept, ...asked] };
}

function rootfsSpec(request: ContainerRequest, user: ContainerUser = { uid: 0, gid: 0, additionalGids: [] }): Spec {
  const { uid, gid, additionalGids } = user;
  const capabilities = Object.fromEntries(
    ['bounding', 'effective', 'permitted'].map((set) => [
      set,
      uid === 0 || set === 'bounding' ? [...DEFAULT_CAPABILITIES] : [],
    ]),
  );
  const mounts: Mount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: [
        'nosuid',
        'noexec',
        'newinstance',
        'ptmxmode=0666',
        'mode=0620',
        ...(isMapped('gid', 5) ? ['gid=5'] : []),
      ],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  ];
  return {
    ociVersion: '1.0.2',
    root: { path: request.rootfs ?? '', readonly: request.readOnly },
    process: {
      terminal: request.tty,
      user: { uid, gid, ...(additionalGids.length > 0 ? { additionalGids } : {}) },
      args: request.command ?? [],
      env: [...DEFAULT_ENV, ...(request.tty ? ['TERM=xterm'] : [])],
      cwd: request.cwd ?? '/',
      capabilities: withCapabilities(capabilities, request, uid),
      noNewPrivileges: false,
    },
    mounts,
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
      maskedPaths: [...MASKED.map((name) => `/proc/${name}`), '/sys/firmware', '/sys/devices/virtual/powercap'],
      readonlyPaths: READ_ONLY.map((name) => `/proc/${name}`),
    },
  };
}

/** Confines the container's programs. A bundle has its own confinement, which options override. */
function confine(spec: Spec, { request, cgroup, warn }: SpecInput): Spec {
  const isBundle = request.bundle !== undefined;
  const { linux } = spec;
  if (!isBundle || request.seccomp !== undefined) {
    const seccomp = seccompOf(request.seccomp, boundingSet(spec), warn);
    if (seccomp) linux.seccomp = seccomp;
    else delete linux.seccomp;
  }
  if (request.noNewPrivileges) spec.process.noNewPrivileges = true;
  const limit = request.pidsLimit ?? (isBundle ? -1 : PIDS_LIMIT);
  // Without a delegated cgroup some runtimes refuse a limit.
  if (limit > 0 && cgroup?.controllers.includes('pids')) {
    linux.resources = { ...(linux.resources as object | undefined), pids: { limit } };
  } else if (request.pidsLimit !== undefined && limit > 0) {
    warn(`--pids-limit=${limit} has no effect: no cgroup with the controller "pids" is delegated to the stack`);
  }
  return spec;
}

/** The capabilities that the container's programs can have. */
function boundingSet(spec: Spec): string[] {
  const sets = spec.process.capabilities as { bounding?: unknown } | undefined;
  return Array.isArray(sets?.bounding) ? sets.bounding.map(String) : [];
}

/** Adds what the engine is responsible for: namespaces, mounts, environment, terminal, hooks. Throws ContainerError. */
function integrate(spec: Spec, input: SpecInput, root: string): Spec {
  const { id, request, hostname, netns, size, cgroup } = input;
  const namespaces = namespacesOf(spec, netns);
  const sysctl = {
    ...(netns === '' ? { 'net.ipv4.ip_unprivileged_port_start': '0' } : {}),
    ...spec.linux.sysctl,
    ...request.sysctls,
  };
  checkSysctls(
    request,
    // A namespace that others kept for it is its own, too; requests for other containers' are refused.
    namespaces.filter(({ type, path }) => type === 'network' || path === undefined).map(({ type }) => type),
  );
  const init = withInit(request.command ?? spec.process.args, request);
  const requested = [...userMounts(request, root), ...init.mounts];
  const mounted = new Set([...spec.mounts, ...requested].map(({ destination }) => destination));
  const named = nameFileMounts(input).filter(({ destination }) => !mounted.has(destination));
  return {
    ...spec,
    hostname,
    // Since version 1.1 of the specification; older runtimes ignore it.
    ...(request.domainname === undefined ? {} : { domainname: request.domainname }),
    process: {
      ...spec.process,
      args: init.args,
      env: mergeEnv(spec.process.env, [`HOSTNAME=${hostname}`, ...request.env]),
      terminal: request.tty,
      ...(request.tty ? { consoleSize: { width: size.columns, height: size.rows } } : {}),
    },
    mounts: [...withShm(spec.mounts, request.shmSize), ...requested, ...named],
    annotations: { ...(spec.annotations as object | undefined), ...request.annotations, 'rootless-net/id': id },
    ...hooksOf(spec, input),
    linux: { ...spec.linux, namespaces, sysctl, ...(cgroup ? { cgroupsPath: cgroup.path } : {}) },
  };
}

function namespacesOf(spec: Spec, netns: string | undefined): Spec['linux']['namespaces'] {
  const namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'network');
  if (netns !== undefined) namespaces.push({ type: 'network', ...(netns === '' ? {} : { path: netns }) });
  if (!namespaces.some(({ type }) => type === 'uts')) namespaces.push({ type: 'uts' });
  return namespaces;
}

function nameFileMounts({ nameFiles }: SpecInput): Mount[] {
  return ['resolv.conf', 'hosts', 'hostname'].map((name) => ({
    destination: `/etc/${name}`,
    type: 'bind',
    source: join(nameFiles, name),
    options: ['bind', 'rprivate'],
  }));
}

/** The bundle's hooks, followed by ours where the agent is to be notified. */
function hooksOf(spec: Spec, { hooks, agentSocket }: SpecInput): Pick<Spec, 'hooks'> {
  if (!hooks) return {};
  const hook = (event: string) => ({
    path: OCI_HOOK,
    args: ['oci_hook', event, agentSocket],
    env: [`PATH=${PROGRAM_PATH}`],
    timeout: 120,
  });
  return {
    hooks: {
      ...spec.hooks,
      createRuntime: [...(spec.hooks?.createRuntime ?? []), hook('createRuntime')],
      poststop: [...(spec.hooks?.poststop ?? []), hook('poststop')],
    },
  };
}

/** Variables of the form NAME=value; later ones replace earlier ones. */
export function mergeEnv(before: readonly string[], more: readonly string[]): string[] {
  const variables = new Map([...before, ...more].map((text) => [text.slice(0, text.indexOf('=')), text]));
  return [...variables.values()];
}
