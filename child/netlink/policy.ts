/**
 * Policy routing: rules that send packets with a mark to a routing table of their own, in which every address is this
 * namespace's (ip-rule(8), rtnetlink(7), linux/fib_rules.h).
 */
import { attribute, type Message, NetlinkSocket, NLM_F, u32 } from '../../native/netlink.js';
import { AF_INET, AF_INET6, ipBytes, NETLINK_ROUTE, RTA, RTM } from './messages.js';

const FRA = { SRC: 2, IIFNAME: 3, PRIORITY: 6, FWMARK: 10, TABLE: 15, FWMASK: 16, IP_PROTO: 22 } as const;
const FR_ACT_TO_TBL = 1;
const RTPROT_STATIC = 4;
const RT_SCOPE_HOST = 254;
const RTN_LOCAL = 2;
/** lo is the first device of every network namespace. */
const LOOPBACK = 1;
const WHOLE_MARK = 0xffffffff;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

/** Which packets are routed by the table. */
export interface PolicyRule {
  family: 4 | 6;
  /** Incoming device; `lo` for packets of this namespace itself. */
  from: string;
  mark: number;
  /** Only ICMP messages from this address. */
  refusalsOf?: string;
  table: number;
  priority: number;
}

/** Every method throws NetlinkError. */
export class PolicyRouting implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  /** Does nothing if the rule exists. */
  addRule(rule: PolicyRule): void {
    const flags = NLM_F.CREATE | NLM_F.EXCL;
    this.#socket.send({ ...ruleMessage(RTM.NEWRULE, rule, 'add'), flags, accept: ['EEXIST'] });
  }

  /** Does nothing if it does not exist. */
  deleteRule(rule: PolicyRule): void {
    this.#socket.send({ ...ruleMessage(RTM.DELRULE, rule, 'remove'), accept: ['ENOENT', 'ESRCH'] });
  }

  /** Makes every address local for packets that are routed by the table. Does nothing if the route exists. */
  addLocalRoute(family: 4 | 6, table: number): void {
    const flags = NLM_F.CREATE | NLM_F.EXCL;
    this.#socket.send({ ...routeMessage(RTM.NEWROUTE, family, table, 'add'), flags, accept: ['EEXIST'] });
  }

  /** Does nothing if it does not exist. */
  deleteLocalRoute(family: 4 | 6, table: number): void {
    this.#socket.send({ ...routeMessage(RTM.DELROUTE, family, table, 'remove'), accept: ['ESRCH', 'ENOENT'] });
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function ruleMessage(
  type: number,
  { family, from, mark, table, priority, refusalsOf }: PolicyRule,
  verb: string,
): Message {
  // struct fib_rule_hdr
  const header = Buffer.alloc(12);
  header[0] = family === 4 ? AF_INET : AF_INET6;
  header[7] = FR_ACT_TO_TBL;
  const source = refusalsOf === undefined ? undefined : ipBytes(refusalsOf);
  if (source) header[2] = 8 * source.length;
  const protocol = Buffer.of(family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  return {
    type,
    payload: Buffer.concat([
      header,
      attribute(FRA.TABLE, table),
      attribute(FRA.PRIORITY, priority),
      attribute(FRA.IIFNAME, from),
      attribute(FRA.FWMARK, mark),
      attribute(FRA.FWMASK, WHOLE_MARK),
      ...(source ? [attribute(FRA.SRC, source), attribute(FRA.IP_PROTO, protocol)] : []),
    ]),
    what: `${verb} the rule for answers from ${from}`,
  };
}

function routeMessage(type: number, family: 4 | 6, table: number, verb: string): Message {
  // struct rtmsg; tables above 255 are in the attribute only.
  const header = Buffer.concat([
    Buffer.from([family === 4 ? AF_INET : AF_INET6, 0, 0, 0]),
    Buffer.from([0, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL]),
    u32(0),
  ]);
  return {
    type,
    payload: Buffer.concat([header, attribute(RTA.OIF, LOOPBACK), attribute(RTA.TABLE, table)]),
    what: `${verb} the route for answers to clients`,
  };
}
