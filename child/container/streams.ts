/**
 * A container's standard streams for a client, over a WebSocket.
 *
 * Theory of operation. Binary frames are data: their first byte says of which stream (STREAM in protocol/containers.ts).
 * Text frames are JSON, see StreamControl there. The agent ends with `exit` and the exit code, or with `error`, and closes.
 * What a container without a terminal writes goes to files, whoever reads them; here they are followed. Nothing is lost
 * when a client goes away, and the container does not notice. No more is read than the other side takes, either way: logs
 * and inputs can be larger than our memory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { RawData, WebSocket } from 'ws';
import { type ExecRequest, STREAM, type StreamControl, type TerminalSize } from '../../protocol/containers.js';
import { errorText } from '../../protocol/error-text.js';
import type { Containers } from './containers.js';
import { ConflictError } from './errors.js';
import { mergeEnv } from './oci-spec.js';
import { PROGRAM_PATH } from './run-program.js';
import { remove } from './state-files.js';
import { Terminal } from './terminal.js';

/** Where a client's input and controls go. */
interface Sink {
  /** A promise where more is not to come before it resolves. */
  write(data: Buffer): Promise<void> | undefined;
  end(): void;
  resize(columns: number, rows: number): void;
  signal(name: string): void;
}

/** How long clients may take at the end of the stack until they have heard the last, in ms. */
const END_TIMEOUT = 2_000;

export class Streams {
  readonly #clients = new Set<Client>();

  constructor(private readonly containers: Containers) {}

  /** Resolves when the clients have heard how it ended; the containers have. */
  async end(): Promise<void> {
    const limit = new AbortController();
    const closed = Promise.all([...this.#clients].map((client) => client.closed));
    await Promise.race([closed, delay(END_TIMEOUT, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
  }

  /**
   * Follows a container until it ends; with `start` starts it first. With `logs` gives what it wrote before, and with
   * `follow` false only that.
   */
  async attach(
    socket: WebSocket,
    text: string,
    options: { start: boolean; logs: boolean; follow: boolean; size: TerminalSize | undefined },
  ): Promise<void> {
    const client = this.#clientOf(socket);
    const record = this.containers.records.find(text);
    const { id, request } = record;
    if (request.tty && !options.start && !options.logs && !this.containers.terminal(id)) {
      throw new ConflictError(`the container ${record.name} is not running`);
    }
    const { stdout, stderr } = this.containers.logFiles(id);
    await using out = await Tail.open(stdout, options.logs, (data) => client.data(STREAM.stdout, data));
    await using err = await Tail.open(stderr, options.logs, (data) => client.data(STREAM.stderr, data));
    let followed = false;
    const follow = () => {
      if (followed) return;
      followed = true;
      const terminal = this.containers.terminal(id);
      if (terminal) {
        const stop = terminal.listen((data) => void client.data(STREAM.stdout, Buffer.from(data)));
        socket.on('close', stop);
        client.pass(terminalSink(terminal));
        return;
      }
      const stdin = this.containers.stdin(id);
      client.pass({
        write: (data) => written(stdin, data),
        end: () => stdin?.end(),
        resize: () => {},
        signal: (name) => void this.containers.kill(id, name as NodeJS.Signals).catch(() => {}),
      });
    };
    if (options.follow) {
      let giveUp = () => {};
      const ended = new Promise<number | undefined>((resolve) => {
        giveUp = this.containers.onceEnded(id, resolve);
      });
      void client.closed.then(giveUp);
      if (options.start) await this.containers.start(id, { beforeRun: follow, size: options.size });
      // Where it was not to be started, or ran already.
      follow();
      client.control({ type: 'started' });
      out.follow();
      err.follow();
      const running = this.containers.records.run(id)?.status === 'running' || options.start;
      const code = running ? await Promise.race([ended, client.closed]) : this.containers.records.run(id)?.exitCode;
      await out.rest();
      await err.rest();
      // Its name and its addresses are free for whoever hears of the end.
      if (request.autoRemove) await this.containers.settled(id);
      client.end({ type: 'exit', code: code ?? UNKNOWN_CODE });
      return;
    }
    await out.rest();
    await err.rest();
    client.end({ type: 'exit', code: 0 });
  }

  /** Runs one more program in a container to its end. */
  async exec(socket: WebSocket, text: string, request: ExecRequest): Promise<void> {
    // First of all: what comes before is lost.
    const client = this.#clientOf(socket);
    const record = this.containers.records.find(text);
    const report = await this.containers.report(record);
    if (report.status !== 'running')
      throw new ConflictError(`the container ${record.name} is not running; start it first`);
    const runtime = this.containers.runtimeOf(record);
    // As for the container's own program, where it has a terminal.
    const term = request.tty && !request.env.some((text) => text.startsWith('TERM=')) ? ['TERM=xterm'] : [];
    const added = [...term, ...request.env];
    // crun takes what is given here for all that there is.
    const env = added.length > 0 ? mergeEnv(await this.containers.environmentOf(record.id), added) : [];
    const asked = { ...request, env };
    if (request.tty) {
      const pidFile = this.containers.execPidFile(record.id);
      const words = runtime.execCommand(record.id, asked, request.command, pidFile);
      const terminal = await Terminal.open(words, request.size);
      // What the runtime says where it fails is shown in the terminal.
      void terminal
        .pidOf(pidFile, (said) => runtime.failure('exec', record.id, said))
        .catch(() => {})
        .finally(() => remove(pidFile));
      socket.on('close', () => terminal.end());
      terminal.listen((data) => void client.data(STREAM.stdout, Buffer.from(data)));
      client.pass(terminalSink(terminal));
      client.control({ type: 'started' });
      const code = await new Promise<number>((resolve) => terminal.onExit(resolve));
      client.end({ type: 'exit', code });
      return;
    }
    const [program = '', ...args] = runtime.execCommand(record.id, asked, request.command);
    const child = spawn(program, args, {
      stdio: [request.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: PROGRAM_PATH },
    });
    socket.on('close', () => child.kill());
    child.stdin?.on('error', () => {});
    client.pass({
      write: (data) => written(child.stdin, data),
      end: () => child.stdin?.end(),
      resize: () => {},
      signal: (name) => child.kill(name as NodeJS.Signals),
    });
    client.control({ type: 'started' });
    const outputs = [client.passOn(STREAM.stdout, child.stdout), client.passOn(STREAM.stderr, child.stderr)];
    const [code] = await Promise.all([endOf(child), ...outputs]);
    client.end({ type: 'exit', code });
  }

  #clientOf(socket: WebSocket): Client {
    const client = new Client(socket);
    this.#clients.add(client);
    void client.closed.then(() => this.#clients.delete(client));
    return client;
  }
}

/** What is said of a container whose end nobody saw. */
const UNKNOWN_CODE = 255;

function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal ? 128 : 1)));
  });
}

