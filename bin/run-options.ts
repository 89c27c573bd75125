/**
 * The command line of rootless-run, which is that of RootlessKit too: what it takes, and how that becomes StackOptions.
 * All of it is checked here, before anything is done.
 */
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { UsageError } from '../parent/errors.js';
import { subIdSources } from '../parent/namespaces/id-map.js';
import { userModeAddresses } from '../parent/network/addresses.js';
import type { Switch } from '../parent/network/driver.js';
import { networkNames, parseNetworkName } from '../parent/network/index.js';
import { type BypassOptions, type Propagation, propagations, type StackOptions } from '../parent/options.js';
import { checkPortDriver, type PortDriverName, parsePortDriverName, portDriverNames } from '../parent/port/index.js';
import { parsePortSpecs } from '../protocol/port-spec.js';
import type { PortSpec } from '../protocol/ports.js';
import { VERSION } from '../protocol/version.js';
import type { Dialect } from './dialect.js';
import { normalizeGoFlags } from './go-flags.js';

const MAX_MTU = 65521;
/** Of the name of a network device, without the NUL (IFNAMSIZ, netdevice(7)). */
const MAX_IFNAME = 15;

/** The RootlessKit whose options are taken, as `--print-semver` tells it to scripts that ask what they may use. */
const ROOTLESSKIT_VERSION = { major: 3, minor: 2, patch: 0 };

/** The values as commander gives them. */
interface Values {
  stateDir?: string;
  printSemver?: string;
  net: string;
  mtu: string;
  cidr: string;
  ifname?: string;
  disableHostLoopback?: boolean;
  allowHostLoopback?: boolean;
  ipv6?: boolean;
  detachNetns?: boolean;
  slirp4netnsBinary: string;
  slirp4netnsSandbox: string;
  slirp4netnsSeccomp: string;
  pastaBinary: string;
  lxcUserNicBinary?: string;
  lxcUserNicBridge: string;
  portDriver?: string;
  publish?: string[];
  bypassOutbound?: boolean;
  activate?: boolean;
  sourceIpTransparent?: boolean;
  sourceIpTransparentBackend: string;
  copyUp?: string[];
  copyUpMode: string;
  propagation: string;
  pidns?: boolean;
  ipcns?: boolean;
  utsns?: boolean;
  cgroupns?: boolean;
  reaper: string;
  evacuateCgroup2?: string;
  subidSource: string;
  debug?: boolean;
}

/** What the command line says. */
export interface RunRequest {
  options: StackOptions;
  debug: boolean;
  /** What the user should know, but nothing fails for. */
  warnings: string[];
}

/** Help or the version was asked for, and printed. */
export class Answered extends Error {
  override name = 'Answered';
}

/** An option that there is not. */
export class UnknownOptionError extends UsageError {
  override name = 'UnknownOptionError';
}

const list = (value: string, before: string[] = []): string[] => [...before, ...value.split(',')];

