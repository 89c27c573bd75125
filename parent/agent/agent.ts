/**
 * Keeps an agent running in the child's namespaces, from the first port on.
 *
 * Theory of operation. none → starting (the launcher starts it, with one end of a new socketpair) → ready (its hello
 * arrived, and the engine may send requests) → lost (its end closed) → starting again, at once. Connections that arrive
 * meanwhile wait in the engine. When an agent was lost ATTEMPTS times without having been ready in between, the waiting
 * connections are reset, and from then on it is retried every RETRY_MS.
 *
 * An agent that hangs (heartbeat.ts) is killed, connections that wait for it are reset, and another one is started.
 */
import { native } from '../../native/index.js';
import { packageFile } from '../../protocol/paths.js';
import { encodeMessage, type Message, PROTOCOL_VERSION, type TargetTrace } from '../../protocol/wire/messages.js';
import { MessageReader } from '../../protocol/wire/parts.js';
import type { EngineHost, PacketChannel } from '../engine/engine-host.js';
import { AgentError, errorText, printable } from '../errors.js';
import { RateLimitedLog } from '../log/rate-limited-log.js';
import type { Launcher } from '../namespaces/launcher.js';
import { AgentHeartbeat } from './heartbeat.js';
import { AgentTraces } from './traces.js';

