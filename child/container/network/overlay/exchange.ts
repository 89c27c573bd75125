/**
 * What the agents of an overlay network tell each other: that they are there, how long a packet takes, and, where there is
 * no registry, the names of their containers.
 *
 * Theory of operation. Each agent has a UDP socket on its gateway's address of the network, at EXCHANGE_PORT. The packet
 * filter lets only the tunnel reach it, and WireGuard lets a peer send only from its own subnets: so a datagram from a
 * peer's gateway address is that peer's. Every HELLO_MS, and when names have changed, each peer gets
 *
 *   {"hello":TIME,"version":…}                         answered at once by {"echo":TIME}
 *   {"names":GENERATION,"part":N,"of":M,"list":[["web",["10.50.1.2"]],…]}    in parts that fit into a packet
 *
 * Names of a peer replace those of before when all parts of a generation are there, and go when it has been silent for
 * SILENCE_MS. A peer is as little trusted as any program inside: sizes and rates are bounded, and a name can only lead to the
 * peer's own subnets.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import * as z from 'zod';
import { cidrContains } from '../../../../protocol/net/cidr.js';
import { MAX_NAMES, memberName, version as versionText } from '../../../../protocol/overlay/schemas.js';
import { EXCHANGE_PORT, type OverlayMember, type OverlayName } from '../../../../protocol/overlay/types.js';
import { VERSION } from '../../../../protocol/version.js';
import { firstHost } from '../ipam/subnets.js';

const HELLO_MS = 5_000;
/** The same for peers that have not answered, as after a start. */
const FIRST_HELLO_MS = 1_000;
export const SILENCE_MS = 30_000;
/** Of a datagram, in bytes: it fits into a packet of the tunnel. */
const MAX_DATAGRAM = 1_200;
/** Datagrams of one peer in a second; all names of a large host are fewer. */
const MAX_RATE = 1_000;
const MAX_PARTS = 1_000;
/** Least time between two changes of names that others cause, in ms. */
const CHANGE_MS = 200;

const datagram = z.union([
  z.object({ hello: z.number(), version: versionText.optional() }),
  z.object({ echo: z.number() }),
  z.object({
    names: z.int().min(0),
    part: z.int().min(0).max(MAX_PARTS),
    of: z.int().min(1).max(MAX_PARTS),
    list: z.array(z.tuple([memberName, z.array(z.string().max(45)).min(1).max(64)])).max(128),
  }),
]);

type NamesPart = Extract<z.infer<typeof datagram>, { names: number }>;

interface KnownPeer {
  peer: OverlayMember;
  /** On the clock of performance.now(). */
  heard: number;
  latency?: number | undefined;
  version?: string | undefined;
  /** Parts of a generation that is not complete. */
  parts: Map<number, NamesPart>;
  generation: number;
  names: OverlayName[];
  rate: { second: number; count: number };
}

export interface ExchangeDeps {
  /** Of this host, on the network. */
  gateway: string;
  /** Names of containers here; undefined where the registry has them. */
  names: () => readonly OverlayName[] | undefined;
  /** Called when names of others have changed. */
  changed: () => void;
}

export class Exchange {
  readonly #peers = new Map<string, KnownPeer>();
  #timer: NodeJS.Timeout | undefined;
  #beats = 0;
  #generation = Date.now();
  #changing: NodeJS.Timeout | undefined;
  #nextChange = 0;
  #closed = false;

