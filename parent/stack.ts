/**
 * The stack: namespaces, network, ports, API, and the command in them.
 *
 * Theory of operation. start() is one sequence of steps, each with its undo; when one fails, those before it are undone
 * in reverse, and so they are at the end. The command is let go last: when it runs, child_pid and api.sock are there and
 * all ports listen.
 */
import { join } from 'node:path';
import { native } from '../native/index.js';
import { API_VERSION, type Info } from '../protocol/api.js';
import { defaultCongestion } from '../protocol/congestion.js';
import { VERSION } from '../protocol/version.js';
import { AgentSupervisor } from './agent.js';
import { type APIServer, startAPIServer } from './api/server.js';
import { Channels } from './channels.js';
import { ContainerService } from './containers/service.js';
import { errorText, NamespaceError, NetworkError, problemText } from './errors.js';
import { EventBus } from './events.js';
import { hostsFile, resolvConf } from './name-files.js';
import { evacuateCgroup } from './namespaces/cgroup.js';
import { type IdMap, planIdMap } from './namespaces/id-map.js';
import { type CommandResult, Launcher, type Namespace, OrderError } from './namespaces/launcher.js';
import type { ChildNamespaces, Network } from './network/driver.js';
import { prepareNetwork, setupNetwork } from './network/index.js';
import type { StackOptions } from './options.js';
import { BuiltinPortDriver } from './port/builtin.js';
import { BypassPortDriver } from './port/bypass.js';
import type { PortDriver } from './port/driver.js';
import { PortConflictError } from './port/errors.js';
import { makePortDriver } from './port/index.js';
import { KeptPorts } from './port/kept-ports.js';
import { Slirp4netnsPortDriver } from './port/slirp4netns.js';
import { StateDir } from './state/state-dir.js';
import { UndoStack } from './undo.js';

export interface StackLog {
  debug(line: string): void;
  info(line: string): void;
  warn(line: string): void;
}

export class Stack {
  private constructor(
    readonly options: StackOptions,
    /** What happens in the stack. Connection events are only made while somebody listens. */
    readonly events: EventBus,
    private readonly channels: Channels,
    private readonly launcher: Launcher,
    private readonly network: Network,
    /** Undefined where no ports can be asked for: with the port drivers `none` and `implicit`. */
    readonly ports: PortDriver | undefined,
    private readonly kept: KeptPorts | undefined,
    private readonly containers: ContainerService | undefined,
    private readonly stateDir: StateDir,
    private readonly undo: UndoStack,
    private readonly log: StackLog,
  ) {}

  get info(): Info {
    return {
      apiVersion: API_VERSION,
      version: VERSION,
      stateDir: this.stateDir.path,
      childPID: this.launcher.pid,
      ...(this.network.info ? { networkDriver: this.network.info } : {}),
      ...(this.ports ? { portDriver: this.ports.info } : {}),
    };
  }

  /**
   * Starts everything, the command included. Throws UserError (errors.ts), PortError (port/errors.ts) or
   * NativeMissingError, and then nothing is left; likewise, with its reason, when `abort` fires before the command is let
   * go.
   *
   * This process becomes the one that inherits orphans from below it, see namespaces/orphans.ts.
   */
  static async start(options: StackOptions, log: StackLog, abort?: AbortSignal): Promise<Stack> {
    const undo = new UndoStack((what, error) => log.warn(`cannot ${what}: ${error}`));
    const starting = Stack.#prepare(options, log, undo);
    try {
      const stack = await (abort ? Promise.race([starting, aborted(abort)]) : starting);
      // From here on the command may run, and be seen to: it is ended by signals then, not by `abort`.
      await stack.#letGo();
      return stack;
    } catch (error) {
      // A step that is under way fails when what is below it goes, or adds to what is to be undone.
      starting.catch(() => {}).then(() => undo.unwind());
      await undo.unwind();
      throw error;
    }
  }

  static async #prepare(options: StackOptions, log: StackLog, undo: UndoStack): Promise<Stack> {
    const channels = new Channels(defaultCongestion(), (line) => log.warn(line));
    undo.push('stop the engine', () => channels.close());