const AGENT = packageFile('dist/child/agent.js');
const ATTEMPTS = 5;
const RETRY_MS = 1000;
/** Time for a new agent to get ready; longer where the last ones did not. */
const START_SECONDS = 8;

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
  #restarts = 0;
  /** In the launcher's pid namespace, as the launcher reports it; 0 while it is not known. */
  #helper = 0;
  readonly #heartbeat = new AgentHeartbeat(
    () => this.send({ type: 'ping' }),
    (reason) => this.#hung(reason),
  );
  readonly #traces = new AgentTraces((message) => this.send(message));
  readonly #log: Record<'warn' | 'debug', RateLimitedLog>;
  /** Called when an agent is ready for requests, and when it is lost. */
  readonly onState: ((state: 'ready' | 'lost', reason: string) => void)[] = [];
  /** Called when an agent is lost and no other follows, since the namespaces are gone. */
  readonly onGone: (() => void)[] = [];
  /** Receives what listens inside, where that was requested. */
  onListeners: (message: Extract<Message, { type: 'listeners' }>) => void = () => {};
  /** Receives messages other than these, hello, pong and log, with their size. */
  onMessage: (message: Message, bytes: number) => void = () => {};

  constructor(
    private readonly engineHost: EngineHost,
    private readonly launcher: Launcher,
    private readonly warn: (line: string) => void,
    debug: (line: string) => void = () => {},
  ) {
    this.#log = { warn: new RateLimitedLog(warn, 'the agent'), debug: new RateLimitedLog(debug, 'the agent') };
  }

  /** In the agent's own pid namespace; 0 before its hello. */
  get pid(): number {
    return this.#pid;
  }

  /** Pid of a process with the agent's view of the file system. */
  get root(): number {
    return this.launcher.pid;
  }

  /** How often an agent was lost, or could not be started. */
  get restarts(): number {
    return this.#restarts;
  }

  get state(): AgentState {
    return this.#state;
  }

  /** Starts the agent unless there is one. It need not be ready when this resolves. Throws AgentError. */
  async start(): Promise<void> {
    if (this.#closed || this.#state === 'starting' || this.#state === 'ready') return;
    const [ours, theirs] = socketpair();
    this.#state = 'starting';
    const channel = this.engineHost.open(ours);
    this.#channel = channel;
    const reader = new MessageReader();
    channel.onMessage((data) => this.#onPacket(channel, reader, data));
    channel.onClose((reason) => this.#lost(channel, reason));
    channel.send(encodeMessage({ type: 'hello', version: PROTOCOL_VERSION, pid: process.pid }));
    this.#helper = 0;
    this.#heartbeat.started(START_SECONDS * 2 ** Math.min(this.#failures, 3));
    try {
      const pid = await this.launcher.startHelper([process.execPath, AGENT], theirs);
      if (channel === this.#channel) this.#helper = pid;
      else await this.launcher.killHelper(pid);
    } catch (error) {
      this.#heartbeat.stop();
      this.#channel = undefined;
      this.#state = 'lost';
      channel.close();
      throw new AgentError(
        `cannot start the agent (${process.execPath} ${AGENT}) in the namespaces: ${errorText(error)}`,
      );
    }
  }

  /** Sends a message to the agent; drops it where there is none. */
  send(message: Message): void {
    this.#channel?.send(encodeMessage(message));
  }

  /** Where connections for a target lead; the agent tries it. Throws AgentError. */
  trace(target: Uint8Array, port: number): Promise<TargetTrace> {
    return this.#traces.ask(target, port);
  }

  /** Replaces an agent that violates the protocol by another one. */
  replace(reason: string): void {
    if (this.#channel) this.#drop(this.#channel, reason);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#heartbeat.stop();
    this.engineHost.engine.setAgent(0);
    this.#channel?.close();
    this.#channel = undefined;
  }

  #onPacket(channel: PacketChannel, reader: MessageReader, data: Buffer): void {
    // A late message of an agent that was replaced.
    if (channel !== this.#channel) return;
    try {
      const read = reader.read(data);
      if (!read) return;
      const { message, bytes } = read;
      if (message.type === 'log') {
        this.#log[message.level].log(printable(message.text));
      } else if (message.type === 'pong') {
        this.#heartbeat.alive();
      } else if (message.type === 'listeners') {
        this.onListeners(message);
      } else if (message.type === 'traced') {
        this.#traces.onAnswer(message);
      } else if (message.type !== 'hello') {
        this.onMessage(message, bytes);
      } else if (message.version !== PROTOCOL_VERSION) {
        this.#drop(
          channel,
          `it has version ${message.version} of the protocol, the parent ${PROTOCOL_VERSION}; install one version of the package`,
        );
      } else {
        this.#pid = message.pid;
        this.#state = 'ready';
        this.#failures = 0;
        this.#heartbeat.alive();
        this.engineHost.engine.setAgent(channel.id);
        this.#notifyState('ready', '');
      }
    } catch (error) {
      this.#drop(channel, errorText(error));
    }
  }

  #notifyState(state: 'ready' | 'lost', reason: string): void {
    for (const listener of this.onState) listener(state, reason);
  }

  #hung(reason: string): void {
    if (!this.#channel || this.launcher.ended) return;
    this.engineHost.engine.failWaiting('the agent does not answer');
    this.launcher.resume();
    this.#drop(this.#channel, reason);
  }

  #drop(channel: PacketChannel, reason: string): void {
    channel.close();
    this.#lost(channel, reason);
  }

  #lost(channel: PacketChannel, reason: string): void {
    if (channel !== this.#channel) return;
    this.#channel = undefined;
    this.#heartbeat.stop();
    this.#state = 'lost';
    this.#traces.failAll(reason);
    // It ends with the command.
    if (this.#closed || this.launcher.ended) {
      this.#gone();
      return;
    }
    // It may still run, but is of no use.
    if (this.#helper > 0) this.launcher.killHelper(this.#helper).catch(() => {});
    this.#notifyState('lost', reason);
    if (this.#failures + 1 < ATTEMPTS) this.warn(`the agent was lost (${reason}); starting another one`);
    this.#failed(reason);
  }

  /** Starts another one: at once, or after a while if it keeps failing. */
  #failed(reason: string): void {
    this.#restarts++;
    if (++this.#failures < ATTEMPTS) {
      this.#restart();
      return;
    }
    if (this.#failures === ATTEMPTS) {
      this.warn(
        `the agent was lost ${ATTEMPTS} times in a row (${reason}); connections are refused until it can be started`,
      );
    }
    this.engineHost.engine.failWaiting('the agent is not running');
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#restart(), RETRY_MS);
  }

  #restart(): void {
    this.start().catch((error) => {
      if (this.#closed || this.launcher.ended) this.#gone();
      else this.#failed(errorText(error));
    });
  }

  #gone(): void {
    for (const listener of this.onGone) listener();
  }
}
