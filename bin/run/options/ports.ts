/** The ports of a checked command line. */
import { UsageError } from '../../../parent/errors.js';
import type { PortDriverName } from '../../../parent/port/index.js';
import type { BypassOptions } from '../../../parent/stack/options.js';
import { type AutoPublish, isAutoPublish, parseAutoPublish } from '../../../protocol/ports/auto.js';
import { formatHost, parsePortSpec } from '../../../protocol/ports/grammar.js';
import { HostPortIndex } from '../../../protocol/ports/host-port-index.js';
import { type PortMapping, part } from '../../../protocol/ports/port-mapping.js';
import type { Dialect } from '../dialect.js';
import type { Values } from './values.js';

/** The values of -p: ports, and what is published while something listens inside. Throws PortMappingError. */
export function publishedPorts(
  texts: readonly string[],
  dialect: Dialect,
): { specs: PortMapping[]; auto: AutoPublish[] } {
  const isAuto = (text: string) => dialect.name === 'rootless-run' && isAutoPublish(text);
  return {
    specs: texts.filter((text) => !isAuto(text)).map(parsePortSpec),
    auto: texts.filter(isAuto).map(parseAutoPublish),
  };
}

/** Throws UsageError if one port of the host is published more than once. */
export function checkDuplicates(publish: readonly PortMapping[]): void {
  const before = new HostPortIndex<PortMapping>();
  for (const mapping of publish) {
    for (const twice of before.overlaps(mapping)) {
      throw new UsageError(`invalid --publish: ${formatHost(part(twice, 0))} is published twice`);
    }
    before.set(mapping);
  }
}

/** Of the port driver `bypass`; undefined with the others. Throws UsageError. */
export function bypassOptions(
  { bypassOutbound = false, activate = false }: Values,
  {
    driver,
    publish,
    hasCommand,
    hostLoopback,
  }: { driver: PortDriverName; publish: readonly PortMapping[]; hasCommand: boolean; hostLoopback: boolean },
): BypassOptions | undefined {
  if (driver !== 'bypass') return undefined;
  if (!hasCommand) {
    throw new UsageError(
      '--port-driver=bypass requires a command: processes that enter the namespaces later are not bypassed',
    );
  }
  if (activate) checkActivation(publish, hostLoopback);
  return { outbound: bypassOutbound, activate };
}

function checkActivation(publish: readonly PortMapping[], hostLoopback: boolean): void {
  if (publish.some(({ proxyProtocol }) => proxyProtocol !== undefined)) {
    throw new UsageError(
      '--activate and the PROXY protocol (+proxy1, +proxy2) are mutually exclusive: connections are not relayed',
    );
  }
  if (!hostLoopback && publish.some(({ transport }) => transport === 'udp')) {
    throw new UsageError(
      "--activate requires --allow-host-loopback for UDP: a UDP socket of the host can send to the host's loopback",
    );
  }
}