/** The command line as commander knows it: also the source of `--help` and of the manual pages. */
export function makeCommand(dialect: Dialect): Command {
  const { defaults } = dialect;
  const command = new Command(dialect.name)
    .usage('[options] [--] COMMAND [ARGUMENT...]')
    .description('Run COMMAND in a network namespace of its own, without root, and publish its ports on the host.')
    .version(`${dialect.name} version ${versionOf(dialect)}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .argument('[command...]')
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  /** On or off; `--name=false` takes back what was said before. */
  const flag = (names: string, description: string) => {
    const long = names.replace(/^.*--/, '');
    command.option(names, description).addOption(new Option(`--no-${long}`).hideHelp());
  };

  command.optionsGroup('Ports:');
  command.option(
    '-p, --publish <spec>',
    'publish a port: [HOST-IP:]HOST-PORT:[CHILD-IP:]PORT[/tcp|udp], also 4 or 6 behind it; ranges 8000-8010:8000-8010; HOST-PORT 0 takes any free one; may be repeated',
    list,
  );
  command.option(
    '--port-driver <driver>',
    `how ports are published: ${portDriverNames.join(', ')} (default: "${defaults.portDriver}")`,
  );
  flag(
    '--bypass-outbound',
    "with --port-driver=bypass: TCP connections to the outside are made in the host's network, too",
  );
  flag(
    '--activate',
    'with --port-driver=bypass: the command gets the sockets of its ports when it starts, as systemd passes them (LISTEN_FDS)',
  );
  flag(
    '--source-ip-transparent',
    'servers inside see the addresses of clients that are not on loopback, with the builtin port driver (default: true)',
  );
  command.addOption(
    new Option('--source-ip-transparent-backend <backend>', 'taken for the sake of scripts')
      .choices(['auto', 'nft', 'iptables'])
      .default('auto'),
  );

  command.optionsGroup('Network:');
  command.option(
    '--net <driver>',
    `network: ${networkNames.join(', ')}; auto takes the first that works`,
    defaults.net,
  );
  command.option('--mtu <bytes>', `MTU of the network device; 0 for the driver's own default`, '0');
  command.option('--cidr <network>', 'IPv4 network of the namespace', '10.0.2.0/24');
  command.option('--ifname <name>', `name of the network device inside; the driver's own by default, such as tap0`);
  flag('--ipv6', 'give the namespace IPv6 as well');
  flag('--allow-host-loopback', `let the namespace reach the host's 127.0.0.1 through its gateway address`);
  flag('--disable-host-loopback', `do not let it${defaults.hostLoopback ? '' : ' (the default)'}`);
  flag(
    '--detach-netns',
    `leave the command in the host's network namespace, and pin the new one to the state directory's "netns"`,
  );
  command.option('--slirp4netns-binary <path>', 'slirp4netns to use', 'slirp4netns');
  command.option('--slirp4netns-sandbox <switch>', "slirp4netns' own mount namespace: auto, true, false", 'false');
  command.option('--slirp4netns-seccomp <switch>', "slirp4netns' own seccomp filter: auto, true, false", 'false');
  command.option('--pasta-binary <path>', 'pasta to use', 'pasta');
  command.option('--lxc-user-nic-binary <path>', 'lxc-user-nic to use; looked for where distributions have it');
  command.option('--lxc-user-nic-bridge <name>', 'bridge of the host that lxc-user-nic connects to', 'lxcbr0');
  command.option('--vpnkit-binary <path>', 'taken for the sake of scripts: there is no such driver', 'vpnkit');

  command.optionsGroup('Files:');
  command.option(
    '--copy-up <dir>',
    `make a directory writable in the namespaces, over what the host has there; may be repeated${defaults.copyUp.length > 0 ? ` (default: ${defaults.copyUp.join(',')})` : ''}`,
    list,
  );
  command.addOption(new Option('--copy-up-mode <mode>', 'how: tmpfs+symlink is the only way').default('tmpfs+symlink'));
  command.option('--propagation <mode>', `mount propagation of /: ${propagations.join(', ')}`, 'rprivate');
  command.option('--state-dir <dir>', 'directory for the API socket and other state; a temporary one by default');

  command.optionsGroup('Processes:');
  flag('--pidns', 'make a pid namespace');
  flag('--ipcns', 'make an ipc namespace');
  flag('--utsns', 'make a uts namespace');
  flag('--cgroupns', 'make a cgroup namespace');
  command.option('--reaper <switch>', 'taken for the sake of scripts: orphans are always reaped', 'auto');
  command.option(
    '--evacuate-cgroup2 <name>',
    'move all processes of our cgroup to one of that name below it; needs --cgroupns and --pidns',
  );
  command.option(
    '--subid-source <source>',
    `where sub-ids are looked up: ${subIdSources.join(', ')}; dynamic asks getsubids, static reads /etc/subuid and /etc/subgid`,
    'auto',
  );

  command.optionsGroup('Other:');
  command.option(
    '--print-semver <part>',
    'print one number of the RootlessKit version that is stood in for: major, minor, patch',
  );
  flag('--debug', 'tell more about what is done');
  command.addHelpText('after', helpAfter(dialect));
  return command;
}

function versionOf(dialect: Dialect): string {
  if (dialect.name === 'rootless-run') return VERSION;
  const { major, minor, patch } = ROOTLESSKIT_VERSION;
  return `${major}.${minor}.${patch} (rootless-net ${VERSION})`;
}

function helpAfter({ name }: Dialect): string {
  if (name === 'rootlesskit') {
    return `
This is rootless-net under RootlessKit's name, with RootlessKit's defaults.

Examples:
  rootlesskit bash
  rootlesskit --copy-up=/etc bash
  rootlesskit --net=slirp4netns --disable-host-loopback --copy-up=/etc --port-driver=builtin -p 127.0.0.2:8080:80/tcp bash`;
  }
  return `
Examples:
  rootless-run -p 127.0.0.2:8080:80 -- nginx -g 'daemon off;'
  rootless-run -p 8080:80 -p '[::1]:8443:443' -p 127.0.0.3:5353:53/udp -- ./my-server
  rootless-run -- bash

Beside it there are rootless-run serve, systemd and doctor, each with its --help: the stack as a service, and what this
machine lacks.

The command's exit code is passed on; 255 says that a signal ended it, 127 that it was not found, 126 that it cannot be
executed, 1 that the namespaces, the network or a port could not be set up. rootlessctl adds and removes ports later.`;
}

/**
 * Throws UsageError, PortSpecError or Answered. `needsCommand` is false for a stack without a command, which then must
 * not have one.
 */
export function parseCommandLine(
  args: readonly string[],
  dialect: Dialect,
  { needsCommand = true, command = makeCommand(dialect) } = {},
): RunRequest {
  const nameOf = (flag: string | undefined) => (flag === undefined ? [] : [flag.replace(/^-+/, '')]);
  const flagsOf = (valued: boolean) =>
    command.options
      .filter(({ required, negate }) => required === valued && !negate)
      .flatMap(({ long, short }) => [...nameOf(long), ...nameOf(short)]);
  const normal = normalizeGoFlags(args, {
    booleans: [...flagsOf(false), 'help', 'h'],
    valued: flagsOf(true),
    stopAtCommand: true,
    negatable: true,
  });
  try {
    command.parse(normal, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new Answered();
    const text = oneLine(error.message);
    if (error.code !== 'commander.unknownOption')
      throw new UsageError(`${text}; ${dialect.name} --help shows what there is`);
    throw new UnknownOptionError(`${text}; ${dialect.name} --help shows what there is`);
  }
  const values = command.opts<Values>();
  if (values.printSemver !== undefined) {
    process.stdout.write(`${semverPart(values.printSemver)}\n`);
    throw new Answered();
  }
  const given = (name: keyof Values) => command.getOptionValueSource(name) === 'cli';
  if (needsCommand && command.args.length === 0) {
    throw new UsageError(`no command specified; for a shell: ${dialect.name} -- bash`);
  }
  if (!needsCommand && command.args.length > 0) {
    throw new UsageError(`no command can be given here: ${command.args.join(' ')}`);
  }
  return check(values, given, dialect, command.args, needsCommand);
}

/** "error: unknown option '--foo'\n(Did you mean --bar?)" in one line. */
function oneLine(message: string): string {
  return message
    .replace(/^error: /, '')
    .split('\n')
    .join(' ');
}

function semverPart(part: string): number {
  if (part === 'major' || part === 'minor' || part === 'patch') return ROOTLESSKIT_VERSION[part];
  throw new UsageError(`expected --print-semver=(major|minor|patch), got ${JSON.stringify(part)}`);
}

function check(
  values: Values,
  given: (name: keyof Values) => boolean,
  dialect: Dialect,
  command: string[],
  hasCommand: boolean,
): RunRequest {
  const { defaults } = dialect;
  const warnings: string[] = [];
  checkEvacuation(values);
  const mtu = checkMtu(values.mtu);
  userModeAddresses(values.cidr);
  if (values.ifname !== undefined) checkIfname(values.ifname);
  const net = parseNetworkName(values.net);
  const hasDevice = net !== 'host' && net !== 'none';
  if (!hasDevice && given('cidr')) throw new UsageError(`--cidr cannot be used with --net=${net}: there is no device`);
  if (net === 'lxc-user-nic' && given('cidr'))
    throw new UsageError(`--cidr cannot be used with --net=${net}: addresses come by DHCP`);
  if (!hasDevice && given('ifname'))
    throw new UsageError(`--ifname cannot be used with --net=${net}: there is no device`);
  if (!hasDevice && mtu !== 0) warnings.push(`--mtu is ignored with --net=${net}: there is no device`);
  const propagation = propagations.find((name) => name === values.propagation);
  if (!propagation) {
    throw new UsageError(`unknown propagation: ${values.propagation}; choose one of ${propagations.join(', ')}`);
  }
  if (values.copyUpMode !== 'tmpfs+symlink') {
    throw new UsageError(`unknown copy-up mode: ${values.copyUpMode}; the only one is tmpfs+symlink`);
  }
  if (values.allowHostLoopback && values.disableHostLoopback) {
    throw new UsageError('--allow-host-loopback and --disable-host-loopback exclude each other');
  }
  // A device of the host's bridge has no way to the host's loopback.
  const hasGateway = hasDevice && net !== 'lxc-user-nic';
  const hostLoopback = values.allowHostLoopback ?? (defaults.hostLoopback && !values.disableHostLoopback);
  const publish = (values.publish ?? []).flatMap(parsePortSpecs);
  const portDriver = parsePortDriverName(
    values.portDriver ?? (net === 'host' && publish.length === 0 ? 'none' : defaults.portDriver),
  );
  checkPortDriver(portDriver, net, publish.length > 0);
  const bypass = checkBypass(values, portDriver, hasCommand);
  if (bypass?.activate) checkActivation(publish, hostLoopback);
  if (bypass && !values.allowHostLoopback) {
    warnings.push(
      "with --port-driver=bypass the command holds sockets of the host: a filter keeps it from the host's loopback, not the network namespace; --allow-host-loopback says that it need not",
    );
  } else if (hostLoopback && !values.allowHostLoopback && hasGateway) {
    warnings.push(
      "specifying --disable-host-loopback is highly recommended: without it the namespace can connect to the host's 127.0.0.1",
    );
  }
  if (portDriver === 'implicit' && !hostLoopback) {
    warnings.push(
      "with --port-driver=implicit, pasta leads connections to loopback inside to TCP servers on the host's loopback; --port-driver=builtin does not",
    );
  }
  parseSwitch('reaper', values.reaper);
  const sandbox = parseSwitch('slirp4netns-sandbox', values.slirp4netnsSandbox);
  if (sandbox === 'on' && values.detachNetns) {
    throw new UsageError('--slirp4netns-sandbox=true and --detach-netns exclude each other; use auto or false');
  }
  const subIdSource = subIdSources.find((name) => name === values.subidSource);
  if (!subIdSource) {
    throw new UsageError(`unknown subid source: ${values.subidSource}; choose one of ${subIdSources.join(', ')}`);
  }
  const { lxcUserNicBinary, evacuateCgroup2 } = values;
  return {
    debug: values.debug ?? false,
    warnings,
    options: {
      ...(command.length === 0 ? {} : { command }),
      ...(values.stateDir === undefined ? {} : { stateDir: values.stateDir }),
      net,
      network: {
        mtu,
        cidr: values.cidr,
        ...(values.ifname === undefined ? {} : { ifname: values.ifname }),
        hostLoopback,
        ipv6: values.ipv6 ?? false,
        slirp4netns: {
          binary: values.slirp4netnsBinary,
          sandbox,
          seccomp: parseSwitch('slirp4netns-seccomp', values.slirp4netnsSeccomp),
        },
        pasta: { binary: values.pastaBinary },
        lxcUserNic: {
          ...(lxcUserNicBinary === undefined ? {} : { binary: lxcUserNicBinary }),
          bridge: values.lxcUserNicBridge,
        },
      },
      detachNetns: values.detachNetns ?? false,
      portDriver,
      publish,
      ...(bypass && { bypass }),
      keepSource: values.sourceIpTransparent ?? true,
      copyUp: checkCopyUp(values.copyUp ?? [], defaults.copyUp, propagation),
      propagation,
      namespaces: [
        ...(values.pidns ? ['pid' as const] : []),
        ...(values.ipcns ? ['ipc' as const] : []),
        ...(values.utsns ? ['uts' as const] : []),
        ...(values.cgroupns ? ['cgroup' as const] : []),
      ],
      ...(evacuateCgroup2 === undefined ? {} : { evacuateCgroup2 }),
      subIdSource,
    },
  };
}

function checkBypass(
  { bypassOutbound, activate, disableHostLoopback, detachNetns }: Values,
  driver: PortDriverName,
  hasCommand: boolean,
): BypassOptions | undefined {
  if (driver !== 'bypass') {
    const [option] = [...(bypassOutbound ? ['--bypass-outbound'] : []), ...(activate ? ['--activate'] : [])];
    if (option !== undefined) throw new UsageError(`${option} needs --port-driver=bypass, not ${driver}`);
    return undefined;
  }
  if (disableHostLoopback) {
    throw new UsageError(
      '--port-driver=bypass and --disable-host-loopback exclude each other: the command gets sockets of the host, which could reach its loopback; leave one of them out',
    );
  }
  if (detachNetns) {
    throw new UsageError(
      "--port-driver=bypass and --detach-netns exclude each other: the command's sockets are the host's already",
    );
  }
  if (!hasCommand) {
    throw new UsageError('--port-driver=bypass needs a command: what enters the namespaces later is not bypassed');
  }
  return { outbound: bypassOutbound ?? false, activate: activate ?? false };
}

function checkActivation(publish: readonly PortSpec[], hostLoopback: boolean): void {
  if (publish.length === 0) throw new UsageError('--activate needs a port, such as --publish=127.0.0.2:8080:80');
  if (publish.some(({ proxyProtocol }) => proxyProtocol !== undefined)) {
    throw new UsageError('--activate and the PROXY protocol (+proxy1, +proxy2) exclude each other: nothing is relayed');
  }
  if (!hostLoopback && publish.some(({ proto }) => proto.startsWith('udp'))) {
    throw new UsageError(
      "--activate for UDP needs --allow-host-loopback: a UDP socket of the host can send to the host's loopback",
    );
  }
}

function checkMtu(text: string): number {
  const mtu = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (mtu > MAX_MTU) throw new UsageError(`mtu must be <= ${MAX_MTU}, got ${text}`);
  if (Number.isNaN(mtu))
    throw new UsageError(`mtu must be a number from 0 to ${MAX_MTU}, got ${text === '' ? '""' : text}`);
  return mtu;
}

function checkIfname(name: string): void {
  if (name.includes('/')) throw new UsageError(`ifname must not contain "/", got ${name}`);
  if (name === '' || name.length > MAX_IFNAME || /[\s:]/.test(name) || name === '.' || name === '..' || name === 'lo') {
    throw new UsageError(
      `ifname must be a name of 1 to ${MAX_IFNAME} characters without blanks and colons, and not "lo", got "${name}"`,
    );
  }
}

function checkEvacuation({ evacuateCgroup2: name, cgroupns, pidns }: Values): void {
  if (name === undefined) return;
  if (!cgroupns) throw new UsageError('evacuate-cgroup2 requires --cgroupns');
  if (!pidns) throw new UsageError('evacuate-cgroup2 requires --pidns');
  if (name === '' || name.includes('/') || name === '.' || name === '..') {
    throw new UsageError(`evacuate-cgroup2 must be the name of a cgroup, without "/", got "${name}"`);
  }
}

function parseSwitch(option: string, text: string): Switch {
  if (text === 'auto') return 'auto';
  if (text === 'true') return 'on';
  if (text === 'false') return 'off';
  throw new UsageError(`--${option} must be auto, true or false, got "${text}"`);
}

function checkCopyUp(asked: readonly string[], defaults: readonly string[], propagation: Propagation): string[] {
  if (propagation === 'shared' || propagation === 'rshared') {
    if (asked.length === 0) return [];
    throw new UsageError(
      `--propagation=${propagation} and --copy-up exclude each other: the host would see what is mounted; use rslave`,
    );
  }
  const dirs = asked.length > 0 ? asked : defaults;
  if (dirs.includes('')) throw new UsageError('--copy-up needs a directory, such as --copy-up=/etc');
  const absolute = [...new Set(dirs.map((dir) => resolve(dir)))];
  if (absolute.includes('/')) throw new UsageError('/ cannot be copied up');
  if (absolute.includes('/tmp')) throw new UsageError('/tmp cannot be copied up');
  return absolute;
}
