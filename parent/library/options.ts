/** The options of createNamespace(), checked and completed to those of a stack. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFields } from '../../protocol/api/report-shapes.js';
import { rulesOfOptions } from '../../protocol/egress/options.js';
import { parseRateLimit } from '../../protocol/egress/rate-limit.js';
import { isAutoPublish, parseAutoPublish } from '../../protocol/ports/auto.js';
import { checkHostPorts, parseHostPort } from '../../protocol/ports/host-port.js';
import { DEFAULTS } from '../defaults.js';
import { type SubIdSource, subIdSources } from '../namespaces/id-map.js';
import type { NetworkOptions, Switch } from '../network/driver.js';
import { type NetworkName, networkNames } from '../network/index.js';
import { parseAutoAddresses } from '../port/auto/addresses.js';
import { checkAutoDriver, checkPortDriver, type PortDriverName } from '../port/index.js';
import { copyUpDirectories, type Propagation, propagations, type StackOptions } from '../stack/options.js';
import { checkStackName } from '../stack-discovery/choose.js';
import { namesLock } from '../state/user-directories.js';
import { abortSignal, type Checks, callback, checkFields, flag, object, oneOf, text, texts, whole } from './checks.js';
import { mappingOf, type NewPort } from './ports/new-port.js';

/** Where containers and their networks are kept. */
export interface ContainerDirectories {
  /** Of containers. One stack at a time can use it. */
  dataDir: string;
  /** Of network configuration lists (CNI). */
  confDir: string;
}

export type ExtraNamespace = 'pid' | 'ipc' | 'uts' | 'cgroup';

/** Each has a default: those of rootless-run. */
export interface NamespaceOptions {
  /** By which rootlessctl, connectStack() and others find it. */
  name?: string;
  /** A temporary one unless given. */
  stateDir?: string;
  /** Network driver; the first that works unless given. */
  net?: NetworkName;
  /** In bytes; the driver's unless given. */
  mtu?: number;
  /** IPv4 network inside; 10.0.2.0/24 unless given. */
  cidr?: string;
  /** Name of the device inside. */
  ifname?: string;
  ipv6?: boolean;
  /** Whether programs inside reach the host's 127.0.0.1 at the gateway's address. */
  hostLoopback?: boolean;
  /** Ports of the host that they reach all the same, as `port[:[ip:]hostPort][/udp]`. */
  hostPorts?: readonly string[];
  /** What programs inside may reach, such as `registry.npmjs.org:443`; everything unless one of these is given. */
  allow?: readonly string[];
  /** Stronger than `allow`. */
  deny?: readonly string[];
  /** Files of such rules. */
  egressFiles?: readonly string[];
  /** Rate out of the namespace, and into it, such as `10M` or `1.5MiB/s:unlimited`. */
  limit?: string;
  /** What relays published ports; `builtin` unless given. */
  portDriver?: Exclude<PortDriverName, 'bypass'>;
  /** Threads that relay; by the number of CPUs unless given. */
  portThreads?: number;
  /** Whether servers inside see the addresses of clients; true unless given. */
  keepSource?: boolean;
  /** Published from the start on; `auto` and the like for what listens inside. */
  publish?: readonly (string | NewPort)[];
  /** Network of loopback from which stack and containers get addresses for `auto`; 127.0.0.0/8 unless given. */
  autoAddress?: string;
  /** Whether it runs containers: in directories that are removed with it, or in these. False unless given. */
  containers?: boolean | ContainerDirectories;
  /** Directories that are writable inside, without changing the host's; `/etc` unless given. */
  copyUp?: readonly string[];
  /** Mount propagation of `/`. */
  propagation?: Propagation;
  /** Namespaces beside those of users, mounts and the network. */
  namespaces?: readonly ExtraNamespace[];
  subIdSource?: SubIdSource;
  slirp4netns?: { binary?: string; sandbox?: Switch; seccomp?: Switch };
  pasta?: { binary?: string };
  lxcUserNic?: { binary?: string; bridge?: string };
  /** Gets what would be logged; warnings are those of the process (`process.emitWarning`) unless given. */
  log?: { debug?(line: string): void; info?(line: string): void; warn?(line: string): void };
  /** Ends it, or its start, when it aborts. */
  signal?: AbortSignal;
}

const NAMESPACES: readonly ExtraNamespace[] = ['pid', 'ipc', 'uts', 'cgroup'];
const [isNamespace, namespaces] = oneOf(NAMESPACES);
const directories: Checks<ContainerDirectories> = { dataDir: text, confDir: text };

const CHECKS: Checks<NamespaceOptions> = {
  name: text,
  stateDir: text,
  net: oneOf(networkNames),
  mtu: whole(0),
  cidr: text,
  ifname: text,
  ipv6: flag,
  hostLoopback: flag,
  hostPorts: texts,
  allow: texts,
  deny: texts,
  egressFiles: texts,
  limit: text,
  portDriver: oneOf(['builtin', 'slirp4netns', 'implicit', 'none'] satisfies NamespaceOptions['portDriver'][]),
  portThreads: whole(1),
  keepSource: flag,
  publish: [Array.isArray, 'an array of ports'],
  autoAddress: text,
  containers: [(value) => flag[0](value) || hasDirectories(value), 'true, false, or { dataDir, confDir }'],
  copyUp: texts,
  propagation: oneOf(propagations),
  namespaces: [(value) => Array.isArray(value) && value.every(isNamespace), `an array with ${namespaces}`],
  subIdSource: oneOf(subIdSources),
  slirp4netns: object,
  pasta: object,
  lxcUserNic: object,
  log: object,
  signal: abortSignal,
};

