import { connect } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type {
  AttachmentRequest,
  ContainerReport,
  ContainerRequest,
  ExecRequest,
  GarbageReport,
  NetworkReport,
  NetworkRequest,
  StreamControl,
  TerminalSize,
} from '../../protocol/containers.js';
import { STREAM } from '../../protocol/containers.js';
import { APIError, StackClient, StackUnreachableError } from './client.js';

/** A request without what has a default; one of rootfs and bundle is needed. */
export type NewContainer = Partial<ContainerRequest>;
/** What is to be done when a container's streams are followed. */
export interface AttachOptions {
  /** Starts it first. */
  start?: boolean;
  /** Gives what it wrote before. */
  logs?: boolean;
  /** Goes on until it ends; else there is only what is there. */
  follow?: boolean;
  /** Of its terminal, when it is started. */
  size?: TerminalSize | undefined;
}
export type NewNetwork = Partial<NetworkRequest> & { name: string };

/**
 * Client of a stack's containers and networks. Names may be names, ids, or the beginnings of ids.
 * Every method throws StackUnreachableError, and APIError with status 404 for what there is not.
 */
export class ContainerClient {
  readonly #stack: StackClient;

  /** @param socketPath path of api.sock in the stack's state directory */
  constructor(readonly socketPath: string) {
    this.#stack = new StackClient(socketPath);
  }

