/**
 * A container's standard streams for a client, over a WebSocket.
 *
 * Theory of operation. Binary frames are data: their first byte identifies the stream (STREAM in
 * protocol/containers/types.ts). Text frames are JSON, see StreamControl there. The agent ends with `exit` and the exit code,
 * or with `error`, and closes. The monitor writes a container's output to its log, with or without a reader; here the log is
 * followed. Nothing is lost when a client disconnects, and the container is not affected. The container waits for a client
 * that lags by more than the log holds, but not for one that hangs, which gets a notice that output is missing. A client's
 * input is passed to the monitor. In both directions no more is read than the other side accepts: logs and inputs can exceed
 * the memory.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { type ExecRequest, type LogsRequest, STREAM, type TerminalSize } from '../../../protocol/containers/types.js';
import { ConflictError } from '../errors.js';
import type { InputSink } from '../exec/exec-client.js';
import type { ExecRunner } from '../exec/exec-runner.js';
import type { ContainerManager } from '../lifecycle/manager.js';
import { type LogPiece, LogView } from '../log/view.js';
import { LogWatch } from '../log/watch.js';
import type { MonitorInput } from '../process/monitor-input.js';
import type { ContainerRecord } from '../storage/container-store.js';
import { StreamClient } from './stream-client.js';

/** How long clients may take to receive the remaining output at the end of the stack, in ms. */
const END_TIMEOUT = 2_000;

export class ContainerStreams {
  readonly #clients = new Set<StreamClient>();

  constructor(
    private readonly containers: ContainerManager,
    readonly execs: ExecRunner,
  ) {}

  /** Resolves when the clients have received the exit codes; to be called when the containers have ended. */
  async end(): Promise<void> {
    const limit = new AbortController();
    const closed = Promise.all([...this.#clients].map((client) => client.closed));
    await Promise.race([closed, delay(END_TIMEOUT, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
  }

  /**
   * Follows a container until it ends; with `start` starts it first. With `logs` sends its earlier output, and with `follow`
   * false only that. The client of a terminal gets the last output of the terminal.
   */
  async attach(
    socket: WebSocket,
    text: string,
    options: { start: boolean; logs: boolean; follow: boolean; size: TerminalSize | undefined },
  ): Promise<void> {
    const client = this.#clientOf(socket);
    const record = this.containers.store.find(text);
    const { id, request } = record;
    const run = this.containers.store.run(id);
    if (request.tty && !options.start && !options.logs && run?.status !== 'running') {
      throw new ConflictError(`the container ${record.name} is not running`);
    }
    const shown = request.tty && run?.status === 'running' ? { since: run.started, bytes: SHOWN_AGAIN } : undefined;
    const selection = options.logs ? {} : shown;
    await using view = await this.#viewOf(record, selection && { ...selection, follow: options.follow });
    if (!options.follow) return await this.#showAll(client, view);
    let followed = false;
    const follow = async () => {
      if (followed) return;
      followed = true;
      // Its first output could be rotated away before it is read.
      await view.begin();
      const input = await this.containers.input(id);
      client.pass(inputSink(input, request.tty, (signal) => void this.containers.kill(id, signal).catch(() => {})));
      if (options.size) input?.resize(options.size);
    };
    await this.#follow({ client, view, record }, async () => {
      if (options.start) await this.containers.start(id, { beforeRun: follow, size: options.size });
      // Without `start`, or where it was already running.
      await follow();
    });
  }

  /** Sends the selected output of a container. */
  async logs(socket: WebSocket, text: string, { follow, ...selection }: LogsRequest): Promise<void> {
    const client = this.#clientOf(socket);
    const record = this.containers.store.find(text);
    await using view = await this.#viewOf(record, { ...selection, follow });
    const limit = new AbortController();
    const wanted = selection.until === undefined ? undefined : Date.parse(selection.until) - Date.now();
    if (!follow || (wanted !== undefined && wanted <= 0)) return await this.#showAll(client, view);
    const over = wanted !== undefined && delay(Math.min(wanted, MAX_DELAY), undefined, { signal: limit.signal });
    try {
      await this.#follow({ client, view, record }, async () => {}, over || undefined);
    } finally {
      limit.abort();
      if (over) await over.catch(() => {});
    }
  }

  #viewOf({ id, request }: ContainerRecord, selection: Parameters<typeof LogView.open>[2]): Promise<LogView> {
    const path = this.containers.logFile(id);
    const { maxFiles } = request.log;
    return selection ? LogView.open(path, maxFiles, selection) : LogView.openAtEnd(path, maxFiles);
  }

  async #showAll(client: StreamClient, view: LogView): Promise<void> {
    await pour(view, client);
    await send(client, view.last());
    client.end({ type: 'exit', code: 0 });
  }

  /** Sends the output of a container until it ends, the client disconnects, or `over` resolves. */
  async #follow(
    { client, view, record }: { client: StreamClient; view: LogView; record: ContainerRecord },
    begin: () => Promise<void>,
    over?: Promise<void>,
  ): Promise<void> {
    const { id, request } = record;
    using watch = new LogWatch(this.containers.logFile(id));
    let ended = false;
    let code: number | undefined;
    const cancel = this.containers.onceEnded(id, (exitCode) => {
      ended = true;
      code = exitCode;
      watch.notify();
    });
    let left = false;
    const leave = () => {
      left = true;
      watch.notify();
    };
    const release = this.containers.beforeRemoval(id, () => view.hold());
    void client.closed.then(leave);
    over?.then(leave, () => {});
    try {
      await begin();
      client.control({ type: 'started' });
      const run = this.containers.store.run(id);
      if (!ended && run?.status !== 'running') {
        ended = true;
        code = run?.exitCode;
      }
      for (;;) {
        // Everything before the end has been written by then.
        const last = ended || left;
        if (!(await pour(view, client)) || view.past || last) break;
        await watch.next();
      }
      if (ended) await send(client, view.last());
      // When the client learns of the end, the name and the addresses are free.
      if (ended && request.autoRemove) await this.containers.settled(id);
      client.end({ type: 'exit', code: ended ? (code ?? UNKNOWN_CODE) : 0 });
    } finally {
      cancel();
      release();
    }
  }

