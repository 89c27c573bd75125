/**
 * The configuration that an OCI runtime is given (runtime-spec, config.md): for a root file system one of our own, for a
 * bundle the user's with what belongs to the network put in.
 */
import { readFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import * as z from 'zod';
import { OCI_HOOK } from '../../native/index.js';
import type { ContainerRequest, TerminalSize } from '../../protocol/containers.js';
import { errorText } from '../../protocol/error-text.js';
import { ContainerError } from './errors.js';
import { PROGRAM_PATH } from './run-program.js';
import { readText } from './state-files.js';

/** What of the configuration is decided elsewhere. */
export interface SpecInput {
  id: string;
  request: ContainerRequest;
  hostname: string;
  /** Directory of hosts, hostname and resolv.conf. */
  nameFiles: string;
  /** "" for a new network namespace, else the path of the one to join; undefined for the stack's own. */
  netns: string | undefined;
  /** Whether the agent is to be told by hooks. */
  hooks: boolean;
  agentSocket: string;
  /** Of its terminal, where it has one. */
  size: TerminalSize;
}

type Mount = {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
};

const namespaceSchema = z.object({ type: z.string(), path: z.string().optional() });
const hookSchema = z.looseObject({ path: z.string() });
const bundleSchema = z.looseObject({
  ociVersion: z.string(),
  root: z.looseObject({ path: z.string() }),
  process: z.looseObject({ args: z.array(z.string()).default([]), env: z.array(z.string()).default([]) }),
  mounts: z.array(z.looseObject({ destination: z.string() })).default([]),
  hooks: z
    .looseObject({ createRuntime: z.array(hookSchema).optional(), poststop: z.array(hookSchema).optional() })
    .optional(),
  linux: z
    .looseObject({
      namespaces: z.array(namespaceSchema).default([]),
      sysctl: z.record(z.string(), z.string()).optional(),
    })
    .default({ namespaces: [] }),
});
export type Spec = z.infer<typeof bundleSchema>;

/** Docker's default set (capabilities(7)). */
const CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];
const MASKED = ['acpi', 'asound', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi'];
const READ_ONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];
const DEFAULT_ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/** Throws ContainerError. */
export async function makeSpec(input: SpecInput): Promise<Spec> {
  const { request } = input;
  const base =
    request.bundle === undefined ? rootfsSpec(request) : withProcess(await readBundle(request.bundle), request);
  const spec = addNetwork(base, input);
  // runc refuses a root file system behind a symbolic link.
  const path = await realpath(spec.root.path).catch(() => spec.root.path);
  return { ...spec, root: { ...spec.root, path } };
}

/** The program that a container runs, as it is shown. */
export async function bundleCommand(bundle: string): Promise<string[]> {
  return (await readBundle(bundle)).process.args;
}

/** Throws ContainerError. */
async function readBundle(bundle: string): Promise<Spec> {
  const file = join(bundle, 'config.json');
  const text = await readText(file);
  if (text === undefined) throw new ContainerError(`no OCI bundle in ${bundle}: ${file} does not exist`);
  try {
    const spec = bundleSchema.parse(JSON.parse(text));
    // The runtime is given another directory as the bundle, and these are relative to this one.
    const absolute = (path: string) => (isAbsolute(path) ? path : join(bundle, path));
    const mounts = spec.mounts.map((mount) =>
      typeof mount.source === 'string' && isBind(mount) ? { ...mount, source: absolute(mount.source) } : mount,
    );
    return { ...spec, root: { ...spec.root, path: absolute(spec.root.path) }, mounts };
  } catch (error) {
    throw new ContainerError(`${file} is no configuration of an OCI bundle: ${explain(error)}`);
  }
}

function explain(error: unknown): string {
  const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
  return issue ? `${issue.path.map(String).join('.') || 'it'}: ${issue.message}` : errorText(error);
}

/** A bundle with what of its process is asked for in its place. */
function withProcess(spec: Spec, { cwd, user, readOnly }: ContainerRequest): Spec {
  const [uid = 0, gid = 0] = (user ?? '').split(':').map(Number);
  return {
    ...spec,
    root: { ...spec.root, ...(readOnly ? { readonly: true } : {}) },
    process: {
      ...spec.process,
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined ? {} : { user: { ...(spec.process.user as object | undefined), uid, gid } }),
    },
  };
}

