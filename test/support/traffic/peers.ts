// The two ends of a conversation, step by step, as python3 carries it out: sockets as the kernel has them, where Node
// takes a reset that comes with data for an end (libuv, uv__stream_io). Clients may be on another machine.
import { connect } from 'node:net';
import { pythonProgram } from '../paths.js';
import { run } from '../run.js';
import type { RunningStack } from '../stacks/stack.js';
import { waitFor } from '../wait-for.js';

/**
 *   send TEXT    fill (until no more goes)   receive COUNT (bytes, in all)   drain (to the end, or an error)
 *   end (one's own side)   reset   await (that there is something to read)   close (with whatever was not read)
 *   hang (read nothing until it breaks)
 */
export type Step =
  | ['send', string]
  | ['receive', number]
  | ['fill' | 'drain' | 'end' | 'reset' | 'await' | 'close' | 'hang'];

/** How it went, from one end. */
export interface End {
  /** What came, where it is short. */
  data: string;
  length: number;
  /** The other side ended its side in order. */
  ended: boolean;
  /** Such as ECONNRESET; `silence` after ten seconds; null where all went well. */
  error: string | null;
  /** Address and port of both ends. */
  own: string;
  peer: string;
}

const PEERS = pythonProgram('traffic/peers');

const command = (mode: string, words: unknown) => ['python3', '-c', PEERS, mode, JSON.stringify(words)];

/** Runs a program to its end, and resolves to its output. */
export type Machine = (command: readonly string[]) => Promise<string>;

export const here: Machine = async ([program = '', ...args]) => {
  const { stdout, stderr } = await run(program, args);
  return stdout + stderr;
};

const farSocket = process.env.ROOTLESS_NET_TEST_FAR;

/** Behind a cable (see ../setup/far-machine.ts); undefined where the tests do not run as root. */
export const there: Machine | undefined = farSocket
  ? (words) =>
      new Promise((resolve, reject) => {
        let text = '';
        const socket = connect({ path: farSocket, allowHalfOpen: true }).setEncoding('utf8');
        socket.once('error', reject).write(`${JSON.stringify(words)}\n`);
        socket.on('data', (chunk) => {
          text += chunk;
        });
        socket.once('end', () => {
          socket.end();
          resolve(text.replace(/^pid \d+\n/, ''));
        });
      })
  : undefined;

export interface Asking {
  host: string;
  port: number;
  /** The client's own address and port; the kernel's choice by default. */
  from?: string;
  fromPort?: number;
}

export interface Conversation extends Asking {
  steps: readonly Step[];
}

/** One after the other; never rejects because of how they go. */
export async function converse(machine: Machine, ...conversations: Conversation[]): Promise<End[]> {
  return JSON.parse(await machine(command('talk', conversations)));
}

/** Clients of UDP with connected sockets, all at once: each sends the number of the round, and waits for an answer. */
export async function askAll(
  machine: Machine,
  clients: readonly Asking[],
  rounds = 1,
): Promise<{ own: string; answers: string[] }[]> {
  return JSON.parse(await machine(command('ask', { clients, rounds })));
}

export interface PeerServer extends AsyncDisposable {
  /** How the next connection went that has come to its end. */
  next(): Promise<End>;
}

/** A server inside that goes through these steps with each client. */
export async function servePeers(
  stack: RunningStack,
  host: string,
  port: number,
  steps: readonly Step[],
): Promise<PeerServer> {
  const started = await stack.inside(command('serve', { host, port, steps }), { output: /^ready$/m });
  let taken = 0;
  const lines = () =>
    started
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'));
  return {
    async next() {
      const line = await waitFor(() => lines()[taken], { what: 'the end of a connection', timeout: 15_000 });
      taken++;
      return JSON.parse(line) as End;
    },
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}
