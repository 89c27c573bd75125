import { UsageError } from '../errors.js';
import type { NetworkName } from '../network/index.js';
import type { PortDriver } from './driver.js';

export const portDriverNames = ['builtin', 'bypass', 'slirp4netns', 'implicit', 'none'] as const;
export type PortDriverName = (typeof portDriverNames)[number];

/** Names that RootlessKit's `--port-driver` takes as well. */
const unsupported: readonly string[] = ['gvisor-tap-vsock', 'pesto'];

/** Throws UsageError for a name that is not in portDriverNames. */
export function parsePortDriverName(text: string): PortDriverName {
  if (unsupported.includes(text)) {
    throw new UsageError(
      `port driver "${text}" is not supported; use --port-driver=builtin, which goes with every network`,
    );
  }
  const name = portDriverNames.find((known) => known === text);
  if (!name) throw new UsageError(`unknown port driver: ${text}; choose one of ${portDriverNames.join(', ')}`);
  return name;
}

/** Throws UsageError where the port driver does not go with the network, or not with ports that are asked for. */
export function checkPortDriver(driver: PortDriverName, net: NetworkName, publishes: boolean): void {
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
      `port driver "${driver}" needs --net=${needs}, not --net=${net}; or use --port-driver=builtin`,
    );
  }
  if ((driver === 'builtin' || driver === 'bypass') && net === 'host') {
    throw new UsageError(
      `port driver "${driver}" cannot be used with --net=host: ports that are opened inside are the host's own; leave out --publish and --port-driver`,
    );
  }
}

/** How each driver is made; `undefined` for those that take no requests. */
export interface PortDriverFactories {
  builtin(): PortDriver;
  bypass(): PortDriver;
  slirp4netns(): PortDriver;
}

export function makePortDriver(name: PortDriverName, factories: PortDriverFactories): PortDriver | undefined {
  return name === 'none' || name === 'implicit' ? undefined : factories[name]();
}
