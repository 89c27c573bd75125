/** The part of the API about published ports: RootlessKit's, with counters and persistent ports beside it. */
import type { PortReport } from '../../protocol/api/types.js';
import { part, singles } from '../../protocol/ports/port-mapping.js';
import { type PortStatus, parsePortSpecJSON, portStatusOf } from '../../protocol/ports/rootlesskit-json.js';
import { printable } from '../errors.js';
import type { PortDriver } from '../port/driver.js';
import { PortError } from '../port/errors.js';
import type { PersistentPorts } from '../port/persistent-ports.js';
import type { WaitingPorts } from '../port/waiting-ports.js';

export interface PortsAPIOptions {
  /** `undefined` where the stack publishes no ports: requests about ports are then answered with 400. */
  ports: PortDriver | undefined;
  /** `undefined` where the stack keeps no ports: requests to keep one are then answered with 400. */
  persistentPorts?: PersistentPorts | undefined;
  /** Persistent ports that cannot be published yet. */
  waiting?: WaitingPorts | undefined;
}

/** Throws PortError, which is answered with 400. */
export function driverOf(options: PortsAPIOptions): PortDriver {
  if (!options.ports) throw new PortError('no PortDriver is available');
  return options.ports;
}

/** Throws PortError. */
export function keeperOf({ persistentPorts }: PortsAPIOptions): PersistentPorts {
  if (persistentPorts) return persistentPorts;
  throw new PortError('this stack does not keep ports; start one that does with: rootless-run serve');
}

/** RootlessKit answers `null` where no port is published, which clients in Go read as an empty list. Throws PortError. */
export function listPorts(options: PortsAPIOptions, counters: boolean): PortReport[] | null {
  const ports = driverOf(options);
  const persistently = counters ? { persistent: true } : {};
  const waiting = [...singles(options.waiting?.list() ?? [])].map((port) => ({
    ...portStatusOf(port),
    listener: port.listener,
    ...persistently,
  }));
  const list = ports.list();
  if (list.length + waiting.length === 0) return null;
  const published = [...singles(list)].map((port) => {
    const status = portStatusOf(port);
    const report = ports.report(port.id);
    const container = port.container === undefined ? {} : { container: port.container };
    const persistent = counters && options.persistentPorts?.has(port) ? { persistent: true } : {};
    if (!report) return { ...status, ...container, ...persistent };
    const listener = counters || report.listener.state !== 'listening' ? { listener: report.listener } : {};
    const source = report.source && { source: report.source };
    const { bypass, bypassReason, refusals } = report;
    const refused = counters && refusals && { refusals };
    const bypassed = { ...(bypass !== undefined && { bypass }), ...(bypassReason !== undefined && { bypassReason }) };
    const counted = counters && { counters: report.counters };
    return { ...status, ...container, ...listener, ...counted, ...refused, ...source, ...bypassed, ...persistent };
  });
  return waiting.length === 0 ? published : [...published, ...waiting].sort((a, b) => a.id - b.id);
}

/** @param spec body of the request. Throws PortError. */
export async function addPort(options: PortsAPIOptions, spec: unknown, persistent: boolean): Promise<PortStatus> {
  const driver = driverOf(options);
  const keeper = persistent ? keeperOf(options) : undefined;
  const port = await driver.add(parsePortSpecJSON(spec));
  try {
    await keeper?.keep(port);
  } catch (error) {
    await driver.remove(port.id, port.count);
    throw error;
  }
  return portStatusOf(port);
}

export async function removePort(options: PortsAPIOptions, id: number): Promise<void> {
  const ports = driverOf(options);
  const waited = options.waiting?.remove(id);
  if (waited) {
    await options.persistentPorts?.forget(waited);
    return;
  }
  const range = options.persistentPorts && ports.list().find((port) => id >= port.id && id < port.id + port.count);
  await ports.remove(id);
  if (range) await options.persistentPorts?.forget(part(range, id - range.id));
}

/** Throws PortError. */
export function parsePortId(text: string): number {
  const id = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (id === undefined) throw new PortError(`bad id ${printable(text)}: not a number`);
  return id;
}
