/** Checks the values of a command line, and turns them into the options of a stack. */
import { DEFAULTS } from '../../../parent/defaults.js';
import { UsageError } from '../../../parent/errors.js';
import { LOG_LEVELS } from '../../../parent/log/levels.js';
import { subIdSources } from '../../../parent/namespaces/id-map.js';
import { parseAutoAddresses } from '../../../parent/port/auto/addresses.js';
import { checkAutoDriver } from '../../../parent/port/index.js';
import { copyUpDirectories, propagations } from '../../../parent/stack/options.js';
import { namesLock } from '../../../parent/state/user-directories.js';
import { parseNameListener } from '../../../protocol/dns/name-listener.js';
import { LearnedFile } from '../../../protocol/egress/learned-file.js';
import { parseRateLimit } from '../../../protocol/egress/rate-limit.js';
import { joined } from '../../../protocol/ports/port-mapping.js';
import { chooseNetwork, choosePorts } from '../../rootlesskit-compat/rootlesskit-face.js';
import { parsePortThreads, parseServedAddress } from './checks.js';
import { egressRules, networkWarnings, slirp4netnsSwitches, toNetworkOptions } from './network.js';
import { bypassOptions, checkDuplicates, publishedPorts } from './ports.js';
import { checkRelations, checkValues } from './relations.js';
import type { CommandLine, RunRequest, Values } from './values.js';

/** Throws UsageError, PortSpecError, and NetworkError for --cidr. */
export function toRunRequest(line: CommandLine): RunRequest {
  const { given, dialect, command, hasCommand } = line;
  const { defaults } = dialect;
  const egress = egressRules(line.values);
  const { net, face } = chooseNetwork(line.values, dialect);
  const values = { ...line.values, ...slirp4netnsSwitches(line.values, net, face) };
  checkValues(values, given, dialect);
  const { auto, specs } = publishedPorts(values.publish ?? [], dialect);
  if (dialect.name === 'rootless-run') checkDuplicates(specs);
  const warnings: string[] = [];
  const publishes = specs.length + auto.length > 0;
  const driverName = values.portDriver ?? (net === 'host' && !publishes ? 'none' : defaults.portDriver);
  const { portDriver, publish } = choosePorts(
    { net: values.net, portDriver: driverName },
    // Ports one by one, as scripts give them, are opened and closed as ranges.
    { net, face, specs: joined(specs, { anyFree: false }), warnings },
  );
  checkAutoDriver(auto, portDriver);
  checkRelations({ ...values, net, portDriver }, given, dialect);
  const isWatched = egress.length > 0 || values.learn !== undefined || values.limit !== undefined;
  if (isWatched && values.detachNetns && hasCommand) {
    throw new UsageError(
      "--allow, --deny, --egress-file, --learn and --limit cannot be combined with --detach-netns: the command stays in the host's network",
      { hint: 'leave one of them out' },
    );
  }
  const hostLoopback = values.allowHostLoopback ?? (defaults.hostLoopback && !values.disableHostLoopback);
  const bypass = bypassOptions(values, { driver: portDriver, publish, hasCommand, hostLoopback });
  const network = toNetworkOptions({ ...line, values }, { hostLoopback, face });
  const propagation = choice(propagations, values.propagation);
  warnings.push(...networkWarnings(values, net, { hostLoopback, bypass: bypass !== undefined, mtu: network.mtu }));
  return {
    log: {
      level: values.debug ? 'debug' : values.quiet ? 'warn' : choice(LOG_LEVELS, values.logLevel ?? 'info'),
      json: values.logFormat === 'json',
    },
    warnings,
    options: {
      ...(command.length === 0 ? {} : { command }),
      ...(values.stateDir === undefined ? {} : { stateDir: values.stateDir }),
      ...(face && { rootlesskit: face }),
      ...(values.name !== undefined && { name: { text: values.name, lock: namesLock() } }),
      ...(values.dnsPublish !== undefined && {
        dnsPublish: { listener: parseNameListener(values.dnsPublish), namesLock: namesLock() },
      }),
      net,
      network,
      ...(egress.length > 0 && { egress }),
      ...(values.learn !== undefined && { learn: LearnedFile.at(values.learn) }),
      ...(values.limit !== undefined && { limit: parseRateLimit(values.limit, '--limit') }),
      detachNetns: values.detachNetns ?? false,
      portDriver,
      ...(values.portThreads !== undefined && { portThreads: parsePortThreads(values.portThreads) }),
      publish,
      ...(auto.length > 0 && { autoPublish: auto }),
      ...(values.autoAddress !== undefined && { autoAddresses: parseAutoAddresses(values.autoAddress) }),
      ...(values.http !== undefined && { http: parseServedAddress('http', values.http) }),
      ...(bypass && { bypass }),
      keepSource: values.sourceIpTransparent ?? DEFAULTS.keepSource,
      systemPath: defaults.systemPath,
      copyUp: copyUpDirectories(values.copyUp ?? defaults.copyUp, propagation),
      ...(values.metrics !== undefined && { metrics: parseServedAddress('metrics', values.metrics) }),
      ...(values.ui !== undefined && { ui: parseServedAddress('ui', values.ui) }),
      propagation,
      namespaces: namespacesOf(values),
      ...(values.evacuateCgroup2 === undefined ? {} : { evacuateCgroup2: values.evacuateCgroup2 }),
      subIdSource: choice(subIdSources, values.subidSource),
    },
  };
}

/** A value that was checked to be one of the choices. */
function choice<Choice extends string>(choices: readonly Choice[], value: string): Choice {
  const found = choices.find((known) => known === value);
  if (found === undefined) throw new Error(`not one of ${choices.join(', ')}: ${value}`);
  return found;
}

function namespacesOf({ pidns, ipcns, utsns, cgroupns }: Values): ('pid' | 'ipc' | 'uts' | 'cgroup')[] {
  return [
    ...(pidns ? ['pid' as const] : []),
    ...(ipcns ? ['ipc' as const] : []),
    ...(utsns ? ['uts' as const] : []),
    ...(cgroupns ? ['cgroup' as const] : []),
  ];
}
