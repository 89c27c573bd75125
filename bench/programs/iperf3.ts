// iperf3: command lines and parser.
import type { Program } from '../measure/traffic.js';
import type { Figure } from '../model.js';

/** iperf3 with one stream. */
export function iperf3(...extra: readonly string[]): Program {
  return {
    programs: ['iperf3'],
    server: (port) => ['iperf3', '--server', '--port', String(port), '--forceflush'],
    ready: /Server listening/,
    // To iperf3 a part of a second is 0, and that is for ever.
    client: (address, port, seconds) => [
      ...[
        'iperf3',
        '--client',
        address,
        '--port',
        String(port),
        '--time',
        String(Math.ceil(seconds)),
        '--json',
        ...extra,
      ],
    ],
    parse: parseIperf3,
  };
}

/** The fields of `iperf3 --json` that we use. */
interface Iperf3Output {
  error?: string;
  end?: {
    sum_received?: { bits_per_second?: number; bytes?: number };
    sender_tcp_congestion?: string;
    receiver_tcp_congestion?: string;
  };
}

/** @throws {Error} with iperf3's own message if it failed */
export function parseIperf3(output: string): Figure {
  const { error, end } = JSON.parse(output) as Iperf3Output;
  const { bits_per_second: bits, bytes = 0 } = end?.sum_received ?? {};
  if (error !== undefined || bits === undefined) throw new Error(`iperf3: ${error ?? 'no result'}`);
  return {
    values: { rate: bits / 1e9 },
    details: {
      bytes,
      senderCongestion: end?.sender_tcp_congestion ?? 'unknown',
      receiverCongestion: end?.receiver_tcp_congestion ?? 'unknown',
    },
  };
}
