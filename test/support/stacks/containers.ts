// A stack that runs containers, with directories of its own, and rootless-net on it.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { StackClient } from '../../parent/api/client.js';
import { ContainerClient } from '../../parent/api/container-client.js';
import type { AttachmentRequest, ContainerNetwork, ContainerReport } from '../../protocol/containers.js';
import { binPath } from './paths.js';
import { isAlive, listProcesses, processTree } from './process-info.js';
import { type RunOptions, type RunResult, run } from './run.js';
import { type Started, start } from './start.js';
import { tempDir } from './temp-dir.js';
import { waitFor } from './wait-for.js';

export interface ContainerStackOptions {
  /** Options of rootless-run serve; loopback only (`--net=none`) unless told. */
  args?: readonly string[];
  env?: Record<string, string>;
  /** A program and its arguments that starts rootless-run in turn, by becoming it. */
  wrapper?: readonly string[];
  /** Data and configuration of an earlier one; new unless told. */
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
  /** As net(), which has to succeed without a word on standard error; resolves with its standard output, trimmed. */
  must(...args: string[]): Promise<string>;
  /** Runs a program in the stack's namespaces, as root there, to its end. */
  enter(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Process ids of the agent. */
  agents(): number[];
  /** Has the agent fail, or die, at that moment, once; see child/container/faults.ts. */
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

export async function startContainerStack(options: ContainerStackOptions = {}): Promise<ContainerStack> {
  const home = options.home ?? tempDir();
  const env = {
    HOME: home,
    XDG_RUNTIME_DIR: join(home, 'run'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_STATE_HOME: join(home, 'state'),
    ROOTLESS_NET_FAULTS: join(home, 'fault'),
    ...options.env,
  };
  mkdirSync(env.XDG_RUNTIME_DIR, { recursive: true, mode: 0o700 });
  const stateDir = join(env.XDG_RUNTIME_DIR, 'rootless-net');
  const socket = join(stateDir, 'api.sock');
  const api = new StackClient(socket);
  const containers = new ContainerClient(socket);
  const serve = [process.execPath, binPath('rootless-run'), 'serve', ...(options.args ?? ['--net=none'])];
  const [program = '', ...words] = [...(options.wrapper ?? []), ...serve];
  const started = await start(program, words, {
    env,
    ready: { check: async () => Array.isArray(await containers.list().catch(() => undefined)) },
  });
  const net = (...args: string[]) => run(process.execPath, [binPath('rootless-net'), ...args], { env });
  const dataDir = join(env.XDG_DATA_HOME, 'rootless-net');
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
    async enter(command, runOptions) {
      const pid = readFileSync(join(stateDir, 'child_pid'), 'utf8');
      const into = ['--user', '--net', '--mount', '--preserve-credentials', `--target=${pid}`, '--'];
      return run('nsenter', [...into, ...command], runOptions);
    },
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

/** SIGKILL, to one that may have ended. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has.
  }
}

let made: string | undefined;

/** A root file system of busybox, made at the first use, with /www/index.html. Containers share it. */
export function busyboxRootfs(): string {
  if (made !== undefined) return made;
  const root = join(tempDir(), 'rootfs');
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'www', 'root', 'run']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  copyFileSync('/bin/busybox', join(root, 'bin', 'busybox'));
  const applets =
    'sh cat echo sleep ip ping nc httpd wget hostname id env ls mkdir rm touch stat stty tty true false kill ps grep sed nslookup test head seq date mount awk tail cut wc udhcpc readlink sort dd sha256sum';
  for (const name of applets.split(' ')) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'www', 'index.html'), 'hello\n');
  made = root;
  return root;
}

/** A command that does nothing, and ends at once when it is told to. */
export const IDLE = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'];

/** A web server that answers with its container's host name, and ends at once when it is told to. */
export const WEB = [
  'sh',
  '-c',
  'trap "exit 0" TERM; mkdir -p /tmp/$HOSTNAME; hostname > /tmp/$HOSTNAME/index.html; httpd -f -p 80 -h /tmp/$HOSTNAME & wait $!',
];

/**
 * Answers with its container's host name, at 80/tcp by HTTP and at 53/udp each datagram, and ends at once when it is told
 * to. Needs HOST_PROGRAMS.
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

/** Starts a container that goes on; resolves with its report. */
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

/** A process of the stack of that name. */
export function processNamed(name: string): number[] {
  return listProcesses()
    .filter(({ comm, state }) => comm === name && state !== 'Z')
    .map(({ pid }) => pid);
}
