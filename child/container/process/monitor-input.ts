/** Connections to the standard input or terminal of a container: frames to its monitor, see native/src/monitor/input.h. */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import type { TerminalSize } from '../../../protocol/containers/types.js';
import { INPUT_SOCKET } from '../oci/runtime.js';

const FRAME = { data: 0, end: 1, size: 2 } as const;

export class MonitorInput {
  private constructor(private readonly socket: Socket) {
    // Once the container has ended, nothing reads its input.
    socket.on('error', () => {});
    socket.resume();
  }

  /** @param directory the monitor's. Throws a system error where no monitor listens there. */
  static async connect(directory: string): Promise<MonitorInput> {
    // The socket's path may be longer than a socket address can hold.
    await using handle = await open(directory, 'r');
    const socket = connect(`/proc/self/fd/${handle.fd}/${INPUT_SOCKET}`);
    await once(socket, 'connect');
    return new MonitorInput(socket);
  }

  get closed(): boolean {
    return this.socket.destroyed;
  }

  /** Returns a promise when the caller must wait before it writes more. */
  write(data: Buffer): Promise<void> | undefined {
    if (this.closed || this.#send(FRAME.data, data)) return undefined;
    return new Promise((resolve) => {
      const done = () => {
        this.socket.off('drain', done).off('close', done);
        resolve();
      };
      this.socket.on('drain', done).on('close', done);
    });
  }

  end(): void {
    this.#send(FRAME.end, Buffer.alloc(0));
  }

  resize({ columns, rows }: TerminalSize): void {
    if (![columns, rows].every((count) => Number.isInteger(count) && count > 0 && count < 65_536)) return;
    const size = Buffer.alloc(4);
    size.writeUInt16BE(columns, 0);
    size.writeUInt16BE(rows, 2);
    this.#send(FRAME.size, size);
  }

  close(): void {
    this.socket.destroy();
  }

  #send(type: number, data: Buffer): boolean {
    if (this.closed) return true;
    const frame = Buffer.alloc(5 + data.length);
    frame.writeUInt8(type, 0);
    frame.writeUInt32BE(data.length, 1);
    data.copy(frame, 5);
    return this.socket.write(frame);
  }
}

/** The connections to containers that run, one each. */
export class MonitorInputs {
  readonly #inputs = new Map<string, Promise<MonitorInput>>();

  /** Undefined if the container has no monitor any more. */
  async get(id: string, directory: string): Promise<MonitorInput | undefined> {
    const connected = await this.#inputs.get(id)?.catch(() => undefined);
    if (connected && !connected.closed) return connected;
    const input = MonitorInput.connect(directory);
    this.#inputs.set(id, input);
    return input.catch(() => undefined);
  }

  close(id: string): void {
    const input = this.#inputs.get(id);
    this.#inputs.delete(id);
    input?.then((connected) => connected.close()).catch(() => {});
  }
}
