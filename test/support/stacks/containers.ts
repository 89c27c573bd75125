// A stack that runs containers, with directories of its own, and rootless-net on it.
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ContainerClient } from '../../../parent/client/container-client.js';
import { StackClient } from '../../../parent/client/stack-client.js';
import type { AttachmentRequest, ContainerNetwork, ContainerReport } from '../../../protocol/containers/types.js';
import { binPath } from '../paths.js';
import { isAlive, processTree } from '../process-info.js';
import { type RunOptions, type RunResult, run } from '../run.js';
import { type Started, start } from '../start.js';
import { tempDir } from '../temp-dir.js';
import { waitFor } from '../wait-for.js';
import { staticBusybox } from './busybox.js';

/** In the environment of tests that are run on stacks with --detach-netns. */
export const detachedVariable = 'ROOTLESS_NET_TEST_DETACHED';

export interface ContainerStackOptions {
  /** Options of rootless-run serve; loopback only (`--net=none`) by default. */
  args?: readonly string[];
  env?: Record<string, string>;
  /** A program and its arguments that starts rootless-run in turn, by becoming it. */
  wrapper?: readonly string[];
  /** Data and configuration of an earlier one; new by default. */
  home?: string;
}

/** `rootless-run serve`, with what a test does to it. Ends with the block (`await using`). */
export interface ContainerStack extends AsyncDisposable {
  readonly started: Started;
  readonly home: string;
  readonly stateDir: string;
  /** Where containers, names, addresses and the journal are. */
  readonly dataDir: string;
  /** Where networks are. */
  readonly confDir: string;
  readonly containers: ContainerClient;
  readonly api: StackClient;
  /** Environment in which rootless-net finds the stack. */
  readonly env: Record<string, string>;
  /** Runs rootless-net to its end. */
  net(...args: string[]): Promise<RunResult>;
  /** As net(), which has to succeed without output on standard error; resolves with its standard output, trimmed. */
  must(...args: string[]): Promise<string>;
  /** Runs a program in the stack's namespaces, as root there, to its end. */
  enter(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Options of nsenter(1) that lead into the stack's namespaces. */
  into(): string[];
  /** Which network namespace is the stack's, as /proc/PID/ns/net names it. */
  netns(): string;
  /** Process ids of the agent. */
  agents(): number[];
  /** Has the agent fail, or die, at that moment, once; see child/container/storage/fault-injection.ts. */
  fault(how: 'fail' | 'kill', moment: string): void;
  /** Whether the moment that was asked for last has not come yet. */
  faultPending(): boolean;
  /** Waits until the agent serves; another one, if one was killed. */
  settled(): Promise<void>;
  /** Files below dataDir, relative to it, that tests of leftovers look at: all but the fixed ones. */
  files(): string[];
  /** SIGKILL to everything, and waits for its end. The directories stay. */
  killAll(): Promise<void>;
}

/** Directories of a user of their own below `home`, and the default state directory there. */
export function userDirectories(home: string) {
  const env = {
    HOME: home,
    XDG_RUNTIME_DIR: join(home, 'run'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_STATE_HOME: join(home, 'state'),
  };
  mkdirSync(env.XDG_RUNTIME_DIR, { recursive: true, mode: 0o700 });
  return { env, stateDir: join(env.XDG_RUNTIME_DIR, 'rootless-net') };
}

export async function startContainerStack(options: ContainerStackOptions = {}): Promise<ContainerStack> {
  const home = options.home ?? tempDir();
  const { env: directories, stateDir } = userDirectories(home);
  const env = { ...directories, ROOTLESS_NET_FAULTS: join(home, 'fault'), ...options.env };
  const socket = join(stateDir, 'api.sock');
  const api = new StackClient(socket);
  const containers = new ContainerClient(socket);
  const detached = process.env[detachedVariable] === 'yes';
  const given = options.args ?? ['--net=none'];
  const serve = [binPath('rootless-run'), 'serve', ...(detached ? ['--detach-netns'] : []), ...given];
  const [program = '', ...words] = [...(options.wrapper ?? []), ...serve];
  const started = await start(program, words, {
    env,
    ready: { check: async () => Array.isArray(await containers.list().catch(() => undefined)) },
  });
  const net = (...args: string[]) => run(binPath('rootless-net'), args, { env });
  const dataDir = join(env.XDG_DATA_HOME, 'rootless-net');
  const childPid = () => readFileSync(join(stateDir, 'child_pid'), 'utf8');
  const netns = () => (detached ? `/proc/${childPid()}/root${stateDir}/netns` : `/proc/${childPid()}/ns/net`);
  const into = () => [
    '--user',
    `--net=${netns()}`,
    '--mount',
    '--preserve-credentials',
    `--target=${childPid()}`,
    '--',
  ];
  return {
    started,
    home,
    stateDir,
    dataDir,
    confDir: join(env.XDG_CONFIG_HOME, 'cni', 'net.d'),
    containers,
    api,
    env,
    net,
    async must(...args) {
      const { code, stdout, stderr } = await net(...args);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '));
      return stdout.trim();
    },
    enter: (command, runOptions) => run('nsenter', [...into(), ...command], runOptions),
    into,
    netns: () => `net:[${statSync(netns()).ino}]`,
    agents: () =>
      processTree(started.pid)
        .filter(({ args }) => args.some((word) => word.endsWith('child/agent.js')))
        .map(({ pid }) => pid),
    fault: (how, moment) => writeFileSync(env.ROOTLESS_NET_FAULTS, `${how} ${moment}`),
    faultPending: () => existsSync(env.ROOTLESS_NET_FAULTS),
    async settled() {
      await waitFor(() => containers.list().then(() => true), { what: 'the agent' });
    },
    files: () =>
      readdirSync(dataDir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(dataDir.length + 1))
        .filter((name) => !/^lock$|^addresses\/[^/]+\/(lock|last_reserved_ip\.\d)$/.test(name))
        .sort(),
    async killAll() {
      const tree = processTree(started.pid);
      for (const { pid } of tree) kill(pid);
      await waitFor(() => tree.every(({ pid }) => !isAlive(pid)), { what: 'the end of all processes' });
      await started.ended;
    },
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

/** Sends SIGKILL to a process that may have ended. Fails where there is no such number. */
export function kill(pid: number | undefined): void {
  // 0 is this process group, and a negative number another one (kill(2)).
  assert.ok(pid !== undefined && pid > 1, `not a process to kill: ${pid}`);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has.
  }
}

let made: string | undefined;

/** A root file system of busybox, made at the first use, with /www/index.html. Containers share it. */
export function busyboxRootfs(): string {
  made ??= makeBusyboxRootfs(tempDir());
  return made;
}

/** As busyboxRootfs(), below that directory. */
export function makeBusyboxRootfs(directory: string): string {
  const root = join(directory, 'rootfs');
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'www', 'root', 'run']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  copyFileSync(staticBusybox(), join(root, 'bin', 'busybox'));
  const applets =
    'sh cat echo sleep ip ping nc httpd wget hostname id env ls mkdir rm touch stat stty tty true false kill ps grep sed nslookup test head seq date mount awk tail cut wc udhcpc readlink sort dd sha256sum';
  for (const name of applets.split(' ')) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'www', 'index.html'), 'hello\n');
  return root;
}

