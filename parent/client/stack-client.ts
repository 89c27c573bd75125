/** Client of the part of the API that RootlessKit has too: information, ports and events. */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { type EgressReport, isEgressReport } from '../../protocol/api/egress.js';
import { isLimitReport, type LimitReport } from '../../protocol/api/limit.js';
import { isFlow, isInfo, isListOf, isPortReport } from '../../protocol/api/report-shapes.js';
import { isTraceReport, type TraceReport } from '../../protocol/api/trace.js';
import type { Flow, Info, PortReport, StackEvent } from '../../protocol/api/types.js';
import type { PortSpec, PortStatus } from '../../protocol/ports/rootlesskit-json.js';
import { apiError, checked, readText } from './answer.js';
import { APIError, codeOf, StackUnreachableError } from './errors.js';
import { EventInbox } from './event-inbox.js';

/** Time for a request and its whole answer, in ms. What takes longest is a container's start, with its hooks. */
export const DEADLINE = 180_000;

/** Larger events are not read, in bytes. */
const MAX_EVENT = 1024 * 1024;

/**
 * Client of a stack's REST API. Works with RootlessKit's too, which has no counters and no events.
 * Every method throws StackUnreachableError and APIError.
 */
export class StackClient {
  /** @param socketPath path of api.sock in the stack's state directory */
  constructor(readonly socketPath: string) {}

  async info(): Promise<Info> {
    return checked(await this.call('GET', '/v1/info'), isInfo);
  }

  /** With `counters` each entry has `listener` and `counters`, where the port driver knows them. */
  async listPorts({ counters = false } = {}): Promise<PortReport[]> {
    const list = await this.call('GET', counters ? '/v1/ports?counters=true' : '/v1/ports');
    return checked(list ?? [], isListOf(isPortReport));
  }

  /**
   * Open connections and flows, up to `limit` of each direction; without `programs` it costs the stack less. RootlessKit's API
   * does not have that, and answers with 404.
   */
  async flows({ limit, programs = true }: { limit?: number; programs?: boolean } = {}): Promise<Flow[]> {
    const query = [...(limit === undefined ? [] : [`limit=${limit}`]), ...(programs ? [] : ['programs=false'])];
    const path = query.length === 0 ? '/v1/flows' : `/v1/flows?${query.join('&')}`;
    return checked(await this.call('GET', path), isListOf(isFlow));
  }

  /** Follows a connection to that address of the host, such as `127.0.0.2:8080/tcp`, step by step. */
  async trace(address: string): Promise<TraceReport> {
    return checked(await this.call('GET', `/v1/trace?address=${encodeURIComponent(address)}`), isTraceReport);
  }

  /**
   * Resolves when the port listens, or all of a range; its status has the parent port that was chosen where the spec has 0,
   * and no count where the stack does not know ranges: then only the first port is published.
   */
  async addPort(spec: PortSpec, { persist = false } = {}): Promise<PortStatus> {
    const path = persist ? '/v1/ports?persist=true' : '/v1/ports';
    return checked(await this.call('POST', path, spec), isPortReport);
  }

  /**
   * Like addPort() for several, in one request: all are added, or none. RootlessKit's API does not have that, and answers
   * with 400.
   */
  async addPorts(specs: readonly PortSpec[], { persist = false } = {}): Promise<PortStatus[]> {
    const path = persist ? '/v1/ports?persist=true' : '/v1/ports';
    const ports = checked(await this.call('POST', path, specs), isListOf(isPortReport));
    if (ports.length !== specs.length) throw new APIError(201, `${ports.length} ports for ${specs.length} specs`);
    return ports;
  }

  /** Resolves when the port is free again. */
  async removePort(id: number): Promise<void> {
    await this.call('DELETE', `/v1/ports/${id}`);
  }

  /**
   * Like removePort() for several, in one request: all are removed, or none. RootlessKit's API does not have that, and
   * answers with 405.
   */
  async removePorts(ids: readonly number[]): Promise<void> {
    if (ids.length > 0) await this.call('DELETE', `/v1/ports?ids=${formatIds(ids)}`);
  }

