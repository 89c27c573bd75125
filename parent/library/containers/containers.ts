import type { ContainerReport } from '../../../protocol/containers/types.js';
import type { ContainerClient, NewContainer } from '../../client/container-client.js';
import { type Abortable, abortable } from '../abort.js';
import { abortSignal, type Checks, checkFields, checkValue, object } from '../checks.js';
import { type ProgramOptions, programChecks } from '../programs/options.js';
import { RunningProgram } from '../programs/program.js';
import { streamedProgram } from '../programs/streamed.js';
import { Container } from './container.js';

const runChecks: Checks<ProgramOptions & Abortable> = { ...programChecks, signal: abortSignal };

/** Containers of a stack. */
export class Containers {
  readonly #client: ContainerClient;

  constructor(client: ContainerClient) {
    this.#client = client;
  }

  /** Creates a container without starting it. */
  async create(request: NewContainer, { signal }: Abortable = {}): Promise<Container> {
    const undo = ({ id }: ContainerReport) => this.#client.remove(id, { force: true });
    return new Container(this.#client, await abortable(signal, () => this.#client.create(request), undo));
  }

  /**
   * Creates a container and starts it; resolves when it runs, its network is set up, and its ports are published. Its `program`
   * has its streams and its end.
   */
  async run(request: NewContainer, options: ProgramOptions & Abortable = {}): Promise<Container> {
    checkValue(request, object, { field: 'request' });
    checkFields(options, runChecks);
    const stdin = request.stdin ?? options.input !== undefined;
    const created = await this.create({ ...request, stdin }, options);
    try {
      await created.start(options);
    } catch (error) {
      await created.remove().catch(() => {});
      throw error;
    }
    const { id } = created;
    const source = streamedProgram({
      open: () => this.#client.attach(id, { logs: true }),
      stdin,
      kill: (signal) => void this.#client.kill(id, String(signal)).catch(() => {}),
    });
    const program = new RunningProgram(source, request.command ?? [created.name], options);
    // wait() and inspect() report its end as well.
    program.ignoreFailure();
    return new Container(this.#client, created, program);
  }

  /** A container by its name, its id, or the beginning of that. */
  async get(name: string, { signal }: Abortable = {}): Promise<Container> {
    return new Container(this.#client, await abortable(signal, () => this.#client.inspect(name)));
  }

  list({ signal }: Abortable = {}): Promise<ContainerReport[]> {
    return abortable(signal, () => this.#client.list());
  }
}