  async list(): Promise<ContainerReport[]> {
    return (await this.#stack.call('GET', '/v1/containers')) as ContainerReport[];
  }

  async inspect(name: string): Promise<ContainerReport> {
    return (await this.#stack.call('GET', path('containers', name))) as ContainerReport;
  }

  async create(request: NewContainer): Promise<ContainerReport> {
    return (await this.#stack.call('POST', '/v1/containers', request)) as ContainerReport;
  }

  /** Resolves when its process runs, with its network set up and its ports published. */
  async start(name: string): Promise<ContainerReport> {
    return (await this.#stack.call('POST', path('containers', name, 'start'))) as ContainerReport;
  }

  /** Resolves when it has ended; it is killed after so many seconds. Nothing happens where it does not run. */
  async stop(name: string, timeout?: number): Promise<void> {
    await this.#stack.call('POST', path('containers', name, 'stop') + seconds(timeout));
  }

  async restart(name: string, timeout?: number): Promise<ContainerReport> {
    return (await this.#stack.call('POST', path('containers', name, 'restart') + seconds(timeout))) as ContainerReport;
  }

  async kill(name: string, signal = 'KILL'): Promise<void> {
    await this.#stack.call('POST', `${path('containers', name, 'kill')}?signal=${encodeURIComponent(signal)}`);
  }

  async remove(name: string, { force = false } = {}): Promise<void> {
    await this.#stack.call('DELETE', `${path('containers', name)}${force ? '?force=true' : ''}`);
  }

  async rename(name: string, to: string): Promise<void> {
    await this.#stack.call('POST', `${path('containers', name, 'rename')}?name=${encodeURIComponent(to)}`);
  }

  /** Resolves when it does not run, with its exit code; null where nobody saw it end. */
  async wait(name: string): Promise<number | null> {
    const { exitCode } = (await this.#stack.call('POST', path('containers', name, 'wait'))) as {
      exitCode: number | null;
    };
    return exitCode;
  }

  async networks(): Promise<NetworkReport[]> {
    return (await this.#stack.call('GET', '/v1/networks')) as NetworkReport[];
  }

  async inspectNetwork(name: string): Promise<NetworkReport> {
    return (await this.#stack.call('GET', path('networks', name))) as NetworkReport;
  }

  async createNetwork(request: NewNetwork): Promise<NetworkReport> {
    return (await this.#stack.call('POST', '/v1/networks', request)) as NetworkReport;
  }

  async removeNetwork(name: string): Promise<void> {
    await this.#stack.call('DELETE', path('networks', name));
  }

  /** Removes all that no container refers to; resolves with their names. */
  async pruneNetworks(): Promise<string[]> {
    return ((await this.#stack.call('POST', '/v1/networks/prune')) as { removed: string[] }).removed;
  }

  /** Resolves with what is not as it should be, a line each. */
  async checkNetwork(name: string): Promise<string[]> {
    return ((await this.#stack.call('POST', path('networks', name, 'check'))) as { problems: string[] }).problems;
  }

  async connect(network: string, container: string, request: Omit<AttachmentRequest, 'network'> = {}): Promise<void> {
    await this.#stack.call(
      'POST',
      `${path('networks', network, 'connect')}?container=${encodeURIComponent(container)}`,
      request,
    );
  }

  async disconnect(network: string, container: string): Promise<void> {
    await this.#stack.call(
      'POST',
      `${path('networks', network, 'disconnect')}?container=${encodeURIComponent(container)}`,
    );
  }

  /** Differences between what should be and what is; they are repaired only if told. */
  async gc({ repair = false } = {}): Promise<GarbageReport[]> {
    return (await this.#stack.call('POST', `/v1/gc?repair=${repair}`)) as GarbageReport[];
  }

  /** Follows a container's streams until it ends; with `start` it is started first. */
  attach(name: string, options: AttachOptions = {}): Promise<ContainerStream> {
    const { start = false, logs = false, follow = true, size } = options;
    const sized = size === undefined ? '' : `&columns=${size.columns}&rows=${size.rows}`;
    return ContainerStream.open(
      this.socketPath,
      `${path('containers', name, 'attach')}?start=${start}&logs=${logs}&follow=${follow}${sized}`,
    );
  }

  /** Runs one more program in a container. */
  exec(name: string, request: Partial<ExecRequest> & { command: string[] }): Promise<ContainerStream> {
    const query = encodeURIComponent(JSON.stringify(request));
    return ContainerStream.open(this.socketPath, `${path('containers', name, 'exec')}?request=${query}`);
  }
}

/** The streams of a container, or of a program in one; see child/container/streams.ts for what is said on the wire. */
export class ContainerStream {
  /** The exit code. Rejects with APIError where the program could not be started, or the stream was cut off. */
  readonly exit: Promise<number>;
  onData: (stream: 'stdout' | 'stderr', data: Buffer) => void = () => {};
  #early: [stream: 'stdout' | 'stderr', data: Buffer][] | undefined = [];

  private constructor(private readonly socket: WebSocket) {
    this.exit = new Promise((resolve, reject) => {
      socket.on('message', (data: RawData, isBinary: boolean) => {
        if (isBinary) return this.#data(data as Buffer);
        const message = JSON.parse(data.toString()) as StreamControl;
        if (message.type === 'exit') resolve(message.code);
        if (message.type === 'error') reject(new APIError(400, message.message));
      });
      socket.once('close', () =>
        reject(new APIError(500, 'the stream was cut off: the stack has ended, or its agent was lost')),
      );
    });
    this.exit.catch(() => {});
  }

  /** Throws StackUnreachableError and APIError. */
  static async open(socketPath: string, url: string): Promise<ContainerStream> {
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(`ws://stack${url}`, {
      createConnection: () => connect(socketPath),
      perMessageDeflate: false,
    });
    const stream = new ContainerStream(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('unexpected-response', (_request, response) => {
        reject(
          new APIError(
            response.statusCode ?? 0,
            'this stack runs no containers; start one that does with: rootless-run serve',
          ),
        );
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        reject(new StackUnreachableError(socketPath, error.code ?? error.message, { cause: error }));
      });
    });
    socket.on('error', () => {});
    return stream;
  }

  /** Gives what comes from now on, and what has come before, to the listener. */
  listen(listener: (stream: 'stdout' | 'stderr', data: Buffer) => void): void {
    this.onData = listener;
    for (const [stream, data] of this.#early ?? []) listener(stream, data);
    this.#early = undefined;
  }

  /** Resolves when more can be written, also where nobody reads it any more. */
  write(data: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.socket.send(Buffer.concat([Buffer.from([STREAM.stdin]), data]), () => resolve());
    });
  }

  /** Nothing comes before resume(), but what is here already. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  control(message: StreamControl): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(JSON.stringify(message));
  }

  close(): void {
    this.socket.terminate();
  }

  #data(frame: Buffer): void {
    const stream = frame[0] === STREAM.stderr ? 'stderr' : 'stdout';
    const data = frame.subarray(1);
    if (this.#early) this.#early.push([stream, data]);
    else this.onData(stream, data);
  }
}

/** Throws APIError for what is no name: as a part of a URL `..` would lead elsewhere. */
function path(kind: 'containers' | 'networks', name: string, ...more: string[]): string {
  if (!/^[a-zA-Z0-9]/.test(name)) throw new APIError(404, `no such ${kind.slice(0, -1)}: ${name}`);
  return `/v1/${[kind, name, ...more].map(encodeURIComponent).join('/')}`;
}

function seconds(timeout: number | undefined): string {
  return timeout === undefined ? '' : `?timeout=${timeout}`;
}