/** A promise where the stream has enough for now. */
function written(stream: Writable | null | undefined, data: Buffer): Promise<void> | undefined {
  if (!stream || stream.destroyed || stream.write(data)) return undefined;
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
}

function terminalSink(terminal: Terminal): Sink {
  return {
    write: (data) => {
      terminal.write(data);
      return undefined;
    },
    // As a terminal's end of file is typed.
    end: () => terminal.write('\x04'),
    resize: (columns, rows) => terminal.resize(columns, rows),
    signal: () => {},
  };
}

/** The client's end of a stream. What it sends before anybody takes it is kept. */
class Client {
  readonly closed: Promise<undefined>;
  #sink: Sink | undefined;
  readonly #early: (() => void)[] = [];

  constructor(private readonly socket: WebSocket) {
    this.closed = new Promise((resolve) => socket.once('close', () => resolve(undefined)));
    socket.on('message', (data: RawData, isBinary: boolean) => {
      const handle = () => (isBinary ? this.#input(data as Buffer) : this.#controlled(data.toString()));
      if (this.#sink) handle();
      else this.#early.push(handle);
    });
  }

  pass(sink: Sink): void {
    this.#sink = sink;
    for (const handle of this.#early.splice(0)) handle();
  }

  /** Resolves when the client is ready for more, with whether it is still there. */
  data(stream: number, data: Buffer): Promise<boolean> {
    return new Promise((resolve) => {
      this.socket.send(Buffer.concat([Buffer.from([stream]), data]), (error) => resolve(!error));
    });
  }

  /** All that comes out of a pipe. */
  async passOn(stream: number, from: Readable | null): Promise<void> {
    try {
      for await (const data of from ?? []) await this.data(stream, data as Buffer);
    } catch {
      // The program ended before its time, as its exit code says.
    }
  }

  control(message: StreamControl): void {
    this.socket.send(JSON.stringify(message));
  }

  end(message: StreamControl): void {
    this.control(message);
    this.socket.close();
  }

  #input(data: Buffer): void {
    if (data[0] !== STREAM.stdin) return;
    const full = this.#sink?.write(data.subarray(1));
    if (!full) return;
    this.socket.pause();
    void full.then(() => this.socket.resume());
  }

  #controlled(text: string): void {
    try {
      const message = JSON.parse(text) as StreamControl;
      if (message.type === 'resize') this.#sink?.resize(Number(message.columns), Number(message.rows));
      if (message.type === 'stdin-end') this.#sink?.end();
      if (message.type === 'signal') this.#sink?.signal(String(message.signal));
    } catch (error) {
      const message = error instanceof SyntaxError ? 'a text frame came that is not JSON' : errorText(error);
      this.end({ type: 'error', message });
    }
  }
}

/** A file that grows, and what is new in it. */
class Tail implements AsyncDisposable {
  #offset = 0;
  #watcher: ReturnType<typeof watch> | undefined;
  #reading: Promise<void> = Promise.resolve();
  /** Of readings one that has not begun. */
  #next: Promise<void> | undefined;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    /** Resolves with whether there is to be more. */
    private readonly onData: (data: Buffer) => Promise<boolean>,
  ) {}

  /** From its beginning, or from what is there now. */
  static async open(path: string, fromBeginning: boolean, onData: (data: Buffer) => Promise<boolean>): Promise<Tail> {
    const file = await open(path, 'a+', 0o600);
    const tail = new Tail(path, file, onData);
    if (!fromBeginning) tail.#offset = (await file.stat()).size;
    return tail;
  }

  follow(): void {
    try {
      this.#watcher = watch(this.path, () => void this.rest());
    } catch {
      // The container has ended and was removed; what it wrote is still to be read.
    }
    void this.rest();
  }

  /** Resolves when all that is there now has been given out. */
  rest(): Promise<void> {
    this.#next ??= this.#reading
      .then(() => {
        this.#next = undefined;
        return this.#read();
      })
      .catch(() => {});
    this.#reading = this.#next;
    return this.#reading;
  }

  async #read(): Promise<void> {
    const buffer = Buffer.alloc(64 * 1024);
    for (;;) {
      const { bytesRead } = await this.file.read(buffer, 0, buffer.length, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      if (!(await this.onData(Buffer.from(buffer.subarray(0, bytesRead))))) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher?.close();
    await this.#reading;
    await this.file.close();
  }
}

/** Says what went wrong, where a stream could not begin. */
export function refuseStream(socket: WebSocket, error: unknown): void {
  socket.send(JSON.stringify({ type: 'error', message: errorText(error) } satisfies StreamControl));
  socket.close();
}
