/**
 * Requests of further programs, kept between the POST that makes them and the stream that runs them: a request is too large
 * for a URL, and the handshake of a WebSocket has no body. A ticket is valid for one stream and one container, and for a
 * limited time; the number and the size of tickets are bounded.
 */
import { randomBytes } from 'node:crypto';
import type { ExecRequest } from '../../../protocol/containers/types.js';
import { ContainerError } from '../errors.js';

interface Ticket {
  container: string;
  request: ExecRequest;
  size: number;
  /** By performance.now(). */
  expires: number;
}

export interface TicketLimits {
  /** How long a ticket is valid, in ms. */
  lifetime: number;
  count: number;
  /** Size of all their arguments and variables, in bytes. */
  bytes: number;
}

/** Enough for hundreds of the largest commands that the kernel accepts. */
const LIMITS: TicketLimits = { lifetime: 30_000, count: 1024, bytes: 256 * 1024 * 1024 };

export class ExecTickets {
  readonly #tickets = new Map<string, Ticket>();
  #bytes = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(private readonly limits: TicketLimits = LIMITS) {}

  /** Keeps a request, and returns the id by which a stream takes it. Throws ContainerError if there are too many. */
  issue(container: string, request: ExecRequest): string {
    this.#dropExpired();
    const size = [...request.command, ...request.env].reduce((sum, word) => sum + word.length, 0);
    if (this.#tickets.size >= this.limits.count || this.#bytes + size > this.limits.bytes) {
      throw new ContainerError('too many exec requests are pending', 503, { hint: 'try again later' });
    }
    const id = randomBytes(16).toString('hex');
    this.#tickets.set(id, { container, request, size, expires: performance.now() + this.limits.lifetime });
    this.#bytes += size;
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      this.#dropExpired();
    }, this.limits.lifetime).unref();
    return id;
  }

  /** Returns the request of that id, once. Throws ContainerError. */
  take(container: string, id: string): ExecRequest {
    this.#dropExpired();
    const ticket = this.#tickets.get(id);
    if (ticket?.container !== container) {
      throw new ContainerError('no such exec: an id is valid for one stream, and for 30 seconds', 404, {
        hint: 'POST the request again for another one',
      });
    }
    this.#drop(id, ticket);
    return ticket.request;
  }

  #dropExpired(): void {
    const now = performance.now();
    for (const [id, ticket] of this.#tickets) if (ticket.expires <= now) this.#drop(id, ticket);
  }

  #drop(id: string, { size }: Ticket): void {
    this.#tickets.delete(id);
    this.#bytes -= size;
  }
}