const onOff = oneOf(['auto', 'on', 'off'] satisfies Switch[]);

/** Of options that are objects. */
const PARTS: {
  readonly [K in 'slirp4netns' | 'pasta' | 'lxcUserNic' | 'log']: Checks<NonNullable<NamespaceOptions[K]>>;
} = {
  slirp4netns: { binary: text, sandbox: onOff, seccomp: onOff },
  pasta: { binary: text },
  lxcUserNic: { binary: text, bridge: text },
  log: { debug: callback, info: callback, warn: callback },
};

function hasDirectories(value: unknown): boolean {
  return isFields(value) && Object.keys(directories).every((name) => text[0](value[name]));
}

/** Throws OptionError. */
export function checkOptions(options: NamespaceOptions): void {
  checkFields(options, CHECKS);
  const { containers } = options;
  if (typeof containers === 'object') checkFields(containers, directories, { within: 'containers' });
  for (const [name, checks] of Object.entries(PARTS)) {
    const part = options[name as keyof typeof PARTS];
    if (part) checkFields(part, checks, { within: name });
  }
}

/**
 * Throws OptionError, UsageError, NetworkError, and errors of ports and rules.
 *
 * @returns what was made for the stack, too, to be removed after it
 */
export function toStackOptions(options: NamespaceOptions): { stack: StackOptions; remove: () => void } {
  checkOptions(options);
  const { net = DEFAULTS.net, copyUp = DEFAULTS.copyUp, propagation = DEFAULTS.propagation } = options;
  const { publish, autoPublish } = splitPorts(options.publish ?? []);
  const portDriver = options.portDriver ?? DEFAULTS.portDriver;
  checkPortDriver({ driver: portDriver, net, publishes: publish.length > 0 });
  checkAutoDriver(autoPublish, portDriver);
  const egress = rulesOfOptions({ ...options, egressFile: options.egressFiles });
  const name = options.name === undefined ? undefined : { text: checkStackName(options.name), lock: namesLock() };
  const network = networkOptions(options);
  const { directories, remove } = containerDirectories(options.containers ?? false);
  const stack: StackOptions = {
    ...(name && { name }),
    ...(options.stateDir !== undefined && { stateDir: options.stateDir }),
    net,
    network,
    ...(egress.length > 0 && { egress }),
    ...(options.limit !== undefined && { limit: parseRateLimit(options.limit, 'limit') }),
    detachNetns: false,
    portDriver,
    ...(options.portThreads !== undefined && { portThreads: options.portThreads }),
    publish,
    ...(autoPublish.length > 0 && { autoPublish }),
    ...(options.autoAddress !== undefined && { autoAddresses: parseAutoAddresses(options.autoAddress) }),
    keepSource: options.keepSource ?? DEFAULTS.keepSource,
    ...(directories && { containers: directories }),
    systemPath: true,
    copyUp: copyUpDirectories(copyUp, propagation),
    propagation,
    namespaces: options.namespaces ?? [],
    subIdSource: options.subIdSource ?? DEFAULTS.subIdSource,
  };
  return { stack, remove };
}

function splitPorts(ports: readonly (string | NewPort)[]) {
  const isAuto = (port: string | NewPort) => typeof port === 'string' && isAutoPublish(port);
  return {
    publish: ports.filter((port) => !isAuto(port)).map(mappingOf),
    autoPublish: ports.filter(isAuto).map((port) => parseAutoPublish(String(port))),
  };
}

function networkOptions(options: NamespaceOptions): StackOptions['network'] {
  const hostPorts = (options.hostPorts ?? []).map(parseHostPort);
  checkHostPorts(hostPorts);
  return {
    mtu: options.mtu ?? DEFAULTS.mtu,
    cidr: options.cidr ?? DEFAULTS.cidr,
    hostNetworks: options.cidr === undefined ? 'avoid' : 'report',
    ...(options.ifname !== undefined && { ifname: options.ifname }),
    hostLoopback: options.hostLoopback ?? DEFAULTS.hostLoopback,
    hostPorts,
    ipv6: options.ipv6 ?? false,
    autoIPv6: true,
    slirp4netns: withDefaults<NetworkOptions['slirp4netns']>(options.slirp4netns, DEFAULTS.slirp4netns),
    pasta: withDefaults<NetworkOptions['pasta']>(options.pasta, DEFAULTS.pasta),
    lxcUserNic: withDefaults<NetworkOptions['lxcUserNic']>(options.lxcUserNic, DEFAULTS.lxcUserNic),
  };
}

/** What is undefined is as absent. */
function withDefaults<T extends object>(given: { [K in keyof T]?: T[K] | undefined } | undefined, defaults: T): T {
  return { ...defaults, ...Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined)) };
}

function containerDirectories(containers: boolean | ContainerDirectories) {
  if (containers === false) return { directories: undefined, remove: () => {} };
  if (containers !== true) return { directories: containers, remove: () => {} };
  const base = mkdtempSync(join(tmpdir(), 'rootless-net-'));
  return {
    directories: { dataDir: join(base, 'data'), confDir: join(base, 'networks') },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
