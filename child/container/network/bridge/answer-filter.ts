/**
 * Marks the replies of containers on connections whose socket has the client's address (see
 * child/source-address/source-addresses.ts): packets that belong to a socket bound to a foreign address (nft(8), `socket
 * transparent`). So only packets of open connections and flows are marked, ICMP errors included, and the kernel keeps track
 * of them.
 */
import { ANSWER_MARKS } from '../../../source-address/answer-marks.js';
import { hasRulesOf, listTable, nftTransaction } from './firewall.js';

const TABLE = 'inet rootless_net_answers';
const MARK = `0x${ANSWER_MARKS.container.toString(16)}`;

export class AnswerFilter {
  /** Bridges in the set, or about to be added. */
  readonly #bridges = new Map<string, Promise<unknown>>();

  /** Marks packets from that device from now on. Throws ProgramError. */
  async mark(device: string): Promise<void> {
    const pending = this.#bridges.get(device) ?? nftTransaction(rulesetFor(device));
    this.#bridges.set(device, pending);
    try {
      await pending;
    } catch (error) {
      this.#bridges.delete(device);
      throw error;
    }
  }

  /** Whether rules or elements have been removed by another program. */
  async isDamaged(): Promise<boolean> {
    if (this.#bridges.size === 0) return false;
    const items = await listTable(TABLE);
    const present = items.flatMap(({ set }) => set?.elem ?? []);
    return !hasRulesOf(rulesetFor(''), items) || [...this.#bridges.keys()].some((device) => !present.includes(device));
  }

  /** Throws ProgramError. */
  async restore(): Promise<void> {
    const devices = [...this.#bridges.keys()];
    this.#bridges.clear();
    for (const device of devices) await this.mark(device);
  }
}

function rulesetFor(device: string): string {
  return `
add table ${TABLE}
add set ${TABLE} bridges { type ifname; }
add chain ${TABLE} prerouting { type filter hook prerouting priority mangle; policy accept; }
flush chain ${TABLE} prerouting
add rule ${TABLE} prerouting iifname @bridges meta l4proto { tcp, udp, icmp, icmpv6 } socket transparent 1 meta mark set ${MARK}
add element ${TABLE} bridges { "${device}" }
`;
}
