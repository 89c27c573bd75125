/** The network options of a checked command line. */
import { UsageError } from '../../../parent/errors.js';
import type { NetworkOptions, Switch } from '../../../parent/network/driver.js';
import type { NetworkName } from '../../../parent/network/index.js';
import { type RootlessKitFace, standInDevice, standInMtu } from '../../../parent/rootlesskit/stand-ins.js';
import { MAX_RULES } from '../../../protocol/egress/egress-file.js';
import { rulesOfOptions } from '../../../protocol/egress/options.js';
import type { EgressRule } from '../../../protocol/egress/rule.js';
import { checkHostPorts, parseHostPort } from '../../../protocol/ports/host-port.js';
import { parseMtu } from './checks.js';
import type { CommandLine, Values } from './values.js';

const SWITCHES: Readonly<Record<string, Switch>> = { auto: 'auto', true: 'on', false: 'off' };

/**
 * The switches of slirp4netns. RootlessKit ignores them with other networks, where Docker's script sets them anyway.
 */
export function slirp4netnsSwitches(
  values: Values,
  net: NetworkName,
  face: RootlessKitFace | undefined,
): Pick<Values, 'slirp4netnsSandbox' | 'slirp4netnsSeccomp'> {
  if (face && net !== 'slirp4netns' && net !== 'auto')
    return { slirp4netnsSandbox: 'false', slirp4netnsSeccomp: 'false' };
  return values;
}

/** Whether the namespace has a network device. */
function hasDevice(net: NetworkName): boolean {
  return net !== 'host' && net !== 'none';
}

export function toNetworkOptions(
  { values, given, dialect }: CommandLine,
  { hostLoopback, face }: { hostLoopback: boolean; face: RootlessKitFace | undefined },
): NetworkOptions {
  const isRootlessRun = dialect.name === 'rootless-run';
  const { ifname, lxcUserNicBinary } = values;
  const device = ifname ?? standInDevice(face?.network);
  const hostPorts = (values.hostPort ?? []).map(parseHostPort);
  checkHostPorts(hostPorts);
  return {
    mtu: parseMtu(values.mtu, { dialect, values }) || standInMtu(face?.network),
    cidr: values.cidr,
    // RootlessKit's callers rely on its addresses.
    ...(isRootlessRun && { hostNetworks: given('cidr') ? 'report' : 'avoid' }),
    ...(device === undefined ? {} : { ifname: device }),
    hostLoopback,
    hostPorts,
    // RootlessKit gives no such guarantee, and Docker's script asks for it with any driver.
    ...(isRootlessRun && values.disableHostLoopback && { refuseHostLoopback: true }),
    ipv6: values.ipv6 ?? false,
    // Under RootlessKit's name callers rely on what they have requested.
    autoIPv6: isRootlessRun,
    slirp4netns: {
      binary: values.slirp4netnsBinary,
      sandbox: SWITCHES[values.slirp4netnsSandbox] ?? 'auto',
      seccomp: SWITCHES[values.slirp4netnsSeccomp] ?? 'auto',
    },
    pasta: { binary: values.pastaBinary },
    lxcUserNic: {
      ...(lxcUserNicBinary === undefined ? {} : { binary: lxcUserNicBinary }),
      bridge: values.lxcUserNicBridge,
    },
  };
}

/** What the options have no effect on, and what the namespace can reach. */
export function networkWarnings(
  values: Values,
  net: NetworkName,
  { hostLoopback, bypass, mtu }: { hostLoopback: boolean; bypass: boolean; mtu: number },
): string[] {
  const warnings: string[] = [];
  if (!hasDevice(net) && mtu !== 0) warnings.push(`--mtu is ignored with --net=${net}: no network device`);
  if (values.ipv6 && (!hasDevice(net) || net === 'lxc-user-nic')) warnings.push(`--ipv6 is ignored with --net=${net}`);
  if (values.allowHostLoopback) return warnings;
  if (bypass) {
    warnings.push(
      "with --port-driver=bypass the command holds sockets of the host: a filter, not the network namespace, keeps it from the host's loopback; use --allow-host-loopback if that is not needed",
    );
    // A device of the host's bridge has no route to the host's loopback.
  } else if (hostLoopback && hasDevice(net) && net !== 'lxc-user-nic') {
    warnings.push(
      "specifying --disable-host-loopback is highly recommended: without it the namespace can connect to the host's 127.0.0.1",
    );
  }
  return warnings;
}

/** The rules of all options; none where there is no policy. Throws EgressRuleError, EgressFileError, FileError. */
export function egressRules(values: Values): EgressRule[] {
  const rules = rulesOfOptions(values);
  if (rules.length > MAX_RULES) {
    throw new UsageError(
      `there are ${rules.length} rules (--allow, --deny, --egress-file): at most ${MAX_RULES} are allowed`,
    );
  }
  return rules;
}
