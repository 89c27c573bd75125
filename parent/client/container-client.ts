import {
  type ContainerEgressReport,
  type EgressReport,
  isContainerEgressReport,
  isEgressReport,
} from '../../protocol/api/egress.js';
import { isLimitReport, type LimitReport } from '../../protocol/api/limit.js';
import {
  isContainerReport,
  isFields,
  isGarbageReport,
  isListOf,
  isNameQueryReport,
  isNetworkNamesReport,
  isNetworkReport,
  isTexts,
} from '../../protocol/api/report-shapes.js';
import type { Info } from '../../protocol/api/types.js';
import { type ContainerProcess, type ContainerUsage, isProcessList, isUsageList } from '../../protocol/api/usage.js';
import type {
  AttachmentRequest,
  ContainerReport,
  ContainerRequest,
  ExecRequest,
  GarbageReport,
  LogsRequest,
  NameQueryReport,
  NetworkNamesReport,
  NetworkReport,
  NetworkRequest,
  NetworkUpdate,
  TerminalSize,
} from '../../protocol/containers/types.js';
import { printable } from '../../protocol/text/printable-text.js';
import { checked } from './answer.js';
import { ContainerStream } from './container-stream.js';
import { APIError } from './errors.js';
import { DEADLINE, StackClient } from './stack-client.js';

/** A request where fields with a default are optional; one of rootfs and bundle is needed. */
export type NewContainer = Partial<Omit<ContainerRequest, 'mounts'>> & {
  /** As objects, or as `SOURCE:TARGET[:OPTIONS]` with absolute paths. */
  mounts?: (ContainerRequest['mounts'][number] | string)[];
};
/** How a container's streams are followed. */
export interface AttachOptions {
  /** Starts it first. */
  start?: boolean;
  /** Begins with what it wrote before. */
  logs?: boolean;
  /** Continues until it ends; otherwise stops after what was written so far. */
  follow?: boolean;
  /** Size of its terminal, when it is started. */
  size?: TerminalSize | undefined;
}
export type NewNetwork = Partial<NetworkRequest> & { name: string };

/**
 * Client of a stack's containers and networks. Names may be names, ids, or beginnings of ids. Every method throws
 * StackUnreachableError, and APIError, with status 404 for what does not exist.
 */
export class ContainerClient {
  readonly #stack: StackClient;

  /** @param socketPath path of api.sock in the stack's state directory */
  constructor(readonly socketPath: string) {
    this.#stack = new StackClient(socketPath);
  }

  /** Of the stack that they are on. */
  info(): Promise<Info> {
    return this.#stack.info();
  }

