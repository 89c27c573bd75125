import type { Figure } from '../model.js';
import type { Program } from '../traffic.js';

/** One stream for as long as told. */
export function iperf3(...extra: readonly string[]): Program {
  return {
    programs: ['iperf3'],
    server: (port) => ['iperf3', '--server', '--port', String(port), '--forceflush'],
    ready: /Server listening/,
    client: (address, port, seconds) => [
      ...['iperf3', '--client', address, '--port', String(port), '--time', String(seconds), '--json', ...extra],
    ],
    parse: parseIperf3,
  };
}

/** The members that we use of what `iperf3 --json` prints. */
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
