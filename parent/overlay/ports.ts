/** The UDP port of the host that leads to WireGuard inside: a published port, from which its datagrams leave, too (ADR 31). */
import type { PortDriver } from '../port/driver.js';
import { OverlayError } from './errors.js';

export interface OverlayPort {
  close(): Promise<void>;
}

export interface OverlayPorts {
  /** Throws PortError where the host's port is not free, and OverlayError. */
  open(port: number): Promise<OverlayPort>;
}

export class PublishedOverlayPorts implements OverlayPorts {
  constructor(private readonly driver: PortDriver | undefined) {}

  async open(port: number): Promise<OverlayPort> {
    const { driver } = this;
    if (!driver) {
      throw new OverlayError('overlay networks need published ports, which this stack does not have', {
        hint: 'start it with --port-driver=builtin',
      });
    }
    const { id } = await driver.add({ transport: 'udp', host: { ip: '', port }, target: { ip: '', port }, count: 1 });
    return { close: () => driver.remove(id) };
  }
}
