/**
 * `GET /v1/programs`, a WebSocket: runs a program in the stack's namespaces, for as long as the client is connected.
 *
 * Theory of operation. The client's first message is the request (request.ts); then messages are those of containers' streams
 * (protocol/containers/types.ts): binary ones have data, and begin with the number of the stream; text is control. The stack
 * sends `started`, then output, and ends with `exit`, or with `error`. Neither side is read while the other does not accept more.
 * A client that goes away ends its program. Clients inside the namespaces are refused before: they can start programs themselves,
 * and are not to start one that the stack owns.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { STREAM, type StreamControl } from '../../../protocol/containers/types.js';
import { signalNumber } from '../../../protocol/system/signals.js';
import { type ProgramSource, pipedProgram } from '../../namespaces/piped-program.js';
import type { NewProgram, StartedProgram } from '../../namespaces/programs.js';
import { answerTo } from '../response.js';
import { parseProgramRequest } from './request.js';

export type StartProgram = (program: NewProgram) => Promise<StartedProgram>;

/** Largest message of a client, in bytes: a command line may have 2 MiB (execve(2)). */
const MAX_MESSAGE = 4 * 1024 * 1024;
/** Output that a client has not received, in bytes, from which on no more is read. */
const MAX_UNSENT = 1024 * 1024;
const SIGTERM = 15;
const SIGKILL = 9;
/** After that many ms a program whose client is gone is killed. */
const FORCE_KILL_DELAY = 5_000;
const SIGNAL_EXIT = 128;

export class ProgramStreams {
  readonly #server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_MESSAGE });

  constructor(
    private readonly start: StartProgram,
    private readonly log: ((line: string) => void) | undefined,
  ) {}

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => {});
      client.once('message', (data: RawData) => void this.#serve(client, data.toString()));
    });
  }

  /** Ends all connections. */
  close(): void {
    for (const client of this.#server.clients) client.terminate();
  }

  async #serve(client: WebSocket, text: string): Promise<void> {
    try {
      const program = pipedProgram(this.start, newProgram(text), ['pipe', 'pipe', 'pipe']);
      program.ended.catch(() => {});
      client.on('message', (data: RawData, isBinary: boolean) => onMessage(client, program, { data, isBinary }));
      client.once('close', () => end(program));
      await program.started;
      send(client, { type: 'started' });
      const copied = [copy(program.stdout, STREAM.stdout, client), copy(program.stderr, STREAM.stderr, client)];
      const result = await program.ended;
      await Promise.all(copied);
      send(client, { type: 'exit', code: 'code' in result ? result.code : SIGNAL_EXIT + result.signal });
    } catch (error) {
      const { status, body } = answerTo(error, this.log);
      send(client, { type: 'error', status, ...body });
    } finally {
      client.close();
    }
  }
}

/** Throws RequestBodyError. */
function newProgram(text: string): Omit<NewProgram, 'fds'> {
  const { env, ...request } = parseProgramRequest(text);
  return {
    ...request,
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value ?? undefined])),
  };
}

function send(client: WebSocket, message: StreamControl): void {
  if (client.readyState === client.OPEN) client.send(JSON.stringify(message));
}

function onMessage(client: WebSocket, program: ProgramSource, message: { data: RawData; isBinary: boolean }): void {
  if (message.isBinary) {
    const data = (message.data as Buffer).subarray(1);
    const { stdin } = program;
    if (!stdin?.writable || stdin.write(data)) return;
    // What has been received already still comes, and is written as well.
    if (client.isPaused) return;
    client.pause();
    const resume = () => {
      stdin.off('drain', resume).off('close', resume);
      client.resume();
    };
    stdin.once('drain', resume).once('close', resume);
    return;
  }
  try {
    const control = JSON.parse(message.data.toString()) as Partial<StreamControl>;
    if (control.type === 'stdin-end') program.stdin?.end();
    if (control.type === 'signal' && 'signal' in control) program.kill(signalNumber(String(control.signal)));
  } catch {
    // No message of this protocol, or an unknown signal: the client learns from the program that it has no effect.
  }
}

/** Resolves when all of it has been sent, or the client is gone. */
async function copy(output: Readable | undefined, stream: number, client: WebSocket): Promise<void> {
  if (!output) return;
  const prefix = Buffer.from([stream]);
  output.on('data', (chunk: Buffer) => {
    if (client.readyState !== client.OPEN) return;
    client.send(Buffer.concat([prefix, chunk]), () => {
      if (client.bufferedAmount <= MAX_UNSENT) output.resume();
    });
    if (client.bufferedAmount > MAX_UNSENT) output.pause();
  });
  await new Promise<void>((resolve) => {
    output.once('close', resolve).once('error', () => resolve());
    client.once('close', () => output.resume());
  });
}

function end(program: ProgramSource): void {
  program.stdin?.destroy();
  program.kill(SIGTERM);
  const timer = setTimeout(() => program.kill(SIGKILL), FORCE_KILL_DELAY).unref();
  const stop = () => clearTimeout(timer);
  program.ended.then(stop, stop);
}
