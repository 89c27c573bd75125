/**
 * Keeps an agent running in the child's namespaces, from the first port on.
 *
 * Theory of operation. none → starting (the launcher starts it, with one end of a new socketpair) → ready (its hello
 * came, and the engine may ask it) → lost (its end closed) → starting again, at once. Connections that come meanwhile wait
 * in the engine. When an agent was lost ATTEMPTS times without having been ready in between, the connections that wait
 * are reset, and from then on it is tried once in RETRY_MS.
 */
import { native } from '../native/index.js';
import { decodeMessage, encodeMessage, type Message, PROTOCOL_VERSION } from '../protocol/messages.js';
import { packageFile } from '../protocol/paths.js';
import type { Channels, PacketChannel } from './channels.js';
import { errorText, printable } from './errors.js';
import type { Launcher } from './namespaces/launcher.js';
import { AgentError } from './port/errors.js';

const AGENT = packageFile('dist/child/agent.js');
const ATTEMPTS = 5;
const RETRY_MS = 1000;

/** Throws AgentError. */
function socketpair(): [number, number] {
  try {
    return native().socketpair();
  } catch (error) {
    throw new AgentError(`cannot start the agent: ${errorText(error)}`);
  }
}

export type AgentState = 'none' | 'starting' | 'ready' | 'lost';

export class AgentSupervisor {
  #state: AgentState = 'none';
  #channel: PacketChannel | undefined;
  #failures = 0;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  #pid = 0;
  /** Told when an agent can be asked, and when it is lost. */
  readonly onState: ((state: 'ready' | 'lost', reason: string) => void)[] = [];
  /** Gets what is neither greeting nor log. */
  onMessage: (message: Message) => void = () => {};

  constructor(
    private readonly channels: Channels,
    private readonly launcher: Launcher,
    private readonly warn: (line: string) => void,
    private readonly debug: (line: string) => void = () => {},
  ) {}

  /** As the agent counts, so in its own pid namespace; 0 before its hello. */
  get pid(): number {
    return this.#pid;
  }

  get state(): AgentState {
    return this.#state;
  }

  /** Starts the agent unless there is one. It need not be ready when this resolves. Throws AgentError. */
  async start(): Promise<void> {
    if (this.#closed || this.#state === 'starting' || this.#state === 'ready') return;
    const [ours, theirs] = socketpair();
    this.#state = 'starting';
    const channel = this.channels.open(ours);
    this.#channel = channel;
    channel.onMessage((data) => this.#hear(channel, data));
    channel.onClose((reason) => this.#lost(channel, reason));
    channel.send(encodeMessage({ type: 'hello', version: PROTOCOL_VERSION, pid: process.pid }));
    try {
      await this.launcher.startHelper([process.execPath, AGENT], theirs);
    } catch (error) {
      this.#channel = undefined;
      this.#state = 'lost';
      channel.close();
      throw new AgentError(
        `cannot start the agent (${process.execPath} ${AGENT}) in the namespaces: ${errorText(error)}`,
      );
    }
  }

  /** Says something to the agent; to nobody where there is none. */
  send(message: Message): void {
    this.#channel?.send(encodeMessage(message));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.channels.engine.setAgent(0);
    this.#channel?.close();
    this.#channel = undefined;
  }

  #hear(channel: PacketChannel, data: Buffer): void {
    // What one that was given up still says.
    if (channel !== this.#channel) return;
    try {
      const message = decodeMessage(data);
      if (message.type === 'log') {
        this[message.level](printable(message.text));
      } else if (message.type !== 'hello') {
        this.onMessage(message);
      } else if (message.version !== PROTOCOL_VERSION) {
        this.#drop(
          channel,
          `it speaks version ${message.version} of the protocol, the parent ${PROTOCOL_VERSION}; install one version of the package`,
        );
      } else {
        this.#pid = message.pid;
        this.#state = 'ready';
        this.#failures = 0;
        this.channels.engine.setAgent(channel.id);
        this.#tell('ready', '');
      }
    } catch (error) {
      this.#drop(channel, errorText(error));
    }
  }

  #tell(state: 'ready' | 'lost', reason: string): void {
    for (const listener of this.onState) listener(state, reason);
  }

  #drop(channel: PacketChannel, reason: string): void {
    channel.close();
    this.#lost(channel, reason);
  }

  #lost(channel: PacketChannel, reason: string): void {
    if (channel !== this.#channel) return;
    this.#channel = undefined;
    // It ends with the command.
    if (this.#closed || this.launcher.ended) return;
    this.#state = 'lost';
    this.#tell('lost', reason);
    if (this.#failures + 1 < ATTEMPTS) this.warn(`the agent was lost (${reason}); starting another one`);
    this.#failed(reason);
  }

  /** Starts another one: at once, or after a while if this goes on. */
  #failed(reason: string): void {
    if (++this.#failures < ATTEMPTS) {
      this.#restart();
      return;
    }
    if (this.#failures === ATTEMPTS) {
      this.warn(
        `the agent was lost ${ATTEMPTS} times in a row (${reason}); connections are refused until it can be started`,
      );
    }
    this.channels.engine.failWaiting('there is no agent');
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#restart(), RETRY_MS);
  }

  #restart(): void {
    this.start().catch((error) => {
      if (!this.#closed && !this.launcher.ended) this.#failed(errorText(error));
    });
  }
}
