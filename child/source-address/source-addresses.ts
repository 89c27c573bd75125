/**
 * Preserves the source address of clients, so that servers see it.
 *
 * Theory of operation. The agent's socket towards the server is bound to the client's address (native/src/connect/dialer.h).
 * The server's replies would leave by the default route; routing rules lead them back to the socket. Nothing else is
 * affected: what the server sends to that client on its own initiative, from any port, takes its usual route.
 *
 *   TCP, server in this namespace   The socket has a mark, and so have its packets. The accepted socket inherits the mark of
 *                                   the request (net.ipv4.tcp_fwmark_accept), and so do refusals, by TCP and ICMP
 *                                   (fwmark_reflect). Rule `iif lo fwmark …`.
 *   UDP, server in this namespace   A server has one socket for all clients. Each flow has a rule and a route as long as it
 *                                   lasts (native/src/return_path/return_paths.h). Refusals have another mark, rule
 *                                   `iif lo from SERVER ipproto icmp fwmark …`: a tunnel such as VXLAN keeps the mark on the
 *                                   packets that it unwraps, and replies to those (from addresses in the tunnel) must not be
 *                                   rerouted. What such a client sends in other ways, by a flow that the server has begun at
 *                                   the same time, is not taken for forged (accept_local): by that route its address is local.
 *   container on a bridge           The packet filter marks the packets that belong to such a socket
 *                                   (child/container/network/bridge/answer-filter.ts). Rule `iif BRIDGE fwmark …`.
 *
 * All these rules lead to one table, in which every address is local. They are created with the first client, and remain:
 * packets without a mark are not affected. A replacement of the agent finds them in place.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { errorText } from '../../protocol/errors/error-text.js';
import { cidrContains } from '../../protocol/net/cidr.js';
import type { ConnectTarget } from '../../protocol/wire/messages.js';
import { PolicyRouting, type PolicyRule } from '../netlink/policy.js';
import { RouteSocket } from '../netlink/route.js';
import { ANSWER_MARKS } from './answer-marks.js';

/** Of the rules: before the main table (32766), after the local one (0). */
const PRIORITY = 20_000;
const TABLE = 0x72_00_00_00;
/** Sysctls of the network namespace (networking/ip-sysctl.rst in the kernel's documentation). */
const SETTINGS = ['ipv4/tcp_fwmark_accept', 'ipv4/fwmark_reflect', 'ipv6/fwmark_reflect'];

/** The return path from a server outside of this namespace. */
export interface ReturnPath {
  /** The device on which replies arrive; those to clients' addresses have the mark `container`. */
  device: string;
  /** In CIDR notation: the server would reply directly to clients with such addresses. */
  except: readonly string[];
}

/** How the agent's sockets have to be set up for a client's address. */
export interface PreservedSource {
  /** SO_MARK of the sockets; 0 for none. */
  mark: number;
}

export class SourceAddresses {
  /** Keys of the rules that exist. */
  readonly #rules = new Set<string>();
  /** Indices of devices that accept packets from addresses that are local by a rule. */
  readonly #accepting = new Set<number>();
  #warned = false;

  constructor(
    private readonly isLocal: (ip: string) => boolean,
    /** Undefined if replies from that address do not return here; `container` is its owner, "" if it is not known. */
    private readonly returnPath: (ip: string, container: string) => Promise<ReturnPath | undefined>,
    private readonly warn: (line: string) => void,
  ) {}

  /** Sets up the return path, so that the servers at these addresses can see the client's; undefined if they cannot. */
  async preserve(
    { proto, container }: ConnectTarget,
    addresses: readonly string[],
    client: string,
  ): Promise<PreservedSource | undefined> {
    if (isIP(client) === 0 || !isOrdinary(client)) return undefined;
    const family = isIPv4(client) ? 4 : 6;
    const servers = addresses.filter((ip) => isIPv4(ip) === isIPv4(client));
    const [server] = servers;
    if (server === undefined) return undefined;
    try {
      if (servers.every((ip) => this.isLocal(ip))) {
        // A server bound to all addresses would reply from the client's address, which is local as well, rather than from
        // the requested one, so that the replies could not be attributed.
        if (proto === 'udp' && this.isLocal(client)) return undefined;
        if (proto === 'udp') {
          if (family === 4) this.#acceptClients();
          for (const ip of servers) this.#addRule({ family, from: 'lo', mark: ANSWER_MARKS.datagram, refusalsOf: ip });
          return { mark: ANSWER_MARKS.datagram };
        }
        this.#addRule({ family, from: 'lo', mark: ANSWER_MARKS.local });
        return { mark: ANSWER_MARKS.local };
      }
      // This opens the container's namespace, which may just have ended.
      const path = servers.length > 1 ? undefined : await this.returnPath(server, container);
      if (path === undefined || path.except.some((cidr) => cidrContains(cidr, client))) return undefined;
      this.#addRule({ family, from: path.device, mark: ANSWER_MARKS.container });
      return { mark: 0 };
    } catch (error) {
      if (!this.#warned) this.warn(`servers do not see the addresses of clients: ${errorText(error)}`);
      this.#warned = true;
      return undefined;
    }
  }

  /**
   * Runs the code once without an effect, so that the first client does not wait until it is compiled, which takes longer
   * than running it.
   */
  prepare(): void {
    try {
      using routing = new PolicyRouting();
      for (const [family, client] of [[4, '192.0.2.1'] as const, [6, '2001:db8::1'] as const]) {
        if (isIP(client) !== family || !isOrdinary(client) || this.isLocal(client)) continue;
        routing.deleteRule({ family, from: 'lo', mark: ANSWER_MARKS.local, table: TABLE - 1, priority: PRIORITY });
        routing.deleteLocalRoute(family, TABLE - 1);
      }
    } catch {
      // It is reported when a client's address cannot be preserved because of it.
    }
  }

  /** On the devices that lead to the outside; IPv6 does not check sources. */
  #acceptClients(): void {
    using socket = new RouteSocket();
    for (const { destination, index } of socket.routes()) {
      if (destination !== '0.0.0.0/0' || this.#accepting.has(index)) continue;
      this.#accepting.add(index);
      const name = socket.links().find((link) => link.index === index)?.name;
      if (name !== undefined) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/accept_local`, '1');
    }
  }

  #addRule(what: Omit<PolicyRule, 'table' | 'priority'>): void {
    const key = `${what.family} ${what.from} ${what.refusalsOf ?? ''}`;
    if (this.#rules.has(key)) return;
    if (what.from === 'lo') inheritMarks();
    using routing = new PolicyRouting();
    routing.addLocalRoute(what.family, TABLE);
    routing.addRule({ ...what, table: TABLE, priority: PRIORITY });
    this.#rules.add(key);
  }
}

/** Makes accepted connections and refusals inherit marks. Throws where /proc/sys cannot be written. */
function inheritMarks(): void {
  for (const setting of SETTINGS) {
    const file = `/proc/sys/net/${setting}`;
    try {
      if (readFileSync(file, 'latin1').trim() !== '1') writeFileSync(file, '1');
    } catch (error) {
      // The kernel has no IPv6.
      if (setting.startsWith('ipv6/') && (error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
  }
}

/** Link-local addresses are excluded: they need a device, and identify another host there. */
function isOrdinary(ip: string): boolean {
  return ['unicast', 'private', 'uniqueLocal', 'carrierGradeNat', 'reserved'].includes(ipaddr.parse(ip).range());
}
