// A server that sends of its own accord, from the port that it serves, and those whom it sends to.
import assert from 'node:assert/strict';
import { binPath, pythonProgram } from '../paths.js';
import { tempDir } from '../temp-dir.js';
import { waitFor } from '../wait-for.js';
import type { Machine } from './peers.js';
import { udpAsk } from './traffic.js';

/**
 * python3 -c INITIATOR HOST PORT serves both protocols, and prints `ready`. Over UDP it echoes datagrams, except orders:
 *
 *   send udp|tcp HOST PORT TEXT   sends the text from its own port; answers `sent`, or with what went wrong
 *   stray                         answers with what has come back to it of that, and from whom
 *   who                           answers with who asks: address and port
 *
 * Over TCP it sends who asks, and closes.
 */
const INITIATOR = pythonProgram('traffic/initiator');

/** Of INITIATOR; `host` is where it listens. */
export const initiator = (host: string, port: number) => ['python3', '-c', INITIATOR, host, String(port)];

/** The same for a container, whose first process has to end on SIGTERM of its own accord. */
export const containedInitiator = (host: string, port: number) => [
  'sh',
  '-c',
  'trap "exit 0" TERM; "$@" & wait $!',
  'sh',
  ...initiator(host, port),
];

const LISTENER = pythonProgram('traffic/initiator-listener');

/** Gives an order to an initiator, through a UDP port that leads to it; as a client on loopback, whom it sees as the agent. */
export const order = async (control: number, text: string) => (await udpAsk('127.0.0.1', control, text)).toString();

/** Has an initiator send until it arrives, since it is unknown when the other side listens. */
export async function arrives(
  control: number,
  kind: 'udp' | 'tcp',
  { machine, host, port }: { machine: Machine; host: string; port: number },
): Promise<void> {
  const text = `${kind}-to-${port}`;
  let done = false;
  const arrived = arrival(machine, kind, host, port).finally(() => {
    done = true;
  });
  const sendAgain = async () => {
    if (!done) await order(control, `send ${kind} ${host} ${port} ${text}`);
    return done;
  };
  await waitFor(sendAgain, { what: `${text} to arrive`, timeout: 15_000 });
  assert.equal(await arrived, text);
}

/** The first text that arrives there; `silence` after ten seconds. */
const arrival = (machine: Machine, kind: 'udp' | 'tcp', host: string, port: number): Promise<string> =>
  machine(['python3', '-c', LISTENER, kind, host, String(port)]);

const PEER = pythonProgram('traffic/initiator-peer');

/**
 * A stack on another machine, with one published UDP port, whose server asks the same port of this one's `host` until it has
 * an answer, and ends when it has received something else, too.
 */
export function startPeer(machine: Machine, port: number, host: string): { report: Promise<string>; ended: boolean } {
  const stateDir = `${tempDir()}/peer`;
  const stack = [binPath('rootless-run'), '--net=slirp4netns', `--state-dir=${stateDir}`];
  const publish = ['-p', `0.0.0.0:${port}:${port}/udp`];
  const peer = {
    ended: false,
    report: machine([...stack, ...publish, '--', 'python3', '-c', PEER, String(port), host]).finally(() => {
      peer.ended = true;
    }),
  };
  return peer;
}
