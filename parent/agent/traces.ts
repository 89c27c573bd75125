/** Questions to the agent where a target leads, and its answers, which are not trusted. */
import { isIP } from 'node:net';
import { hasFields, isFlag, isListOf } from '../../protocol/api/report-shapes.js';
import type { Message, TargetTrace } from '../../protocol/wire/messages.js';
import { AgentError } from '../errors.js';

/** For all addresses of a target, in ms: more than the agent gives each of them. */
const PATIENCE_MS = 20_000;
/** As many as one answer may have. */
const MAX_ADDRESSES = 8;
/** Questions at a time. */
const MAX_PENDING = 16;

type Answer = { result: TargetTrace } | { error: AgentError };

export class AgentTraces {
  readonly #pending = new Map<number, (answer: Answer) => void>();
  #next = 1;

  constructor(private readonly send: (message: Message) => void) {}

  /** @param target as encodeTarget() makes it. Throws AgentError. */
  async ask(target: Uint8Array, port: number): Promise<TargetTrace> {
    if (this.#pending.size >= MAX_PENDING) throw new AgentError('too many ports are traced at a time; try again');
    const id = this.#next++;
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<Answer>((resolve) => {
      this.#pending.set(id, resolve);
      timer = setTimeout(() => resolve({ error: new AgentError('the agent does not answer') }), PATIENCE_MS);
      this.send({ type: 'trace', id, target, port });
    });
    clearTimeout(timer);
    this.#pending.delete(id);
    if ('error' in answer) throw answer.error;
    return answer.result;
  }

  onAnswer({ id, result }: Extract<Message, { type: 'traced' }>): void {
    const valid = isTargetTrace(result) && result.tried.length + result.listening.length <= 2 * MAX_ADDRESSES;
    this.#pending.get(id)?.(valid ? { result } : { error: new AgentError('the agent could not trace the port') });
  }

  /** No answers will come. */
  failAll(reason: string): void {
    for (const settle of this.#pending.values()) settle({ error: new AgentError(`the agent was lost (${reason})`) });
  }
}

const isAddress = (value: unknown): value is string => typeof value === 'string' && isIP(value) !== 0;
const isErrno = (value: unknown) => typeof value === 'string' && /^(E[A-Z0-9]{1,20})?$/.test(value);
const isTargetTrace = hasFields<TargetTrace>({
  tried: isListOf(hasFields<TargetTrace['tried'][number]>({ ip: isAddress, error: isErrno })),
  listening: isListOf(isAddress),
  entersNetns: isFlag,
});
