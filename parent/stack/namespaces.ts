/** Step of the start: the namespaces, and what the launcher sets up in them. */
import { type GatewayOptions as EngineGatewayOptions, native } from '../../native/index.js';
import { statePath } from '../../protocol/state/state-layout.js';
import type { EngineHost } from '../engine/engine-host.js';
import { NamespaceError, problemText } from '../errors.js';
import { makeGateway, orderChannel } from '../namespaces/gateway.js';
import { type IdMap, planIdMap } from '../namespaces/id-map.js';
import { Launcher, LauncherRequestError, type Namespace } from '../namespaces/launcher.js';
import type { ChildNamespaces, Gateway, GatewayOptions } from '../network/driver.js';
import { withSystemDirectories } from '../programs/find-program.js';
import type { StateDir } from '../state/state-dir.js';
import { hasOwnNetwork, type StackLog, type StackOptions, type StartContext } from './options.js';

/** Starts the launcher, which makes the namespaces. Throws NamespaceError. */
export function startLauncher(
  { options, log }: StartContext,
  { engineHost, stateDir }: { engineHost: EngineHost; stateDir: StateDir },
): Promise<Launcher> {
  const path = options.systemPath ? withSystemDirectories(process.env.PATH) : undefined;
  const namespaces: Namespace[] = ['mnt', ...(hasOwnNetwork(options) ? (['net'] as const) : []), ...options.namespaces];
  return Launcher.start({
    engineHost,
    namespaces,
    planIdMap: () => plannedIdMap(options, log),
    env: {
      ROOTLESSKIT_STATE_DIR: stateDir.path,
      ROOTLESSKIT_PARENT_EUID: String(process.geteuid?.() ?? 0),
      ROOTLESSKIT_PARENT_EGID: String(process.getegid?.() ?? 0),
      ...(path === undefined ? {} : { PATH: path }),
    },
    started: options.launcher,
  });
}

async function plannedIdMap(options: StackOptions, log: StackLog): Promise<IdMap> {
  const idMap = await planIdMap(options.subIdSource);
  if (idMap.kind === 'single') log.warn(`only root is mapped in the user namespace: ${problemText(idMap.reason)}`);
  if (idMap.kind === 'identity') log.debug('running as root: ids are mapped to themselves');
  return idMap;
}

/** The namespaces as a network driver sees them; makes the detached network namespace. Throws NamespaceError. */
export async function makeChildNamespaces(
  { options, log }: StartContext,
  { engineHost, launcher, stateDir }: { engineHost: EngineHost; launcher: Launcher; stateDir: StateDir },
): Promise<ChildNamespaces> {
  const child: ChildNamespaces = {
    pid: launcher.pid,
    stateDir: stateDir.path,
    keepTap: (name, kept) => tryRequest(launcher, ['tap', name, kept ? 'keep' : 'drop']),
    allowMulticast: (name) => tryRequest(launcher, ['multicast', name]),
    warn: (line) => log.warn(line),
    get ended() {
      return launcher.ended;
    },
    hasDefaultRoute: async () => (await launcher.request('has-default-route'))[0] === 'yes',
    openGateway: (settings) => openGateway({ engineHost, launcher }, settings),
    async start(command) {
      const [ours, theirs] = native().socketpair();
      const channel = engineHost.open(ours);
      await launcher.startHelper(command, theirs);
      return channel;
    },
  };
  if (!options.detachNetns) return child;
  const path = statePath(stateDir.path, 'netns');
  await expectOk(launcher, 'detach-netns', path);
  return Object.assign(child, { netns: `/proc/${launcher.pid}/root${path}` });
}

