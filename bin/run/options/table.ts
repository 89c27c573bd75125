/**
 * The options of rootless-run, which are RootlessKit's and some more: one table, from which the command with its --help
 * (command.ts), the manual pages, the documentation (reference.ts) and the checks (relations.ts) are made.
 */
import { DEFAULTS } from '../../../parent/defaults.js';
import { MAX_PORT_THREADS } from '../../../parent/engine/threads.js';
import { LOG_LEVELS } from '../../../parent/log/levels.js';
import { subIdSources } from '../../../parent/namespaces/id-map.js';
import { networkNames } from '../../../parent/network/index.js';
import { portDriverNames } from '../../../parent/port/index.js';
import { networkStandIns, portStandIns } from '../../../parent/rootlesskit/stand-ins.js';
import { propagations } from '../../../parent/stack/options.js';
import { parseRateLimit } from '../../../protocol/egress/rate-limit.js';
import type { Dialect } from '../dialect.js';
import {
  checkAutoAddress,
  checkCgroupName,
  checkCidr,
  checkCopyUpDirectory,
  checkDnsPublish,
  checkHostPort,
  checkHTTPAddress,
  checkIfname,
  checkMetricsAddress,
  checkMtu,
  checkName,
  checkPortThreads,
  checkUIAddress,
} from './checks.js';
import { type Group, IGNORED, type OptionRule } from './rule.js';

const NO_DEVICE = { option: '--net', values: ['host', 'none'], reason: 'no network device' };
/** Options that an egress policy cannot be enforced with. */
const NO_POLICY = [
  {
    option: '--net',
    values: ['host', 'none', 'slirp4netns', 'pasta', 'lxc-user-nic'],
    reason: 'only the network driver builtin enforces a policy',
    hint: '--net=builtin',
  },
  { option: '--port-driver', values: ['bypass'], reason: "the command gets sockets of the host's network" },
] as const;
const BYPASS = { option: '--port-driver', value: 'bypass' };

const isRootlessKit = ({ name }: Dialect) => name === 'rootlesskit';
const switchDefault = ({ defaults }: Dialect) => defaults.slirp4netnsSwitches;
/** Of an option that is on, off, or on where that is possible. */
const SWITCH = ['auto', 'true', 'false'];

const ports: readonly OptionRule[] = [
  {
    flags: '-p, --publish <spec>',
    description: (dialect) =>
      `publish a port: [parentIP:]parentPort:[childIP:]childPort[/proto]; ranges as 8000-8010:8000-8010; parentPort 0 for any free port;${isRootlessKit(dialect) ? '' : ' auto for whatever programs listen on;'} may be repeated`,
    list: true,
    // RootlessKit treats an empty port as none.
    refusesEmpty: ['rootless-run'],
  },
  {
    flags: '--auto-address <network>',
    description: 'loopback addresses for -p auto: the stack has one of them, and so has each container',
    only: 'rootless-run',
    impliedDefault: '127.0.0.0/8',
    check: checkAutoAddress,
  },
  {
    flags: '--http <address>',
    description:
      'route http://NAME.localhost:PORT/, and TLS by its server name, to the ports of the stack or container NAME: [ip:]port, where ip is 127.0.0.1 unless given',
    only: 'rootless-run',
    check: checkHTTPAddress,
  },
  {
    flags: '--port-driver <driver>',
    description: (dialect) =>
      `port driver: ${[...portDriverNames, ...(isRootlessKit(dialect) ? portStandIns : [])].join(', ')}`,
    impliedDefault: ({ defaults }) => defaults.portDriver,
    refusesEmpty: ['rootless-run', 'rootlesskit'],
    conflicts: [
      {
        own: ['bypass'],
        option: '--disable-host-loopback',
        reason: 'the command gets sockets of the host, which could connect to its loopback',
        hint: 'leave one of them out',
      },
      { own: ['bypass'], option: '--detach-netns', reason: "the command's sockets are the host's already" },
    ],
  },
  {
    flags: '--port-threads <number>',
    description: `threads that relay connections, with the port drivers builtin and bypass: 1 to ${MAX_PORT_THREADS}`,
    impliedDefault: '1 on one or two CPUs, else one for each CPU, up to 4',
    check: checkPortThreads,
  },
  {
    flags: '--bypass-outbound',
    description: "with --port-driver=bypass: make outbound TCP connections in the host's network as well",
    requires: [BYPASS],
  },
  {
    flags: '--activate',
    description:
      'with --port-driver=bypass: pass the command the sockets of its ports at its start, as systemd does (LISTEN_FDS)',
    requires: [BYPASS, { option: '--publish' }],
  },
  {
    flags: '--source-ip-transparent',
    description: 'preserve the source address of clients that are not on loopback, with the builtin port driver',
    impliedDefault: 'true',
  },
  {
    flags: '--source-ip-transparent-backend <backend>',
    description: IGNORED,
    choices: ['auto', 'nft', 'iptables'],
    default: 'auto',
  },
];