    // What takes longest: everything that it can do without is done meanwhile.
    const path = StateDir.choose(options.stateDir);
    const launching = Launcher.start(channels, namespacesOf(options), () => plannedIdMap(options, log), {
      ROOTLESSKIT_STATE_DIR: path,
      ROOTLESSKIT_PARENT_EUID: String(process.geteuid?.() ?? 0),
      ROOTLESSKIT_PARENT_EGID: String(process.getegid?.() ?? 0),
    });
    launching.catch(() => {});

    const opening = StateDir.open(path);
    opening.catch(() => {});
    // Also where the start is given up before it is there.
    undo.push('remove the state directory', async () => (await opening.catch(() => undefined))?.remove());
    prepareNetwork(options.net, options.network);
    const launcher = await launching;
    undo.push('end the command', () => launcher.kill());
    const stateDir = await opening;
    log.debug(`namespaces are up, child pid ${launcher.pid}`);
    if (options.evacuateCgroup2 !== undefined) {
      for (const problem of await evacuateCgroup(options.evacuateCgroup2)) log.warn(problem);
    }

    const child = await childNamespaces(launcher, channels, stateDir, options);
    const slirpSocket = join(stateDir.path, '.s4nn.sock');
    const demands = {
      implicitPorts: options.portDriver === 'implicit',
      ...(options.portDriver === 'slirp4netns' ? { apiSocket: slirpSocket } : {}),
    };
    // The network driver works from outside while the launcher sets up the inside; but not where it needs a path there,
    // which copying up would move.
    const inside = child.netns === undefined ? setUpInside(launcher, options, log) : undefined;
    inside?.catch(() => {});
    const network = await setupNetwork(options.net, child, options.network, demands, (line) => log.info(line));
    undo.push('end the network', () => network.close());
    log.debug(`network driver ${network.info?.driver ?? 'host'}`);
    await (inside ?? setUpInside(launcher, options, log));
    await writeNameFiles(launcher, stateDir, network, options, log);

    const bus = new EventBus();
    const agent = new AgentSupervisor(
      channels,
      launcher,
      (line) => log.warn(line),
      (line) => log.debug(line),
    );
    undo.push('end the agent', async () => agent.close());
    const ports = makePortDriver(options.portDriver, {
      builtin: () => new BuiltinPortDriver(channels, agent, (event) => bus.emit(event), options.keepSource),
      bypass: () =>
        new BypassPortDriver(
          new BuiltinPortDriver(channels, agent, (event) => bus.emit(event), options.keepSource),
          channels,
          {
            root: launcher.pid,
            childIP: network.info?.childIP ?? '',
            hostLoopback: options.network.hostLoopback,
            outbound: options.bypass?.outbound ?? false,
            activate: options.bypass?.activate ?? false,
          },
        ),
      slirp4netns: () =>
        new Slirp4netnsPortDriver(slirpSocket, network.info?.childIP ?? '', (event) => bus.emit(event)),
    });
    if (ports) undo.push('close the published ports', () => ports.close());

    const kept = options.keptPorts === undefined ? undefined : new KeptPorts(options.keptPorts);
    const containers =
      options.containers &&
      new ContainerService(
        agent,
        ports,
        () => network.info,
        { ...options.containers, stack: crypto.randomUUID(), stateDir: stateDir.path },
        (line) => log.warn(line),
      );
    const stack = new Stack(options, bus, channels, launcher, network, ports, kept, containers, stateDir, undo, log);
    bus.onWatched = (watched) => ports?.watchConnections(watched);
    network.onLost((reason) => {
      // Its device goes with the namespaces.
      if (!launcher.ended) log.warn(`the network is lost: ${reason}; restart to get it back`);
    });

    for (const spec of options.publish) {
      const status = await ports?.add(spec);
      if (status && spec.parentPort === 0) {
        const { parentIP, parentPort, childPort, proto } = status.spec;
        log.info(`published ${parentIP || '*'}:${parentPort} to ${childPort}/${proto}`);
      }
    }

