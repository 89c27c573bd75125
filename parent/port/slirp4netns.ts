/**
 * The port driver that asks slirp4netns to forward (slirp4netns(1), "API SOCKET"): it listens on the host itself, and
 * connects to the child's device. So a server that listens on the child's loopback alone is not reached, and IPv6 is
 * not forwarded.
 */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { native } from '../../native/index.js';
import type { PortDriverInfo } from '../../protocol/api.js';
import type { PortSpec, PortStatus } from '../../protocol/ports.js';
import type { EventBody, PortDriver } from './driver.js';
import { PortError, UnsupportedProtocolError } from './errors.js';
import { baseProtocol, bindListener } from './listen.js';
import { askSlirp } from './slirp4netns-api.js';
import { PortTable } from './table.js';

const PROTOS = ['tcp', 'tcp4', 'udp', 'udp4'];

export class Slirp4netnsPortDriver implements PortDriver {
  readonly info: PortDriverInfo = { driver: 'slirp4netns', protos: PROTOS, disallowLoopbackChildIP: true };
  readonly #table = new PortTable();
  /** slirp4netns' ids, by ours: it uses its own again. */
  readonly #slirpIds = new Map<number, number>();

  constructor(
    /** Path of slirp4netns' API socket. */
    private readonly socket: string,
    /** The address of the child's device. */
    private readonly childIP: string,
    private readonly emit: (event: EventBody) => void,
  ) {}

  async add(spec: PortSpec): Promise<PortStatus> {
    if (spec.proxyProtocol !== undefined) {
      throw new PortError('slirp4netns does not speak the PROXY protocol; use --port-driver=builtin');
    }
    if (!PROTOS.includes(spec.proto)) {
      throw new UnsupportedProtocolError(spec.proto, 'slirp4netns forwards IPv4 alone; use --port-driver=builtin');
    }
    this.#table.checkConflict(spec);
    const hostAddress = ipv4(spec.parentIP ?? '', 'listen on');
    const guestAddress = ipv4(spec.childIP ?? '', 'connect to', this.childIP);
    // Its own error says nothing but that it failed, and it shares UDP ports with others: so the port is tried first.
    const proto = baseProtocol(spec.proto);
    const tried = bindListener({ ...spec, proto: `${proto}4`, parentIP: hostAddress });
    native().closeFd(tried.fd);

    const status: PortStatus = { id: this.#table.newId(), spec: { ...spec, parentPort: tried.port } };
    // Before the answer, so that a second request for the same port is a conflict.
    this.#table.add(status);
    try {
      const { id } = await askSlirp(this.socket, 'add_hostfwd', {
        proto,
        host_addr: hostAddress,
        host_port: tried.port,
        guest_addr: guestAddress,
        guest_port: spec.childPort,
      });
      this.#slirpIds.set(status.id, Number(id));
    } catch (error) {
      this.#table.delete(status.id);
      throw error;
    }
    this.emit({ type: 'port-added', ...status });
    return status;
  }

  list(): PortStatus[] {
    return this.#table.list();
  }

  report(): undefined {
    return undefined;
  }

  async remove(id: number): Promise<void> {
    const { spec } = this.#table.get(id);
    const slirpId = this.#slirpIds.get(id);
    if (slirpId === undefined) throw new PortError(`port ${id} is being added or removed; try again`);
    this.#slirpIds.delete(id);
    try {
      await askSlirp(this.socket, 'remove_hostfwd', { id: slirpId });
    } catch (error) {
      this.#slirpIds.set(id, slirpId);
      throw error;
    }
    this.#table.delete(id);
    this.emit({ type: 'port-removed', id, spec });
  }

  watchConnections(): void {}

  /** slirp4netns ends with the stack, and its ports with it. */
  async close(): Promise<void> {}
}

/** The IPv4 address that is meant; every one for "" and "::". Throws PortError. */
function ipv4(text: string, purpose: string, otherwise = '0.0.0.0'): string {
  const wanted = text === '' ? otherwise : text;
  const plain = ipaddr.process(wanted).toString();
  if (plain === '::') return '0.0.0.0';
  if (!isIPv4(plain)) {
    throw new PortError(`slirp4netns cannot ${purpose} the IPv6 address ${text}; use --port-driver=builtin`);
  }
  if (purpose === 'connect to' && plain.startsWith('127.')) {
    throw new PortError(
      `slirp4netns cannot connect to the child's loopback address ${text}; leave it out for ${otherwise}, or use --port-driver=builtin`,
    );
  }
  return plain;
}
