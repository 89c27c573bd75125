/**
 * The port driver that asks slirp4netns to forward (slirp4netns(1), "API SOCKET"): it listens on the host itself, and
 * connects to the child's device. So a server that listens on the child's loopback alone is not reached, and IPv6 is
 * not forwarded.
 */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { native } from '../../../native/index.js';
import type { PortDriverInfo } from '../../../protocol/api/types.js';
import { formatPortMapping } from '../../../protocol/ports/grammar.js';
import { type PortMapping, type PublishedPort, protocolName, singles } from '../../../protocol/ports/port-mapping.js';
import { errorText } from '../../errors.js';
import type { EventBody, PortDriver } from '../driver.js';
import { PortError, PortListError, UnknownPortError, UnsupportedProtocolError } from '../errors.js';
import { openListeners, socketType } from '../listen.js';
import { PortTable } from '../table.js';
import { askSlirp } from './slirp4netns-api.js';

const PROTOS = ['tcp', 'tcp4', 'udp', 'udp4'];

export interface Slirp4netnsSettings {
  /** Path of slirp4netns' API socket. */
  socket: string;
  /** The address of the child's device. */
  childIP: string;
}

export class Slirp4netnsPortDriver implements PortDriver {
  readonly info: PortDriverInfo = { driver: 'slirp4netns', protos: PROTOS, disallowLoopbackChildIP: true };
  readonly #table = new PortTable();
  /** slirp4netns' ids, by ours: it uses its own again. It knows single ports only. */
  readonly #slirpIds = new Map<number, number>();

  constructor(
    private readonly settings: Slirp4netnsSettings,
    private readonly emit: (event: EventBody) => void,
  ) {}

  async add(mapping: PortMapping, id = this.newId(mapping.count)): Promise<PublishedPort> {
    if (mapping.proxyProtocol !== undefined) {
      throw new PortError('slirp4netns does not support the PROXY protocol; use --port-driver=builtin');
    }
    const protocol = protocolName(mapping);
    if (!PROTOS.includes(protocol)) {
      throw new UnsupportedProtocolError(protocol, 'slirp4netns forwards IPv4 only; use --port-driver=builtin');
    }
    this.#table.checkConflict(mapping);
    const ip = ipv4(mapping.host.ip, 'listen on');
    ipv4(mapping.target.ip, 'connect to', this.settings.childIP);
    // Its own error has no reason in it, and it shares UDP ports with others: so the ports are tried first.
    const tried = openListeners({ ...mapping, family: 4, host: { ...mapping.host, ip } });
    for (const fd of tried.fds) native().closeFd(fd);

    const { host } = mapping;
    const port: PublishedPort = { id, ...mapping, host: { ...host, port: tried.mapping.host.port } };
    // Before the answer, so that a second request for the same port is a conflict.
    this.#table.add(port);
    try {
      for (const one of singles([port])) await this.#forward(one);
    } catch (error) {
      await this.#undo(port);
      throw error;
    }
    this.emit({ type: 'port-added', ports: port });
    return port;
  }

  async addAll(mappings: readonly PortMapping[]): Promise<PublishedPort[]> {
    const added: PublishedPort[] = [];
    try {
      for (const mapping of mappings) added.push(await this.add(mapping));
      return added;
    } catch (error) {
      for (const { id, count } of added) await this.remove(id, count);
      if (!(error instanceof PortError)) throw error;
      const index = added.length;
      throw new PortListError(error, { index, count: mappings.length, mapping: mappings[index] });
    }
  }

  newId(count = 1): number {
    return this.#table.newId(count);
  }

  list(): PublishedPort[] {
    return this.#table.list();
  }

  report(): undefined {
    return undefined;
  }

  async remove(id: number, count = 1): Promise<void> {
    const ports = this.#table.within(id, count);
    if (ports.length === 0) throw new UnknownPortError(id);
    for (const port of singles(ports)) await this.#remove(port);
  }

  watchConnections(): void {}

  /** Another slirp4netns knows nothing of them. */
  async restore(): Promise<void> {
    this.#slirpIds.clear();
    const failures: string[] = [];
    for (const port of singles(this.list())) {
      try {
        await this.#forward(port);
      } catch (error) {
        // Used by another program meanwhile: it is not listed any more, and can be added again.
        this.#table.delete(port.id, 1);
        this.emit({ type: 'port-removed', ports: port });
        failures.push(`${formatPortMapping(port)} (${errorText(error)})`);
      }
    }
    if (failures.length > 0) throw new PortError(`no longer published: ${failures.join(', ')}`);
  }

  /** Throws SlirpError. */
  async #forward(port: PublishedPort): Promise<void> {
    const { host, id, target } = port;
    const answer = await askSlirp(this.settings.socket, 'add_hostfwd', {
      proto: socketType(port),
      host_addr: ipv4(host.ip, 'listen on'),
      host_port: host.port,
      guest_addr: ipv4(target.ip, 'connect to', this.settings.childIP),
      guest_port: target.port,
    });
    this.#slirpIds.set(id, Number(answer.id));
  }

  /** Throws SlirpError, and then the port is still there. */
  async #remove(port: PublishedPort): Promise<void> {
    const slirpId = this.#slirpIds.get(port.id);
    if (slirpId === undefined) throw new PortError(`port ${port.id} is being added or removed; try again`);
    this.#slirpIds.delete(port.id);
    try {
      await askSlirp(this.settings.socket, 'remove_hostfwd', { id: slirpId });
    } catch (error) {
      this.#slirpIds.set(port.id, slirpId);
      throw error;
    }
    this.#table.delete(port.id, 1);
    this.emit({ type: 'port-removed', ports: port });
  }

  /** Of a range that was forwarded in part. What cannot be taken back ends with slirp4netns. */
  async #undo(port: PublishedPort): Promise<void> {
    this.#table.delete(port.id, port.count);
    for (const { id } of singles([port])) {
      const slirpId = this.#slirpIds.get(id);
      this.#slirpIds.delete(id);
      if (slirpId !== undefined)
        await askSlirp(this.settings.socket, 'remove_hostfwd', { id: slirpId }).catch(() => {});
    }
  }

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