  async list(): Promise<ContainerReport[]> {
    return checked(await this.#stack.call('GET', '/v1/containers'), isListOf(isContainerReport));
  }

  async inspect(name: string): Promise<ContainerReport> {
    return checked(await this.#stack.call('GET', path('containers', name)), isContainerReport);
  }

  /** What those that run use now. */
  async usage(): Promise<ContainerUsage[]> {
    return checked(await this.#stack.call('GET', '/v1/usage'), isUsageList);
  }

  async processes(name: string): Promise<ContainerProcess[]> {
    return checked(await this.#stack.call('GET', path('containers', name, 'processes')), isProcessList);
  }

  async create(request: NewContainer): Promise<ContainerReport> {
    return checked(await this.#stack.call('POST', '/v1/containers', request), isContainerReport);
  }

  /** Resolves when its process runs, with its network set up and its ports published. */
  async start(name: string): Promise<ContainerReport> {
    return checked(await this.#stack.call('POST', path('containers', name, 'start')), isContainerReport);
  }

  /**
   * Resolves when it has ended, and is not about to be restarted. Does nothing if it does not run.
   *
   * @param timeout seconds after which it is killed, -1 for never; its own unless given
   * @param signal the signal that it gets first; its own unless given
   */
  async stop(name: string, timeout?: number, signal?: string): Promise<void> {
    const deadline = await this.#timeToEnd(name, timeout);
    await this.#stack.call('POST', path('containers', name, 'stop') + ending(timeout, signal), undefined, deadline);
  }

  /** Stops it as stop() does, and starts it. */
  async restart(name: string, timeout?: number, signal?: string): Promise<ContainerReport> {
    const deadline = await this.#timeToEnd(name, timeout);
    const url = path('containers', name, 'restart') + ending(timeout, signal);
    return checked(await this.#stack.call('POST', url, undefined, deadline), isContainerReport);
  }

  /** The deadline of a request that waits for a container's end, in ms. */
  async #timeToEnd(name: string, timeout: number | undefined): Promise<number> {
    const limit = timeout ?? (await this.inspect(name)).request.stopTimeout ?? 0;
    return limit === -1 ? Number.POSITIVE_INFINITY : DEADLINE + 1000 * limit;
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

  /** Resolves with the exit code when it does not run; null if its end was not observed. */
  async wait(name: string): Promise<number | null> {
    const { exitCode } = checked(
      await this.#stack.call('POST', path('containers', name, 'wait'), undefined, Number.POSITIVE_INFINITY),
      isFields,
    );
    return typeof exitCode === 'number' ? exitCode : null;
  }

  async networks(): Promise<NetworkReport[]> {
    return checked(await this.#stack.call('GET', '/v1/networks'), isListOf(isNetworkReport));
  }

  async inspectNetwork(name: string): Promise<NetworkReport> {
    return checked(await this.#stack.call('GET', path('networks', name)), isNetworkReport);
  }

  /** What it may reach, with what its policies have decided while it runs. */
  async egress(name: string): Promise<ContainerEgressReport> {
    return checked(await this.#stack.call('GET', path('containers', name, 'egress')), isContainerEgressReport);
  }

  /** The rate limit of a container. */
  async limit(name: string): Promise<LimitReport> {
    return checked(await this.#stack.call('GET', path('containers', name, 'limit')), isLimitReport);
  }

  /** @param limit as --limit takes it, `unlimited` for none; it holds at once */
  async setLimit(name: string, limit: string): Promise<LimitReport> {
    return checked(await this.#stack.call('PUT', path('containers', name, 'limit'), { limit }), isLimitReport);
  }

  /** Adds rules (POST), or removes them (DELETE): lines of an egress file. All or none; they hold at once. */
  async changeEgress(
    method: 'POST' | 'DELETE',
    name: string,
    rules: readonly string[],
  ): Promise<ContainerEgressReport> {
    const answer = await this.#stack.call(method, path('containers', name, 'egress'), { rules });
    return checked(answer, isContainerEgressReport);
  }

  /** The same of a network. */
  async networkEgress(name: string): Promise<EgressReport> {
    return checked(await this.#stack.call('GET', path('networks', name, 'egress')), isEgressReport);
  }

  async changeNetworkEgress(method: 'POST' | 'DELETE', name: string, rules: readonly string[]): Promise<EgressReport> {
    return checked(await this.#stack.call(method, path('networks', name, 'egress'), { rules }), isEgressReport);
  }

  async createNetwork(request: NewNetwork): Promise<NetworkReport> {
    return checked(await this.#stack.call('POST', '/v1/networks', request), isNetworkReport);
  }

  /** Moves it to other subnets, while none of its containers runs. */
  async updateNetwork(name: string, update: Partial<NetworkUpdate> & { subnets: string[] }): Promise<NetworkReport> {
    return checked(await this.#stack.call('POST', path('networks', name, 'update'), update), isNetworkReport);
  }

  async removeNetwork(name: string): Promise<void> {
    await this.#stack.call('DELETE', path('networks', name));
  }

  /** Removes all that no container refers to; resolves with their names. */
  async pruneNetworks(): Promise<string[]> {
    return checked(checked(await this.#stack.call('POST', '/v1/networks/prune'), isFields).removed, isTexts);
  }

  /** Resolves with what is not as it should be, a line each. */
  async checkNetwork(name: string): Promise<string[]> {
    return checked(
      checked(await this.#stack.call('POST', path('networks', name, 'check')), isFields).problems,
      isTexts,
    );
  }

  /** The DNS server of a network. */
  async networkNames(name: string): Promise<NetworkNamesReport> {
    return checked(await this.#stack.call('GET', path('networks', name, 'names')), isNetworkNamesReport);
  }

  /** Has the DNS server of a network answer, as that container would be; as another program of the network where it is "". */
  async resolveName(
    network: string,
    question: { name: string; type: string; container: string },
  ): Promise<NameQueryReport> {
    const query = new URLSearchParams(question);
    return checked(
      await this.#stack.call('GET', `${path('networks', network, 'resolve')}?${query}`),
      isNameQueryReport,
    );
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

  /** Differences between the recorded and the actual state; repaired only on request. */
  async gc({ repair = false } = {}): Promise<GarbageReport[]> {
    return checked(await this.#stack.call('POST', `/v1/gc?repair=${repair}`), isListOf(isGarbageReport));
  }

  /** Loads what attach(), logs() and exec() need, which takes milliseconds: to be called while an answer is awaited anyway. */
  prepareStreams(): void {
    // A failure is that of the call itself.
    import('ws').catch(() => {});
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

  /** What a container wrote, by stream and in its order; `since` and `until` are as parseLogTime() takes them. */
  logs(name: string, options: Partial<LogsRequest> = {}): Promise<ContainerStream> {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(options)) if (value !== undefined) query.set(key, String(value));
    return ContainerStream.open(this.socketPath, `${path('containers', name, 'logs')}?${query}`);
  }

  /** Runs one more program in a container. */
  async exec(name: string, request: Partial<ExecRequest> & { command: string[] }): Promise<ContainerStream> {
    const url = path('containers', name, 'exec');
    const { id } = checked(await this.#stack.call('POST', url, request), isFields);
    return ContainerStream.open(this.socketPath, `${url}?id=${encodeURIComponent(String(id))}`);
  }
}

/** Throws APIError for an invalid name: `..` in a URL would address something else. */
function path(kind: 'containers' | 'networks', name: string, ...more: string[]): string {
  if (!/^[a-zA-Z0-9].{0,127}$/.test(name)) {
    const what = kind.slice(0, -1);
    throw new APIError(404, `no such ${what}: ${printable(name) || '""'}`, { code: `no-such-${what}` });
  }
  return `/v1/${[kind, name, ...more].map(encodeURIComponent).join('/')}`;
}

/** How it is to end, as a query. */
function ending(timeout: number | undefined, signal: string | undefined): string {
  const query = new URLSearchParams({
    ...(timeout === undefined ? {} : { timeout: String(timeout) }),
    ...(signal === undefined ? {} : { signal }),
  });
  return query.size === 0 ? '' : `?${query}`;
}
