import type { AttachmentRequest, NetworkReport } from '../../../protocol/containers/types.js';
import type { ContainerClient, NewNetwork } from '../../client/container-client.js';
import { type Abortable, abortable } from '../abort.js';
import { removed } from '../errors.js';

/** A network of containers. It is removed when it is disposed of. */
export class Network implements AsyncDisposable {
  readonly name: string;
  readonly #client: ContainerClient;

  constructor(client: ContainerClient, { name }: Pick<NetworkReport, 'name'>) {
    this.#client = client;
    this.name = name;
  }

  inspect({ signal }: Abortable = {}): Promise<NetworkReport> {
    return abortable(signal, () => this.#client.inspectNetwork(this.name));
  }

  /** @param container its name or id */
  connect(
    container: string,
    request: Omit<AttachmentRequest, 'network'> = {},
    { signal }: Abortable = {},
  ): Promise<void> {
    return abortable(signal, () => this.#client.connect(this.name, container, request));
  }

  disconnect(container: string, { signal }: Abortable = {}): Promise<void> {
    return abortable(signal, () => this.#client.disconnect(this.name, container));
  }

  /** Does nothing if it is removed already. */
  remove(): Promise<void> {
    return removed(this.#client.removeNetwork(this.name));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }
}

/** Networks of a stack's containers. */
export class Networks {
  readonly #client: ContainerClient;

  constructor(client: ContainerClient) {
    this.#client = client;
  }

  async create(request: NewNetwork, { signal }: Abortable = {}): Promise<Network> {
    const undo = ({ name }: NetworkReport) => this.#client.removeNetwork(name);
    return new Network(this.#client, await abortable(signal, () => this.#client.createNetwork(request), undo));
  }

  /** A network by its name or id. */
  async get(name: string, { signal }: Abortable = {}): Promise<Network> {
    return new Network(this.#client, await abortable(signal, () => this.#client.inspectNetwork(name)));
  }

  list({ signal }: Abortable = {}): Promise<NetworkReport[]> {
    return abortable(signal, () => this.#client.networks());
  }
}