async function openGateway(
  { engineHost, launcher }: { engineHost: EngineHost; launcher: Launcher },
  { ifname, mtu, hostLoopback, hostPorts, ipv4, ipv6 }: GatewayOptions,
): Promise<Gateway> {
  const deps = { engineHost, launcher };
  const { fds, translates, index, childMac, gatewayMac } = await makeGateway(deps, { ifname, mtu, ipv4, ipv6 });
  const { engine } = engineHost;
  const settings: EngineGatewayOptions = {
    index,
    device: ifname,
    childMac,
    gatewayMac,
    child4: ipv4.child,
    gateway4: ipv4.gateway,
    dns4: ipv4.dns,
    prefix4: ipv4.prefix,
    child6: ipv6?.child ?? '',
    gateway6: ipv6?.gateway ?? '',
    dns6: ipv6?.dns ?? '',
    prefix6: ipv6?.prefix ?? 0,
    hostLoopback: hostLoopback ? 1 : 0,
    hostPorts: hostPorts.map(({ transport, port, host }) => `${transport} ${port} ${host.ip} ${host.port}\n`).join(''),
  };
  // Without TPROXY the ports of all datagrams that arrive are changed: none would get to the socket of a flow.
  engine.openGateway(fds, settings, translates ? [] : [orderChannel(launcher)]);
  return {
    setResolvers: (ips, search) => engine.setResolvers(ips, search),
    setEgress: (policy, hostAddresses) => engine.setEgress(policy, hostAddresses),
    learnEgress: (hostAddresses) => engine.learnEgress(hostAddresses),
    learnedRules: (known) => engine.learnedRules(known),
    egressCounters: () => engine.egressCounters(),
    sources: engine,
    close: () => engine.closeGateway(),
  };
}

/** What the launcher can set up before the network is known. Throws NamespaceError. */
export async function setUpNamespaces(launcher: Launcher, options: StackOptions, log: StackLog): Promise<void> {
  const optional = async (words: string[], onFailure: () => void = () => {}) => {
    if (!(await tryRequest(launcher, words, (message) => log.debug(message)))) onFailure();
  };
  // All at once: the launcher serves them one after the other, without a round trip between them.
  const ownNetwork = options.net !== 'host' || options.detachNetns;
  await Promise.all([
    expectOk(launcher, 'propagation', options.propagation),
    ...options.copyUp.map((dir) => copyUp(launcher, dir)),
    ownNetwork && expectOk(launcher, 'loopback-up'),
    ownNetwork && optional(['congestion-control', 'cubic', 'reno']),
    ownNetwork && optional(['large-segments']),
    options.namespaces.includes('pid') &&
      optional(['mount-proc'], () =>
        log.warn('/proc shows the processes of the host: it cannot be mounted again here'),
      ),
    hasOwnNetwork(options) &&
      optional(['mount-sysfs'], () => log.debug('/sys shows the devices of the host: it cannot be mounted again here')),
    options.evacuateCgroup2 !== undefined &&
      optional(['mount-cgroup2'], () =>
        log.warn('/sys/fs/cgroup shows the cgroups of the host: it cannot be mounted again here'),
      ),
  ]);
}

const COPY_UP_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'it is not a directory',
  EACCES: 'permission denied',
};

/** Throws NamespaceError. */
async function copyUp(launcher: Launcher, dir: string): Promise<void> {
  try {
    await launcher.request('copy-up', dir);
  } catch (error) {
    if (!(error instanceof LauncherRequestError)) throw error;
    const why = COPY_UP_PROBLEMS[error.code] ?? error.message;
    throw new NamespaceError(`cannot copy up ${dir} (--copy-up): ${why}`);
  }
}

/** Throws NamespaceError if the request fails. */
async function expectOk(launcher: Launcher, ...words: string[]): Promise<void> {
  try {
    await launcher.request(...words);
  } catch (error) {
    if (!(error instanceof LauncherRequestError)) throw error;
    throw new NamespaceError(`cannot set up the namespaces: ${error.message}`);
  }
}

/** Whether the request succeeds; `onFailure` gets the reason where it does not. */
async function tryRequest(
  launcher: Launcher,
  words: readonly string[],
  onFailure: (message: string) => void = () => {},
): Promise<boolean> {
  try {
    await launcher.request(...words);
    return true;
  } catch (error) {
    if (!(error instanceof LauncherRequestError)) throw error;
    onFailure(error.message);
    return false;
  }
}
