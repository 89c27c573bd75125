// Servers that answer with whom they see, on many ports and families at once, and clients that compare that with what they are.

import { pythonProgram } from '../paths.js';

const SEERS = pythonProgram('traffic/peer-seers');

/**
 * A container's command, which ends on SIGTERM: serves TCP and UDP on each of these ports, and answers with whom it sees. A spec is
 * `4:PORT`, `6:PORT` or `46:PORT`, for the families that are served, or a range of ports. It makes /tmp/ready when it listens.
 */
export const seers = (...specs: string[]) => [
  'sh',
  '-c',
  'rm -f /tmp/ready; trap "exit 0" TERM; ulimit -n "$(ulimit -Hn)"; "$@" & wait $!',
  'sh',
  ...['python3', '-c', SEERS, ...specs],
];

const ASKERS = pythonProgram('traffic/peer-askers');

/** What clients got from servers that answer with whom they see. */
export interface Asked {
  answered: number;
  /** Some of those that were seen as others: protocol, port, whom the server saw, and who it was. */
  wrong: [kind: string, port: number, seen: string, own: string][];
  wrongs: number;
}

/** A program that asks each of `count` ports until it answers, or so many seconds are over, and prints what came as `Asked`. */
export const askers = (host: string, first: number, count: number, seconds: number, kinds = 'tcp') => [
  ...['python3', '-c', ASKERS, host, String(first), String(count), String(seconds), kinds],
];