    for (const { fd, spec } of options.adopt ?? []) {
      if (ports?.adopt) {
        await ports.adopt(fd, spec);
        continue;
      }
      native().closeFd(fd);
      log.warn(`a socket of systemd is not published: the port driver ${options.portDriver} cannot take it`);
    }
    await stack.publishKept();

    stateDir.write('child_pid', String(launcher.pid), 0o444);
    const api: APIServer = await startAPIServer({
      socketPath: stateDir.socket,
      info: () => stack.info,
      ports,
      kept,
      containers,
      events: bus,
      log: (line) => log.warn(line),
    });
    undo.push('close the API', () => api.close());
    // Before the API goes, so that those who follow a container hear how it ended.
    if (containers) undo.push('end the containers', () => containers.close());

    return stack;
  }

  async #letGo(): Promise<void> {
    const { containers, launcher, log, options, ports } = this;
    if (options.command) {
      await ports?.beforeCommand?.(launcher);
      await launcher.run(options.command);
    } else {
      await launcher.idle();
    }
    // What an earlier run left is put in order, and need not be waited for.
    containers?.ready().catch((error: unknown) => log.warn(`containers cannot be run: ${errorText(error)}`));
  }

  /**
   * Publishes what the file of kept ports has, and is not published yet. What cannot be is told in a line, and stays in
   * the file.
   */
  async publishKept(): Promise<void> {
    const { kept, ports, log } = this;
    if (!kept || !ports) return;
    const specs = await kept.load().catch((error: unknown) => {
      log.warn(errorText(error));
      return [];
    });
    for (const spec of specs) {
      try {
        await ports.add(spec);
      } catch (error) {
        if (!(error instanceof PortConflictError)) log.warn(`a kept port is not published: ${errorText(error)}`);
      }
    }
  }

  /** Resolves with whether everything still runs; not at all where the engine hangs. */
  async healthy(): Promise<boolean> {
    await this.channels.answers();
    return !this.launcher.ended;
  }

  /** How the command ended; undefined where it was killed together with the launcher. */
  wait(): Promise<CommandResult | undefined> {
    return this.launcher.wait();
  }

  /** Passes a signal on to the command; resolves when it has been sent. */
  signal(number: number): Promise<void> {
    this.launcher.signal(number);
    // Another thread sends it, and has done so when it answers to what comes after.
    return this.channels.answers();
  }

  /** Ends the command if it still runs, and undoes everything. */
  close(): Promise<void> {
    return this.undo.unwind();
  }
}

/** Rejects when the signal fires. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    signal.addEventListener('abort', fail, { once: true });
  });
}

function namespacesOf(options: StackOptions): Namespace[] {
  const ownNetwork = options.net !== 'host' && !options.detachNetns;
  return ['user', 'mnt', ...(ownNetwork ? (['net'] as const) : []), ...options.namespaces];
}

async function plannedIdMap(options: StackOptions, log: StackLog): Promise<IdMap> {
  const idMap = await planIdMap(options.subIdSource);
  if (idMap.kind === 'single') log.warn(`only root is mapped in the user namespace: ${problemText(idMap.reason)}`);
  if (idMap.kind === 'identity') log.debug('running as root: ids are mapped to themselves');
  return idMap;
}

/** Makes the detached network namespace, if there is to be one. Throws NamespaceError. */
async function childNamespaces(
  launcher: Launcher,
  channels: Channels,
  stateDir: StateDir,
  options: StackOptions,
): Promise<ChildNamespaces> {
  const child: ChildNamespaces = {
    pid: launcher.pid,
    stateDir: stateDir.path,
    keepTap: (name, kept) =>
      launcher.order('tap', name, kept ? 'keep' : 'drop').then(
        () => true,
        (error: unknown) => {
          if (error instanceof OrderError) return false;
          throw error;
        },
      ),
    hasDefaultRoute: async () => (await launcher.order('has-default-route'))[0] === 'yes',
    async start(command) {
      const [ours, theirs] = native().socketpair();
      const channel = channels.open(ours);
      await launcher.startHelper(command, theirs);
      return channel;
    },
  };
  if (!options.detachNetns) return child;
  const path = join(stateDir.path, 'netns');
  await must(launcher, 'detach-netns', path);
  return { ...child, netns: `/proc/${launcher.pid}/root${path}` };
}

