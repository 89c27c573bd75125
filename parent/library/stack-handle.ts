/** A running stack, as programs use it: one that they have started (namespace.ts), or any other of the user. */
import type { Flow, Info, PortReport } from '../../protocol/api/types.js';
import { ContainerClient } from '../client/container-client.js';
import { StackClient } from '../client/stack-client.js';
import type { ProgramSource } from '../namespaces/piped-program.js';
import { type Abortable, abortable } from './abort.js';
import { Containers } from './containers/containers.js';
import { Networks } from './containers/networks.js';
import { Egress } from './egress.js';
import { ClosedError } from './errors.js';
import { checkFilter, type EventFilter, Events, type EventType } from './events.js';
import { type NewPort, specOf } from './ports/new-port.js';
import { Port } from './ports/port.js';
import { type Program, type RunOptions, runChecks } from './programs/options.js';
import type { RunningProgram } from './programs/program.js';
import { startProgram } from './programs/start.js';

/**
 * A running stack. What was made through a handle (ports, programs) ends when that is closed. Methods reject with errors that
 * have a `code`: APIError with that of the stack, StackUnreachableError where the stack has ended.
 */
export interface StackHandle extends AsyncDisposable {
  /** Path of the API's socket. */
  readonly socketPath: string;
  /** What programs inside may reach. */
  readonly egress: Egress;
  /** Of stacks that run containers, and their networks. */
  readonly containers: Containers;
  readonly networks: Networks;

  /** Versions, state directory, network and port driver. */
  info(options?: Abortable): Promise<Info>;

  /**
   * Publishes a port: as on the command line (`127.0.0.2:8080:80`), or as an object. Resolves when it listens on the host.
   * Text without an address publishes on every address of the host; an object on 127.0.0.1.
   */
  publish(port: string | NewPort, options?: Abortable): Promise<Port>;

  /** All published ports, with their counters; those that others have published, too. */
  ports(options?: Abortable): Promise<PortReport[]>;

  /** Open connections, and UDP flows. */
  flows(options?: Abortable & { limit?: number }): Promise<Flow[]>;

  /** What happens from now on; a loop over it ends with the stack. */
  events<T extends EventType = EventType>(filter?: EventFilter<T>): Events<T>;

  /**
   * Runs a program in the namespaces, as root there. Several may run at a time; daemons that one leaves run until the stack
   * ends.
   */
  run(command: string, args?: readonly string[], options?: RunOptions): Program;

  /** Ends what was made through this handle. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What handles have in common: all but how programs are started, and what ends with the handle. */
export abstract class BaseHandle implements StackHandle {
  readonly socketPath: string;
  readonly egress: Egress;
  readonly containers: Containers;
  readonly networks: Networks;
  readonly #client: StackClient;
  readonly #ports = new Set<Port>();
  readonly #programs = new Set<RunningProgram>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
    this.#client = new StackClient(socketPath);
    const containers = new ContainerClient(socketPath);
    this.egress = new Egress(this.#client);
    this.containers = new Containers(containers);
    this.networks = new Networks(containers);
  }

  info({ signal }: Abortable = {}): Promise<Info> {
    return abortable(signal, () => this.#client.info());
  }

  async publish(port: string | NewPort, { signal }: Abortable = {}): Promise<Port> {
    const spec = specOf(port);
    this.#checkOpen();
    const undo = ({ id }: { id: number }) => this.#client.removePort(id);
    const status = await abortable(signal, () => this.#client.addPort(spec), undo);
    const handle: Port = new Port(this.#client, status, () => this.#ports.delete(handle));
    this.#ports.add(handle);
    return handle;
  }

  ports({ signal }: Abortable = {}): Promise<PortReport[]> {
    return abortable(signal, () => this.#client.listPorts({ counters: true }));
  }

  flows({ signal, limit }: Abortable & { limit?: number } = {}): Promise<Flow[]> {
    return abortable(signal, () => this.#client.flows(limit === undefined ? {} : { limit }));
  }

  events<T extends EventType = EventType>(filter: EventFilter<T> = {}): Events<T> {
    checkFilter(filter);
    return new Events<T>(this.#client, filter, this.#closing.signal);
  }

  run(command: string, args: readonly string[] = [], options: RunOptions = {}): Program {
    const wanted = { command, args, options, checks: runChecks };
    const program = startProgram(wanted, (words) => {
      this.#checkOpen();
      return this.source(words, options);
    });
    this.#programs.add(program);
    const forget = () => this.#programs.delete(program);
    program.ended.then(forget, forget);
    return program;
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Starts a program; `command` is not empty. */
  protected abstract source(command: readonly string[], options: RunOptions): ProgramSource;

  /** After what was made through this handle has ended, or is about to. */
  protected abstract end(): Promise<void>;

  /** Whether all that was made through this handle ends with end(). */
  protected abstract readonly endsAll: boolean;

  /** Throws ClosedError. */
  #checkOpen(): void {
    if (this.#closed) throw new ClosedError();
  }

  async #end(): Promise<void> {
    this.#closing.abort();
    for (const program of this.#programs) program.ignoreFailure();
    if (!this.endsAll) {
      await Promise.all([...this.#ports].map((port) => port.close()));
      await Promise.all([...this.#programs].map((program) => program[Symbol.asyncDispose]()));
    }
    await this.end();
  }
}