  /** The egress policy; a stack whose network has none answers with an error. */
  async egress(): Promise<EgressReport> {
    return checked(await this.call('GET', '/v1/egress'), isEgressReport);
  }

  /** Adds rules (POST), or removes them (DELETE): lines of an egress file. All or none. */
  async changeEgress(method: 'POST' | 'DELETE', rules: readonly string[]): Promise<EgressReport> {
    return checked(await this.call(method, '/v1/egress', { rules }), isEgressReport);
  }

  /**
   * The rate limit; a stack whose network cannot have one answers with an error.
   * @param port id of a published port; the whole stack unless given
   */
  async limit(port?: number): Promise<LimitReport> {
    return checked(await this.call('GET', limitPath(port)), isLimitReport);
  }

  /** @param limit as --limit takes it, `unlimited` for none */
  async setLimit(limit: string, port?: number): Promise<LimitReport> {
    return checked(await this.call('PUT', limitPath(port), { limit }), isLimitReport);
  }

  /**
   * Events of the stack from now on. Ends when the stack ends or `signal` aborts. A reader that falls far behind is dropped
   * by the stack. With `queries` there are events of DNS queries as well.
   * @throws EventStreamError
   */
  async *events({
    signal,
    queries = false,
  }: {
    signal?: AbortSignal;
    queries?: boolean;
  } = {}): AsyncGenerator<StackEvent, void, undefined> {
    const { WebSocket } = await import('ws');
    if (signal?.aborted) return;
    const socket = new WebSocket(`ws://stack/v1/events${queries ? '?queries=true' : ''}`, {
      createConnection: () => connect(this.socketPath),
      perMessageDeflate: false,
      maxPayload: MAX_EVENT,
    });
    const inbox = new EventInbox(socket, this.socketPath);
    const abort = (): void => socket.terminate();
    signal?.addEventListener('abort', abort);
    try {
      for (;;) {
        const event = await inbox.next();
        if (event === undefined || signal?.aborted) return;
        yield event;
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      socket.terminate();
    }
  }

  /**
   * Sends one request of the API, on a connection of its own. Resolves with the value of the answer's body, undefined where
   * that is empty.
   * @param deadline ms until the whole answer has to be there; Infinity for none
   */
  async call(method: string, path: string, body?: unknown, deadline = DEADLINE): Promise<unknown> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { status, text: answer } = await this.#exchange(method, path, text, deadline);
    if (status >= 300) throw apiError(status, answer);
    if (answer.trim() === '') return undefined;
    try {
      return JSON.parse(answer);
    } catch (error) {
      throw new APIError(status, `answer to ${method} ${path} is not JSON`, { cause: error });
    }
  }

  #exchange(
    method: string,
    path: string,
    body: string | undefined,
    deadline: number,
  ): Promise<{ status: number; text: string }> {
    const signal = deadline === Number.POSITIVE_INFINITY ? undefined : AbortSignal.timeout(deadline);
    return new Promise((resolve, reject) => {
      const unreachable = (error: Error): void => {
        const code = signal?.aborted ? 'ETIMEDOUT' : codeOf(error);
        reject(new StackUnreachableError(this.socketPath, code, { cause: error }));
      };
      const headers =
        body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
      // Not by an agent of node:http, which looks whether the host is an address: compiling that pattern takes milliseconds.
      const createConnection = () => connect(this.socketPath);
      const options = { createConnection, method, path, headers, ...(signal && { signal }) };
      const request = httpRequest(options, (response) => {
        readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), unreachable);
      });
      request.once('error', unreachable);
      // No answer follows.
      request.once('upgrade', (_response, socket) => {
        socket.destroy();
        unreachable(new Error('it changes to another protocol'));
      });
      request.end(body);
    });
  }
}

/** `1-3,7` for 1, 2, 3, 7. */
export function formatIds(ids: readonly number[], separator = ','): string {
  const runs: [number, number][] = [];
  for (const id of ids) {
    const run = runs.at(-1);
    if (run && run[1] === id - 1) run[1] = id;
    else runs.push([id, id]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(separator);
}

function limitPath(port: number | undefined): string {
  return port === undefined ? '/v1/limit' : `/v1/ports/${port}/limit`;
}
