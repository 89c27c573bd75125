/** Reports of what the egress policy denies: an event for each, and lines of the log at a limited rate. */
import type { EgressDenied } from '../../protocol/api/types.js';
import type { EgressDeniedEvent } from '../engine/engine-host.js';

const PROTOCOLS: Readonly<Record<number, EgressDenied['protocol']>> = { 0: 'dns', 1: 'icmp', 6: 'tcp', 17: 'udp' };

/**
 * @param rule of the event's number, as a line of an egress file; undefined for the default
 * @param container name of the one that the client's address is of; undefined for none, and for those without a policy
 */
export function denialOf(
  { protocol, client, destination, reason }: Omit<EgressDeniedEvent, 'policy' | 'rule'>,
  rule?: string,
  container?: string,
): EgressDenied {
  return {
    type: 'egress-denied',
    protocol: PROTOCOLS[protocol] ?? 'tcp',
    client,
    destination,
    reason,
    ...(rule !== undefined && { rule }),
    ...(container !== undefined && { container }),
  };
}

/** A line of the log; the same for each attempt of the same kind. */
export function denialText({ protocol, destination, reason, rule, container }: EgressDenied): string {
  const what = protocol === 'dns' ? `the name ${destination}` : `${protocol} to ${destination}`;
  const whose = container === undefined ? '' : `container ${container}: `;
  return `egress denied: ${whose}${what}: ${rule === undefined ? reason : `rule "${rule}"`}`;
}

/** Programs try again: a line is logged once in that time, in ms. */
const REPEAT_MS = 60_000;
/** Lines that are remembered. */
const MAX_LINES = 1000;

/** Logs denials, each kind once a minute. */
export class DenialLog {
  readonly #logged = new Map<string, number>();

  constructor(
    private readonly write: (line: string) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  log(denial: EgressDenied): void {
    const line = denialText(denial);
    const now = this.now();
    const last = this.#logged.get(line);
    if (last !== undefined && now - last < REPEAT_MS) return;
    this.#logged.delete(line);
    this.#logged.set(line, now);
    for (const oldest of this.#logged.keys()) {
      if (this.#logged.size <= MAX_LINES) break;
      this.#logged.delete(oldest);
    }
    this.write(line);
  }
}