/** A command that does nothing, and ends at once on SIGTERM. */
export const IDLE = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'];

/** A web server that answers with its container's host name, and ends at once on SIGTERM. */
export const WEB = [
  'sh',
  '-c',
  'trap "exit 0" TERM; mkdir -p /tmp/$HOSTNAME; hostname > /tmp/$HOSTNAME/index.html; httpd -f -p 80 -h /tmp/$HOSTNAME & wait $!',
];

/**
 * Answers with its container's host name, at 80/tcp by HTTP and at 53/udp each datagram, and ends at once on request.
 * Needs HOST_PROGRAMS.
 */
export const NAME_SERVER = [
  'sh',
  '-c',
  `trap "exit 0" TERM; mkdir -p /tmp/$HOSTNAME; hostname > /tmp/$HOSTNAME/index.html
httpd -f -p 80 -h /tmp/$HOSTNAME &
python3 -c '
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 53))
while True:
    server.sendto(socket.gethostname().encode() + b"\\n", server.recvfrom(2048)[1])
' & wait $!`,
];

/** Mounts that give a container of busybox the host's programs, too. */
export const HOST_PROGRAMS = ['/usr', '/lib', '/lib64'].filter(existsSync).map((path) => `${path}:${path}:ro`);

/** Starts a container that keeps running; resolves with its report. */
export async function startContainer(
  { containers }: ContainerStack,
  request: Partial<Parameters<ContainerClient['create']>[0]> = {},
): Promise<ContainerReport> {
  const { id } = await containers.create({ rootfs: busyboxRootfs(), command: IDLE, ...request });
  return containers.start(id);
}