/** Throws NamespaceError. */
async function must(launcher: Launcher, ...order: string[]): Promise<void> {
  try {
    await launcher.order(...order);
  } catch (error) {
    if (!(error instanceof OrderError)) throw error;
    throw new NamespaceError(`cannot set up the namespaces: ${error.message}`);
  }
}

/** What the launcher can do before the network is known. Throws NamespaceError. */
async function setUpInside(launcher: Launcher, options: StackOptions, log: StackLog): Promise<void> {
  const may = async (...order: string[]) => {
    try {
      await launcher.order(...order);
      return true;
    } catch (error) {
      if (!(error instanceof OrderError)) throw error;
      log.debug(error.message);
      return false;
    }
  };

  // All at once: the launcher carries them out one after the other, without waiting for us in between.
  const ownNetwork = options.net !== 'host' || options.detachNetns;
  await Promise.all([
    must(launcher, 'propagation', options.propagation),
    ...options.copyUp.map((dir) => copyUp(launcher, dir)),
    ownNetwork && must(launcher, 'loopback-up'),
    ownNetwork && may('congestion-control', 'cubic', 'reno'),
    ownNetwork && may('large-segments'),
    options.namespaces.includes('pid') &&
      may('mount-proc').then((done) => {
        if (!done) log.warn('/proc shows the processes of the host: it cannot be mounted anew here');
      }),
    bindsFiles(options) &&
      may('mount-sysfs').then((done) => {
        if (!done) log.debug('/sys shows the devices of the host: it cannot be mounted anew here');
      }),
    options.evacuateCgroup2 !== undefined &&
      may('mount-cgroup2').then((done) => {
        if (!done) log.warn('/sys/fs/cgroup shows the cgroups of the host: it cannot be mounted anew here');
      }),
  ]);
}

/** Throws NamespaceError. */
async function copyUp(launcher: Launcher, dir: string): Promise<void> {
  try {
    await launcher.order('copy-up', dir);
  } catch (error) {
    if (!(error instanceof OrderError)) throw error;
    const why = COPY_UP_PROBLEMS[error.code] ?? error.message;
    throw new NamespaceError(`cannot copy up ${dir} (--copy-up): ${why}`);
  }
}

const COPY_UP_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'it is not a directory',
  EACCES: 'permission denied',
};

/** Whether the command sees the network that is set up, and with it its names and devices. */
function bindsFiles(options: StackOptions): boolean {
  return options.net !== 'host' && !options.detachNetns;
}

/** Throws NetworkError. */
async function writeNameFiles(
  launcher: Launcher,
  stateDir: StateDir,
  network: Network,
  options: StackOptions,
  log: StackLog,
): Promise<void> {
  if (!network.info) return;
  const files = [
    ['/etc/hosts', 'hosts', hostsFile()],
    ['/etc/resolv.conf', 'resolv.conf', resolvConf(network.info.dns)],
  ] as const;
  const copied = options.copyUp.includes('/etc');
  await Promise.all(
    files.map(async ([target, name, text]) => {
      const source = stateDir.write(name, text);
      if (!bindsFiles(options)) return;
      try {
        await launcher.order('bind-file', source, target, copied ? 'replace' : 'keep');
      } catch (error) {
        if (!(error instanceof OrderError)) throw error;
        if (copied) throw new NetworkError(`cannot set up ${target}: ${error.message}`);
        log.warn(`${target} is the host's: ${error.message}; use --copy-up=/etc`);
      }
    }),
  );
  if (!bindsFiles(options)) return;
  if (!copied)
    log.debug('mounting /etc/resolv.conf without copying up /etc: it may change when the host changes its own');
}