const network: readonly OptionRule[] = [
  {
    flags: '--net <driver>',
    description: (dialect) =>
      `network driver: ${[...networkNames, ...(isRootlessKit(dialect) ? networkStandIns : [])].join(', ')}; auto selects the first that works`,
    default: ({ defaults }) => defaults.net,
    refusesEmpty: ['rootless-run', 'rootlesskit'],
  },
  {
    flags: '--mtu <bytes>',
    description: "MTU of the network device; 0 for the driver's default",
    default: String(DEFAULTS.mtu),
    check: checkMtu,
  },
  {
    flags: '--cidr <network>',
    description: 'IPv4 network of the namespace',
    default: DEFAULTS.cidr,
    check: checkCidr,
    conflicts: [NO_DEVICE, { option: '--net', values: ['lxc-user-nic'], reason: 'addresses are assigned by DHCP' }],
  },
  {
    flags: '--ifname <name>',
    description: 'name of the network device in the namespace',
    impliedDefault: "the driver's, such as tap0",
    check: checkIfname,
    conflicts: [NO_DEVICE],
  },
  { flags: '--ipv6', description: 'enable IPv6 in the namespace' },
  {
    flags: '--allow-host-loopback',
    description: "allow the namespace to connect to the host's 127.0.0.1 via its gateway address",
    impliedDefault: ({ defaults }) => (defaults.hostLoopback ? 'allowed' : undefined),
    conflicts: [{ option: '--disable-host-loopback' }],
  },
  {
    flags: '--disable-host-loopback',
    description: 'prohibit such connections',
    impliedDefault: ({ defaults }) => (defaults.hostLoopback ? undefined : 'prohibited'),
  },
  {
    flags: '--host-port <spec>',
    description:
      "let programs in the namespace connect to a port of the host, as host.rootless.internal:PORT: port[:[ip:]hostPort][/udp], where ip is the host's 127.0.0.1 unless given; may be repeated; with --net=builtin",
    list: true,
    only: 'rootless-run',
    check: checkHostPort,
    conflicts: [
      {
        option: '--net',
        values: networkNames.filter((name) => name !== 'auto' && name !== 'builtin'),
        reason: 'only the network driver builtin leads single ports to the host',
        hint: '--net=builtin',
      },
    ],
  },
  {
    flags: '--dns-publish <address>',
    description:
      "let the host's programs ask for names in rootless.internal, of named stacks and of containers, at this address over UDP and TCP: [ip:]port, where ip is 127.0.0.1 unless given, and port 0 is any free one",
    only: 'rootless-run',
    check: checkDnsPublish,
  },
  {
    flags: '--detach-netns',
    description:
      'leave the command in the host\'s network namespace, and pin the new one to "netns" in the state directory',
  },
  {
    flags: '--allow <rule>',
    description:
      'let the namespace reach only this, with --net=builtin: NAME[:PORT], *.NAME, CIDR[:PORT], host, dns, @public; may be repeated',
    only: 'rootless-run',
    list: true,
    // None would be no policy.
    refusesEmpty: ['rootless-run'],
    conflicts: NO_POLICY,
  },
  {
    flags: '--deny <rule>',
    description: 'keep the namespace from reaching this; overrides --allow; may be repeated',
    only: 'rootless-run',
    list: true,
    // None would be no policy.
    refusesEmpty: ['rootless-run'],
    conflicts: NO_POLICY,
  },
  {
    flags: '--egress-file <path>',
    description: 'read rules from a file, one per line: allow RULE or deny RULE; may be repeated',
    only: 'rootless-run',
    list: true,
    // None would be no policy.
    refusesEmpty: ['rootless-run'],
    conflicts: NO_POLICY,
  },
  {
    flags: '--learn <path>',
    description: 'allow everything, and write the rules that were needed to a file for --egress-file',
    only: 'rootless-run',
    refusesEmpty: ['rootless-run'],
    conflicts: [
      ...['--allow', '--deny', '--egress-file'].map((option) => ({ option, reason: 'it allows everything' })),
      ...NO_POLICY,
    ],
  },
  {
    flags: '--limit <rate>',
    description:
      'limit what leaves the namespace, and what comes in, to so many bytes a second each: RATE or OUT:IN, such as 10M, 1.5MiB/s:unlimited, 800kbit; with --net=builtin',
    only: 'rootless-run',
    refusesEmpty: ['rootless-run'],
    check: (text) => void parseRateLimit(text, '--limit'),
    conflicts: [{ ...NO_POLICY[0], reason: 'only the network driver builtin enforces a limit' }, { ...NO_POLICY[1] }],
  },
  { flags: '--slirp4netns-binary <path>', description: 'path of slirp4netns', default: DEFAULTS.slirp4netns.binary },
  {
    flags: '--slirp4netns-sandbox <mode>',
    description: 'mount namespace of slirp4netns',
    choices: SWITCH,
    default: switchDefault,
    conflicts: [{ own: ['true'], option: '--detach-netns', hint: '--slirp4netns-sandbox=auto' }],
  },
  {
    flags: '--slirp4netns-seccomp <mode>',
    description: 'seccomp filter of slirp4netns',
    choices: SWITCH,
    default: switchDefault,
  },
  { flags: '--pasta-binary <path>', description: 'path of pasta', default: DEFAULTS.pasta.binary },
  {
    flags: '--lxc-user-nic-binary <path>',
    description: 'path of lxc-user-nic',
    impliedDefault: 'searched in the directories where distributions install it',
  },
  {
    flags: '--lxc-user-nic-bridge <name>',
    description: 'bridge of the host for lxc-user-nic',
    default: DEFAULTS.lxcUserNic.bridge,
  },
  { flags: '--vpnkit-binary <path>', description: `${IGNORED}: the driver does not exist here`, default: 'vpnkit' },
];

