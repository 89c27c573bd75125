/**
 * The parent's side of running containers: the agent does the work (child/container/), and asks here for what only the
 * host's side can do.
 *
 * Theory of operation. off → asked (an agent is there, or starts, and has been told to run containers) → ready (it serves
 * its part of the API on agent.sock) → off again where the agent is lost; another one is told as soon as it is there.
 * Requests of the agent are checked, and answered one by one. It is not trusted with more than the API gives everybody
 * in the namespaces: publishing ports.
 */
import { join } from 'node:path';
import type { NetworkDriverInfo } from '../../protocol/api.js';
import type { AgentRequest, AgentRequests, ContainersConfig, Message, PortRange } from '../../protocol/messages.js';
import type { AgentSupervisor } from '../agent.js';
import { ContainersError, errorText, printable } from '../errors.js';
import type { PortDriver } from '../port/driver.js';
import { hostFacts } from './facts.js';
import { HeldPorts } from './held-ports.js';

/** How long the agent may take for ending the containers, in ms. */
const STOP_TIMEOUT = 30_000;

type Answers = { [Name in AgentRequest]: (params: unknown) => Promise<AgentRequests[Name]['result']> };

export class ContainerService {
  readonly #ports: HeldPorts;
  #ready: { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } | undefined;
  #stopped: (() => void) | undefined;
  #closed = false;
  /** Requests are answered in the order in which they come. */
  #queue: Promise<void> = Promise.resolve();

  constructor(
    private readonly agent: AgentSupervisor,
    ports: PortDriver | undefined,
    private readonly network: () => NetworkDriverInfo | undefined,
    private readonly config: ContainersConfig,
    private readonly warn: (line: string) => void,
  ) {
    this.#ports = new HeldPorts(ports);
    agent.onMessage = (message) => this.#hear(message);
    agent.onState.push((state, reason) => {
      if (state === 'ready' && this.#ready) this.agent.send({ type: 'containers', config: this.config });
      if (state === 'lost') this.#stopped?.();
      if (state === 'lost' && this.#ready) {
        this.#ready.reject(new ContainersError(`the agent was lost (${reason}); try again`));
        // The next one is told, and whoever asks meanwhile waits for it.
        this.#ready = this.#closed ? undefined : deferred();
      }
    });
  }

  /** The socket on which the agent serves its part of the API. */
  get socketPath(): string {
    return join(this.config.stateDir, 'agent.sock');
  }

  /** Resolves when the agent serves containers; starts it if need be. Throws ContainersError and AgentError. */
  async ready(): Promise<void> {
    if (this.#closed) throw new ContainersError('the stack is ending');
    if (!this.#ready) {
      const waiting = deferred();
      this.#ready = waiting;
      try {
        // One that is ready already has said so before.
        if (this.agent.state === 'ready') this.agent.send({ type: 'containers', config: this.config });
        await this.agent.start();
      } catch (error) {
        this.#ready = undefined;
        // For those who came meanwhile.
        waiting.reject(error instanceof Error ? error : new ContainersError(String(error)));
        throw error;
      }
    }
    await this.#ready.promise;
  }

  /** Ends all containers, where there may be any, and closes their ports. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#ready && this.agent.state === 'ready') {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, STOP_TIMEOUT);
        this.#stopped = () => {
          clearTimeout(timer);
          resolve();
        };
        this.agent.send({ type: 'containers-stop' });
      });
    }
    this.#ready = undefined;
    await this.#ports.close();
  }

  #hear(message: Message): void {
    switch (message.type) {
      case 'containers-ready':
        this.#ready?.resolve();
        break;
      case 'containers-failed': {
        const error = new ContainersError(printable(message.text));
        this.warn(error.message);
        this.#ready?.reject(error);
        this.#ready = undefined;
        break;
      }
      case 'containers-stopped':
        this.#stopped?.();
        break;
      case 'request': {
        const { id, name, params } = message;
        this.#queue = this.#queue.then(async () => {
          try {
            this.agent.send({ type: 'reply', id, result: await this.#answer(name, params) });
          } catch (error) {
            this.agent.send({ type: 'reply', id, error: errorText(error) });
          }
        });
        break;
      }
    }
  }

  async #answer(name: string, params: unknown): Promise<unknown> {
    const answers: Answers = {
      facts: async () => hostFacts(this.network()),
      'ports-reserve': async (given) => {
        const { owner, ranges } = (await schemas()).parseReservation(given);
        return { hostPorts: await this.#ports.reserve(owner, ranges as PortRange[]) };
      },
      'ports-activate': async (given) => {
        const { owner, childIP } = (await schemas()).parseActivation(given);
        await this.#ports.activate(owner, childIP);
        return {};
      },
      'ports-release': async (given) => {
        await this.#ports.release((await schemas()).parseOwner(given).owner);
        return {};
      },
      'ports-owners': async () => ({ owners: this.#ports.owners() }),
    };
    if (!Object.hasOwn(answers, name))
      throw new ContainersError(`the agent asks for ${printable(name)}, which is not known`);
    return answers[name as AgentRequest](params);
  }
}

/** Loaded when the first container asks: zod takes its time. */
const schemas = () => import('./request-schemas.js');

function deferred() {
  let resolve = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever waits hears of it; nobody has to.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
