/**
 * The command line of rootless-run: what it takes, and how that becomes StackOptions. All of it is checked here, before
 * anything is done.
 */
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { UsageError } from '../parent/errors.js';
import { userModeAddresses } from '../parent/network/addresses.js';
import { checkNetworkName, networkNames } from '../parent/network/index.js';
import { type Propagation, propagations, type StackOptions } from '../parent/options.js';
import { parsePortSpecs } from '../protocol/port-spec.js';
import { VERSION } from '../protocol/version.js';
import { normalizeGoFlags } from './go-flags.js';

const MAX_MTU = 65521;

/** The values as commander gives them. */
interface Values {
  stateDir?: string;
  net: string;
  mtu: string;
  cidr: string;
  disableHostLoopback?: boolean;
  allowHostLoopback?: boolean;
  ipv6?: boolean;
  portDriver: string;
  publish: string[];
  copyUp: string[];
  propagation: string;
  pidns?: boolean;
  ipcns?: boolean;
  utsns?: boolean;
  cgroupns?: boolean;
  debug?: boolean;
}

/** What the command line says. */
export interface RunRequest {
  options: StackOptions;
  debug: boolean;
}

/** Help or the version was asked for, and printed. */
export class Answered extends Error {
  override name = 'Answered';
}

const list = (value: string, before: string[]): string[] => [...before, ...value.split(',')];

function makeCommand(): Command {
  return new Command('rootless-run')
    .usage('[options] [--] COMMAND [ARGUMENT...]')
    .description('Run COMMAND in a network namespace of its own, without root, and publish its ports on the host.')
    .version(`rootless-run version ${VERSION}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .argument('[command...]')
    .option(
      '-p, --publish <spec>',
      'publish a port: [HOST-IP:]HOST-PORT:[CHILD-IP:]PORT[/tcp|udp], also 4 or 6 behind it; ranges 8000-8010:8000-8010; HOST-PORT 0 takes any free one; may be repeated',
      list,
      [],
    )
    .option('--net <driver>', `network: ${networkNames.join(', ')}; auto takes the first that works`, 'auto')
    .addOption(
      new Option('--port-driver <driver>', 'how ports are published').choices(['builtin', 'none']).default('builtin'),
    )
    .option('--state-dir <dir>', 'directory for the API socket and other state; a temporary one by default')
    .option(
      '--copy-up <dir>',
      'make a directory writable in the namespaces, over what the host has there; may be repeated (default: /etc)',
      list,
      [],
    )
    .option('--propagation <mode>', `mount propagation of /: ${propagations.join(', ')}`, 'rprivate')
    .option('--mtu <bytes>', `MTU of the network device; 0 for the driver's own default`, '0')
    .option('--cidr <network>', 'IPv4 network of the namespace', '10.0.2.0/24')
    .option('--ipv6', 'give the namespace IPv6 as well')
    .option('--allow-host-loopback', `let the namespace reach the host's 127.0.0.1 through its gateway address`)
    .option('--disable-host-loopback', 'the default here; taken for the sake of scripts')
    .option('--pidns', 'make a pid namespace')
    .option('--ipcns', 'make an ipc namespace')
    .option('--utsns', 'make a uts namespace')
    .option('--cgroupns', 'make a cgroup namespace')
    .option('--debug', 'tell more about what is done')
    .addHelpText(
      'after',
      `
Examples:
  rootless-run -p 127.0.0.2:8080:80 -- nginx -g 'daemon off;'
  rootless-run -p 8080:80 -p '[::1]:8443:443' -p 127.0.0.3:5353:53/udp -- ./my-server
  rootless-run -- bash

The command's exit code is passed on; 255 says that a signal ended it, 127 that it was not found, 126 that it cannot be
executed, 1 that the namespaces, the network or a port could not be set up. rootlessctl adds and removes ports later.`,
    )
    .exitOverride()
    .configureOutput({ outputError: () => {} });
}

/** Throws UsageError, PortSpecError or Answered. */
export function parseCommandLine(args: readonly string[]): RunRequest {
  const command = makeCommand();
  const nameOf = (flag: string | undefined) => (flag === undefined ? [] : [flag.replace(/^-+/, '')]);
  const flagsOf = (valued: boolean) =>
    command.options
      .filter(({ required }) => required === valued)
      .flatMap(({ long, short }) => [...nameOf(long), ...nameOf(short)]);
  const normal = normalizeGoFlags(args, { booleans: flagsOf(false), valued: flagsOf(true), stopAtCommand: true });
  try {
    command.parse(normal, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new Answered();
    throw new UsageError(`${oneLine(error.message)}; rootless-run --help shows what there is`);
  }
  return check(command.opts<Values>(), command.args);
}

/** "error: unknown option '--foo'\n(Did you mean --bar?)" in one line. */
function oneLine(message: string): string {
  return message
    .replace(/^error: /, '')
    .split('\n')
    .join(' ');
}

function check(values: Values, command: string[]): RunRequest {
  if (command.length === 0) {
    throw new UsageError('no command specified; for a shell: rootless-run -- bash');
  }
  checkNetworkName(values.net);
  const mtu = Number(values.mtu);
  if (!Number.isInteger(mtu) || mtu < 0 || mtu > MAX_MTU) {
    throw new UsageError(`mtu must be a number from 0 to ${MAX_MTU}, got ${values.mtu}`);
  }
  userModeAddresses(values.cidr);
  const propagation = propagations.find((name) => name === values.propagation);
  if (!propagation) {
    throw new UsageError(`unknown propagation: ${values.propagation}; choose one of ${propagations.join(', ')}`);
  }
  if (values.allowHostLoopback && values.disableHostLoopback) {
    throw new UsageError('--allow-host-loopback and --disable-host-loopback exclude each other');
  }
  const publish = values.publish.flatMap(parsePortSpecs);
  const portDriver = values.portDriver === 'none' ? 'none' : 'builtin';
  if (portDriver === 'none' && publish.length > 0) {
    throw new UsageError(
      `port driver "none" does not support publishing ports; leave out --port-driver=none or --publish`,
    );
  }
  return {
    debug: values.debug ?? false,
    options: {
      command,
      ...(values.stateDir === undefined ? {} : { stateDir: values.stateDir }),
      net: values.net,
      mtu,
      cidr: values.cidr,
      hostLoopback: values.allowHostLoopback ?? false,
      ipv6: values.ipv6 ?? false,
      portDriver,
      publish,
      copyUp: checkCopyUp(values.copyUp.length > 0 ? values.copyUp : ['/etc'], propagation),
      propagation,
      namespaces: [
        ...(values.pidns ? ['pid' as const] : []),
        ...(values.ipcns ? ['ipc' as const] : []),
        ...(values.utsns ? ['uts' as const] : []),
        ...(values.cgroupns ? ['cgroup' as const] : []),
      ],
    },
  };
}

function checkCopyUp(dirs: string[], propagation: Propagation): string[] {
  if (propagation === 'shared' || propagation === 'rshared') {
    throw new UsageError(
      `--propagation=${propagation} and copy-up exclude each other: the host would see what is mounted; use rslave`,
    );
  }
  if (dirs.includes('')) throw new UsageError('--copy-up needs a directory, such as --copy-up=/etc');
  const absolute = [...new Set(dirs.map((dir) => resolve(dir)))];
  if (absolute.includes('/')) throw new UsageError('/ cannot be copied up');
  if (absolute.includes('/tmp')) throw new UsageError('/tmp cannot be copied up');
  return absolute;
}