  private constructor(
    private readonly socket: Socket,
    private readonly deps: ExchangeDeps,
  ) {
    socket.on('message', (data, from) => this.#onDatagram(data, from));
    // Such as for a peer that is not reached: it is tried again.
    socket.on('error', () => {});
    this.#timer = setInterval(() => this.#beat(), FIRST_HELLO_MS).unref();
  }

  /** Throws the errors of bind(2). */
  static async open(deps: ExchangeDeps): Promise<Exchange> {
    const socket = createSocket('udp4');
    try {
      socket.bind(EXCHANGE_PORT, deps.gateway);
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.unref();
    return new Exchange(socket, deps);
  }

  get gateway(): string {
    return this.deps.gateway;
  }

  setPeers(peers: readonly OverlayMember[]): void {
    const wanted = new Map(peers.map((peer) => [gatewayOf(peer), peer]));
    for (const [address, known] of this.#peers) {
      if (wanted.get(address)?.host === known.peer.host) continue;
      this.#peers.delete(address);
    }
    for (const [address, peer] of wanted) {
      const known = this.#peers.get(address);
      if (known) known.peer = peer;
      else {
        const fresh = { heard: 0, parts: new Map(), generation: 0, names: [], rate: { second: 0, count: 0 } };
        this.#peers.set(address, { peer, ...fresh });
        this.#greet(address);
      }
    }
    this.deps.changed();
  }

  /** To be called when names here have changed. */
  namesChanged(): void {
    this.#generation++;
    for (const address of this.#peers.keys()) this.#sendNames(address);
  }

  /** Names of the containers of others, by host. */
  names(): { host: string; names: readonly OverlayName[] }[] {
    return [...this.#peers.values()].map(({ peer, names }) => ({ host: peer.host, names }));
  }

  statusOf(host: string): { latency?: number | undefined; version?: string | undefined } {
    const known = [...this.#peers.values()].find(({ peer }) => peer.host === host);
    if (!known || this.#isSilent(known)) return {};
    return { latency: known.latency, version: known.version };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#changing);
    this.socket.close();
  }

  #isSilent({ heard }: KnownPeer): boolean {
    return heard === 0 || performance.now() - heard > SILENCE_MS;
  }

  #beat(): void {
    const isRound = this.#beats++ % (HELLO_MS / FIRST_HELLO_MS) === 0;
    for (const [address, known] of this.#peers) {
      const silent = this.#isSilent(known);
      if (known.names.length > 0 && silent) {
        known.names = [];
        known.generation = 0;
        this.deps.changed();
      }
      if (isRound || silent) this.#greet(address);
    }
  }

  #greet(address: string): void {
    this.#send(address, { hello: performance.now(), version: VERSION });
    this.#sendNames(address);
  }

  #sendNames(address: string): void {
    const names = this.deps.names();
    if (names === undefined) return;
    const parts = partsOf(names);
    for (const [part, list] of parts.entries()) {
      this.#send(address, { names: this.#generation, part, of: parts.length, list });
    }
  }

  #send(address: string, value: unknown): void {
    if (!this.#closed) this.socket.send(JSON.stringify(value), EXCHANGE_PORT, address, () => {});
  }

  #onDatagram(data: Buffer, { address, port }: RemoteInfo): void {
    const known = this.#peers.get(address);
    if (!known || port !== EXCHANGE_PORT || data.length > 2 * MAX_DATAGRAM || isTooMuch(known.rate)) return;
    const value = parse(data);
    if (!value) return;
    const silent = this.#isSilent(known);
    known.heard = performance.now();
    if ('echo' in value) {
      const latency = performance.now() - value.echo;
      if (latency >= 0 && latency < SILENCE_MS) known.latency = latency;
    } else if ('hello' in value) {
      known.version = value.version;
      this.#send(address, { echo: value.hello });
      // It has been started, and does not know us yet.
      if (silent) this.#greet(address);
    } else this.#onNames(known, value);
  }

  #onNames(known: KnownPeer, value: NamesPart): void {
    if (value.names === known.generation) return;
    const [other] = known.parts.values();
    if (other && (other.names !== value.names || other.of !== value.of)) known.parts.clear();
    if (value.part >= value.of) return;
    known.parts.set(value.part, value);
    if (known.parts.size < value.of) return;
    const all = [...known.parts.values()].flatMap(({ list }) => list);
    known.parts.clear();
    known.generation = value.names;
    const { subnets } = known.peer;
    known.names = all.slice(0, MAX_NAMES).flatMap(([name, addresses]) => {
      const own = addresses.filter((ip) => subnets.some((subnet) => cidrContains(subnet, ip)));
      return own.length > 0 ? [{ name, addresses: own }] : [];
    });
    this.#namesHaveChanged();
  }

  /** At once, and then not again for a while: peers decide how often. */
  #namesHaveChanged(): void {
    if (this.#changing) return;
    this.#changing = setTimeout(
      () => {
        this.#changing = undefined;
        this.#nextChange = performance.now() + CHANGE_MS;
        if (!this.#closed) this.deps.changed();
      },
      Math.max(0, this.#nextChange - performance.now()),
    ).unref();
  }
}

/** The address at which the agent of a peer is reached. */
function gatewayOf({ subnets: [first = ''] }: OverlayMember): string {
  return firstHost(first);
}

function isTooMuch(rate: KnownPeer['rate']): boolean {
  const second = Math.floor(performance.now() / 1000);
  if (rate.second !== second) Object.assign(rate, { second, count: 0 });
  return ++rate.count > MAX_RATE;
}

function parse(data: Buffer): z.infer<typeof datagram> | undefined {
  try {
    return datagram.safeParse(JSON.parse(data.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}

/** Lists that fit into datagrams; one of them is empty where there are no names. */
function partsOf(names: readonly OverlayName[]): [string, string[]][][] {
  const parts: [string, string[]][][] = [[]];
  let size = 0;
  for (const { name, addresses } of names.slice(0, MAX_NAMES)) {
    const entry: [string, string[]] = [name, addresses.slice(0, 16)];
    const length = JSON.stringify(entry).length + 1;
    const last = parts.at(-1);
    if (last && (last.length === 0 || size + length <= MAX_DATAGRAM - 100) && last.length < 128) last.push(entry);
    else {
      parts.push([entry]);
      size = 0;
    }
    size += length;
  }
  return parts.slice(0, MAX_PARTS);
}
