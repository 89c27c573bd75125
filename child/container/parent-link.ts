/** The agent's requests to the parent, over the socketpair between them. */
import type { AgentRequest, AgentRequests, Message } from '../../protocol/wire/messages.js';
import { ConflictError } from './errors.js';

/** The parent refused a request; the message is its own, in one line. */
export class ParentError extends ConflictError {
  override name = 'ParentError';
}

export class ParentLink {
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #next = 1;

  constructor(private readonly send: (message: Message) => void) {}

  /** Throws ParentError. */
  request<Name extends AgentRequest>(
    name: Name,
    params: AgentRequests[Name]['params'],
  ): Promise<AgentRequests[Name]['result']> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (result) => resolve(result as AgentRequests[Name]['result']), reject });
      this.send({ type: 'request', id, name, params });
    });
  }

  onReply(message: Extract<Message, { type: 'reply' }>): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('error' in message) waiting?.reject(new ParentError(message.error));
    else waiting?.resolve(message.result);
  }
}