  /** Runs another program in a container until it exits. */
  async exec(socket: WebSocket, record: ContainerRecord, request: ExecRequest): Promise<void> {
    await this.execs.run(this.#clientOf(socket), record, request);
  }

  #clientOf(socket: WebSocket): StreamClient {
    const client = new StreamClient(socket);
    this.#clients.add(client);
    void client.closed.then(() => this.#clients.delete(client));
    return client;
  }
}

/** Exit code of a container whose end was not observed. */
const UNKNOWN_CODE = 255;
/** Earlier output of a terminal for a client that attaches later, in bytes of the log. */
const SHOWN_AGAIN = 64 * 1024;
/** Maximum delay of a timer, in ms. */
const MAX_DELAY = 2 ** 31 - 1;

/** Sends all available output. Resolves with whether the client is still connected. */
async function pour(view: LogView, client: StreamClient): Promise<boolean> {
  for (let pieces = await view.next(); pieces.length > 0; pieces = await view.next()) {
    if (!(await send(client, pieces))) return false;
  }
  return true;
}

/** Resolves with whether the client is still connected. */
async function send(client: StreamClient, pieces: readonly LogPiece[]): Promise<boolean> {
  for (const { stream, data } of pieces) {
    if (!(await client.data(STREAM[stream], data))) return false;
  }
  return true;
}

function inputSink(input: MonitorInput | undefined, tty: boolean, kill: (signal: number) => void): InputSink {
  return {
    write: (data) => input?.write(data),
    // The character that ends the input of a terminal.
    end: () => (tty ? void input?.write(Buffer.from('\x04')) : input?.end()),
    resize: (columns, rows) => input?.resize({ columns, rows }),
    signal: kill,
  };
}