/** The networks of a container's request, by name, or with what it asks for there. */
export function onNetworks(...networks: (string | AttachmentRequest)[]): ContainerNetwork {
  return {
    mode: 'networks',
    networks: networks.map((network) => (typeof network === 'string' ? { network } : network)),
  };
}

/** A container's first address, on that network where one is named. */
export function addressOf({ name, attachments }: ContainerReport, network?: string, family: 4 | 6 = 4): string {
  const ips = attachments
    .filter((entry) => network === undefined || entry.network === network)
    .flatMap(({ ips }) => ips);
  const found = ips.map((ip) => ip.replace(/\/.*$/, '')).find((ip) => isIP(ip) === family);
  return found ?? assert.fail(`${name} has no IPv${family} address on ${network ?? 'any network'}`);
}

/** Removes all containers, and all networks but the default one; nothing is left of them in the stack's files. */
export async function removeAll({ containers, files }: ContainerStack): Promise<void> {
  for (const { id } of await containers.list()) await containers.remove(id, { force: true });
  await containers.pruneNetworks();
  assert.deepEqual(files(), []);
}

/** Runs a program in a running container to its end; what it wrote to both streams is in one text. */
export async function tryIn(
  { containers }: ContainerStack,
  name: string,
  ...command: string[]
): Promise<{ code: number; output: string }> {
  const stream = await containers.exec(name, { command });
  let output = '';
  stream.listen((_, data) => {
    output += data.toString();
  });
  return { code: await stream.exit, output };
}

/** As tryIn(), for what has to succeed; resolves with what it wrote. */
export async function execIn(stack: ContainerStack, name: string, ...command: string[]): Promise<string> {
  const { code, output } = await tryIn(stack, name, ...command);
  assert.equal(code, 0, `${command.join(' ')} in ${name}: ${output}`);
  return output;
}

/** Whether an address or a name answers a ping from a container. */
export async function reaches(stack: ContainerStack, name: string, address: string): Promise<boolean> {
  return (await tryIn(stack, name, 'ping', '-c', '1', '-W', '1', address)).code === 0;
}

/** All that containers have in effect; names only, so that it is the same for the same containers. */
export interface Traces {
  /** Files and directories below the data directory. */
  files: string[];
  /** Files and directories of single containers below the state directory. */
  stateFiles: string[];
  /** Devices in the stack's network namespace. */
  links: string[];
  /** What is in the sets of the packet filter. */
  rules: string[];
  /** Addresses on which the stack listens on the host. */
  listeners: string[];
  /** Programs that run below the stack. */
  processes: string[];
}

/** What there is now. */
export async function traces(stack: ContainerStack): Promise<Traces> {
  const { dataDir, stateDir, started } = stack;
  const script = 'ip -o link | cut -d: -f2; echo; nft list table inet rootless_net | grep elements';
  const [inside, sockets] = await Promise.all([
    stack.enter(['sh', '-c', script]),
    run('ss', ['-Hlntup'], { timeout: 10_000 }),
  ]);
  const [links = '', rules = ''] = inside.stdout.split('\n\n');
  const below = (directory: string, names: readonly string[] = ['']) =>
    names.flatMap((name) => {
      const top = join(directory, name);
      if (!existsSync(top)) return [];
      return readdirSync(top, { recursive: true, encoding: 'utf8' }).map((path) => join(name, path));
    });
  return {
    files: below(dataDir)
      .filter((name) => !/^lock$|\.log$|^addresses\/[^/]+\/(lock|last_reserved_ip\.\d)$/.test(name))
      .sort(),
    stateFiles: below(stateDir, ['containers', 'exits', 'oci']).sort(),
    links: links
      .split('\n')
      .map((line) => line.trim().replace(/@.*/, ''))
      .sort(),
    rules: rules.split('\n').map((line) => line.trim()),
    listeners: sockets.stdout
      .split('\n')
      .filter((line) => line.includes(`pid=${started.pid},`))
      .map((line) => line.split(/\s+/)[4] ?? '')
      .sort(),
    processes: processTree(started.pid)
      .map(({ comm }) => comm)
      // IDLE may not have come to it yet; its shell is there.
      .filter((comm) => comm !== 'sleep')
      .sort(),
  };
}

/** Waits until that is all there is; the kernel takes network namespaces away when it has the time. */
export async function onlyLeft(stack: ContainerStack, expected: Traces, what: string): Promise<void> {
  const deadline = performance.now() + 5000;
  let found = await traces(stack);
  while (!isDeepStrictEqual(found, expected) && performance.now() < deadline) found = await traces(stack);
  assert.deepEqual(found, expected, what);
}