const files: readonly OptionRule[] = [
  {
    flags: '--copy-up <dir>',
    description:
      'mount a tmpfs over a directory, with links to its entries, so that it is writable in the namespaces; may be repeated',
    impliedDefault: ({ defaults }) => defaults.copyUp.join(',') || undefined,
    list: true,
    check: checkCopyUpDirectory,
  },
  {
    flags: '--copy-up-mode <mode>',
    description: 'method of --copy-up',
    choices: ['tmpfs+symlink'],
    default: 'tmpfs+symlink',
  },
  {
    flags: '--propagation <mode>',
    description: 'mount propagation of /',
    choices: propagations,
    default: DEFAULTS.propagation,
    conflicts: [
      {
        own: ['shared', 'rshared'],
        option: '--copy-up',
        reason: 'the mounts would appear on the host',
        hint: '--propagation=rslave',
      },
    ],
  },
  {
    flags: '--state-dir <dir>',
    description: 'directory of the API socket and other state',
    impliedDefault: 'a temporary directory',
  },
];

const processes: readonly OptionRule[] = [
  { flags: '--pidns', description: 'create a PID namespace' },
  { flags: '--ipcns', description: 'create an IPC namespace' },
  { flags: '--utsns', description: 'create a UTS namespace' },
  { flags: '--cgroupns', description: 'create a cgroup namespace' },
  {
    flags: '--reaper <mode>',
    description: `${IGNORED}: orphaned processes are always reaped`,
    choices: SWITCH,
    default: 'auto',
  },
  {
    flags: '--evacuate-cgroup2 <name>',
    description: 'move all processes of the current cgroup to a child cgroup of that name',
    check: checkCgroupName,
    requires: [{ option: '--cgroupns' }, { option: '--pidns' }],
  },
  {
    flags: '--subid-source <source>',
    description: 'source of subordinate IDs; dynamic runs getsubids, static reads /etc/subuid and /etc/subgid',
    choices: subIdSources,
    default: DEFAULTS.subIdSource,
  },
];

const other: readonly OptionRule[] = [
  {
    flags: '--name <name>',
    description: 'name of the stack, for rootless-run ls and stop, and rootlessctl --stack',
    only: 'rootless-run',
    check: checkName,
  },
  {
    flags: '--print-semver <part>',
    description:
      'print one number of the RootlessKit version that this program is compatible with: major, minor, patch',
  },
  {
    flags: '-q, --quiet',
    description: 'log warnings and errors only',
    only: 'rootless-run',
    conflicts: [{ option: '--log-level', reason: 'both set the level' }, { option: '--debug' }],
  },
  { flags: '--debug', description: 'log debug messages' },
  {
    flags: '--log-level <level>',
    description: 'log messages of this level and above',
    only: 'rootless-run',
    choices: LOG_LEVELS,
    default: 'info',
    conflicts: [{ option: '--debug', reason: 'both set the level' }],
  },
  {
    flags: '--log-format <format>',
    description: 'format of log lines; json has one object a line, with time, level and msg',
    only: 'rootless-run',
    choices: ['text', 'json'],
    default: 'text',
  },
  {
    flags: '--metrics <address>',
    description: 'serve metrics for Prometheus over HTTP at this address of the host, such as 127.0.0.1:9464',
    only: 'rootless-run',
    check: checkMetricsAddress,
  },
  {
    flags: '--ui <address>',
    description:
      'serve a page with a live picture of the stack at this loopback address, such as 127.0.0.1:8081; its URL, with a token, is printed',
    only: 'rootless-run',
    check: checkUIAddress,
    conflicts: [
      { option: '--quiet', reason: 'the URL of the page is logged at level info' },
      { option: '--log-level', values: ['warn', 'error'], reason: 'the URL of the page is logged at level info' },
    ],
  },
];

/** By group, in the order of --help. */
export const optionTable: Readonly<Record<Group, readonly OptionRule[]>> = {
  Ports: ports,
  Network: network,
  Files: files,
  Processes: processes,
  Other: other,
};

/** The options that the program of that name has. */
export function rulesFor({ name }: Dialect): [Group, readonly OptionRule[]][] {
  return Object.entries(optionTable).map(([group, rules]) => [
    group as Group,
    rules.filter(({ only = name }) => only === name),
  ]);
}
