/**
 * Port drivers: how they are chosen, checked and made. The interface is in driver.ts, each driver in drivers/; ports of
 * containers are reserved in parent/containers/.
 */
import type { AutoPublish } from '../../protocol/ports/auto.js';
import type { AgentSupervisor } from '../agent/agent.js';
import type { EngineHost } from '../engine/engine-host.js';
import { UsageError } from '../errors.js';
import type { NetworkName } from '../network/index.js';
import type { EventBody, PortDriver } from './driver.js';
import { BuiltinPortDriver, type RelaySettings } from './drivers/builtin.js';
import { BypassPortDriver, type BypassSettings } from './drivers/bypass.js';
import { Slirp4netnsPortDriver, type Slirp4netnsSettings } from './drivers/slirp4netns.js';

export const portDriverNames = ['builtin', 'bypass', 'slirp4netns', 'implicit', 'none'] as const;
export type PortDriverName = (typeof portDriverNames)[number];

/** Names that RootlessKit's `--port-driver` takes as well. */
const unsupported: readonly string[] = ['gvisor-tap-vsock', 'pesto'];

/** Throws UsageError for a name that is not in portDriverNames. */
export function parsePortDriverName(text: string): PortDriverName {
  if (unsupported.includes(text)) {
    throw new UsageError(
      `port driver "${text}" is not supported; use --port-driver=builtin, which works with every network`,
    );
  }
  const name = portDriverNames.find((known) => known === text);
  if (!name)
    throw new UsageError(`unknown port driver: ${text} (--port-driver); choose one of ${portDriverNames.join(', ')}`);
  return name;
}

export interface PortDriverChoice {
  driver: PortDriverName;
  net: NetworkName;
  publishes: boolean;
  /** As the user named them, where others serve in their place. */
  driverName?: string | undefined;
  netName?: string | undefined;
}

/** Throws UsageError if the port driver conflicts with the network, or with the requested ports. */
export function checkPortDriver({
  driver,
  net,
  publishes,
  driverName = driver,
  netName = net,
}: PortDriverChoice): void {
  if (publishes && (driver === 'none' || driver === 'implicit')) {
    const way =
      driver === 'none'
        ? 'leave out --port-driver=none or --publish'
        : 'it publishes every port that is opened inside; leave out --publish';
    throw new UsageError(`port driver "${driver}" does not support publishing ports; ${way}`);
  }
  const needs = {
    none: undefined,
    builtin: undefined,
    bypass: undefined,
    slirp4netns: 'slirp4netns',
    implicit: 'pasta',
  }[driver];
  if (needs !== undefined && net !== needs) {
    throw new UsageError(
      `port driver "${driver}" needs --net=${needs}, not --net=${netName}; or use --port-driver=builtin`,
    );
  }
  if ((driver === 'builtin' || driver === 'bypass') && net === 'host') {
    throw new UsageError(
      `port driver "${driverName}" cannot be used with --net=host: ports that are opened inside are the host's own; leave out --publish and --port-driver`,
    );
  }
}

/** Throws UsageError if the port driver cannot publish what listens inside. */
export function checkAutoDriver(auto: readonly AutoPublish[], driver: PortDriverName): void {
  if (auto.length === 0 || driver === 'builtin') return;
  if (driver === 'implicit')
    throw new UsageError('port driver "implicit" publishes what listens inside by itself', {
      hint: 'leave out -p auto',
    });
  throw new UsageError(`-p auto is not supported by the port driver "${driver}"`, { hint: '--port-driver=builtin' });
}

/** What the port drivers are made of. */
export interface PortDriverDeps {
  engine: EngineHost;
  agent: AgentSupervisor;
  emit: (event: EventBody) => void;
  relay: RelaySettings;
  bypass: BypassSettings;
  slirp4netns: Slirp4netnsSettings;
}

/** The driver of that name; undefined for those that take no requests. */
export function createPortDriver(name: PortDriverName, deps: PortDriverDeps): PortDriver | undefined {
  const { engine, bypass, emit, slirp4netns } = deps;
  switch (name) {
    case 'none':
    case 'implicit':
      return undefined;
    case 'builtin':
      return new BuiltinPortDriver(deps);
    case 'bypass':
      return new BypassPortDriver(new BuiltinPortDriver(deps), engine, bypass);
    case 'slirp4netns':
      return new Slirp4netnsPortDriver(slirp4netns, emit);
  }
}