/** As runtimes tell a bind mount (runtime-spec, config.md, "Mounts"). */
function isBind({ type, options }: Record<string, unknown>): boolean {
  const words: unknown[] = Array.isArray(options) ? options : [];
  return type === 'bind' || words.includes('bind') || words.includes('rbind');
}

function rootfsSpec(request: ContainerRequest): Spec {
  const [uid = 0, gid = 0] = (request.user ?? '0:0').split(':').map(Number);
  const mounts: Mount[] = [
    { destination: '/proc', type: 'proc', source: 'proc' },
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
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...(isMapped(5) ? ['gid=5'] : [])],
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
      user: { uid, gid },
      args: request.command ?? [],
      env: [...DEFAULT_ENV, ...(request.tty ? ['TERM=xterm'] : [])],
      cwd: request.cwd ?? '/',
      capabilities: Object.fromEntries(
        ['bounding', 'effective', 'permitted'].map((set) => [set, uid === 0 || set === 'bounding' ? CAPABILITIES : []]),
      ),
      noNewPrivileges: false,
    },
    mounts,
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
      maskedPaths: [...MASKED.map((name) => `/proc/${name}`), '/sys/firmware'],
      readonlyPaths: READ_ONLY.map((name) => `/proc/${name}`),
    },
  };
}

function addNetwork(
  spec: Spec,
  { id, request, hostname, nameFiles, netns, hooks, agentSocket, size }: SpecInput,
): Spec {
  const namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'network');
  if (netns !== undefined) namespaces.push({ type: 'network', ...(netns === '' ? {} : { path: netns }) });
  if (!namespaces.some(({ type }) => type === 'uts')) namespaces.push({ type: 'uts' });
  const own = netns === '';
  const sysctl = {
    ...(own ? { 'net.ipv4.ip_unprivileged_port_start': '0' } : {}),
    ...spec.linux.sysctl,
  };

  const asked = request.mounts.map(userMount);
  const taken = new Set([...spec.mounts, ...asked].map(({ destination }) => destination));
  const named = ['resolv.conf', 'hosts', 'hostname']
    .map((name): Mount => {
      const options = ['bind', 'rprivate'];
      return { destination: `/etc/${name}`, type: 'bind', source: join(nameFiles, name), options };
    })
    .filter(({ destination }) => !taken.has(destination));

  const args = request.command ?? spec.process.args;
  const env = mergeEnv(spec.process.env, [`HOSTNAME=${hostname}`, ...request.env]);
  const hook = (event: string) => ({
    path: OCI_HOOK,
    args: ['oci_hook', event, agentSocket],
    env: [`PATH=${PROGRAM_PATH}`],
    timeout: 120,
  });
  return {
    ...spec,
    hostname,
    // Since version 1.1 of the specification; older runtimes pass over it.
    ...(request.domainname === undefined ? {} : { domainname: request.domainname }),
    process: {
      ...spec.process,
      args,
      env,
      terminal: request.tty,
      ...(request.tty ? { consoleSize: { width: size.columns, height: size.rows } } : {}),
    },
    mounts: [...spec.mounts, ...asked, ...named],
    annotations: { ...(spec.annotations as object | undefined), 'rootless-net/id': id },
    ...(hooks
      ? {
          hooks: {
            ...spec.hooks,
            createRuntime: [...(spec.hooks?.createRuntime ?? []), hook('createRuntime')],
            poststop: [...(spec.hooks?.poststop ?? []), hook('poststop')],
          },
        }
      : {}),
    linux: { ...spec.linux, namespaces, sysctl },
  };
}

function userMount(text: string): Mount {
  const [source = '', destination = '', mode = 'rw'] = text.split(':');
  return { destination, type: 'bind', source, options: ['rbind', 'rprivate', mode] };
}

export function mergeEnv(before: readonly string[], more: readonly string[]): string[] {
  const variables = new Map([...before, ...more].map((text) => [text.slice(0, text.indexOf('=')), text]));
  return [...variables.values()];
}

/** Whether a group id exists in our user namespace (user_namespaces(7)). */
function isMapped(gid: number): boolean {
  return readFileSync('/proc/self/gid_map', 'utf8')
    .trim()
    .split('\n')
    .some((line) => {
      const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
      return first <= gid && gid < first + count;
    });
}
