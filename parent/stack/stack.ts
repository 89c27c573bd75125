/** The running stack; start.ts starts it. */
import type { Info } from '../../protocol/api/types.js';
import { statePath } from '../../protocol/state/state-layout.js';
import type { EventBus } from '../api/event-bus.js';
import type { APIServer } from '../api/server.js';
import type { ContainerService } from '../containers/service.js';
import type { EngineHost } from '../engine/engine-host.js';
import type { CommandResult, Launcher } from '../namespaces/launcher.js';
import type { NamespacePrograms, NewProgram, StartedProgram } from '../namespaces/programs.js';
import type { Network } from '../network/driver.js';
import type { PortDriver } from '../port/driver.js';
import type { WaitingPort } from '../port/waiting-ports.js';
import type { FollowingResolvConf } from './name-files.js';
import type { StackPorts } from './ports.js';
import type { StateRenewal } from './state-renewal.js';
import type { UndoStack } from './undo.js';

/** The parts of a running stack. */
export interface StackDeps {
  api: APIServer;
  containers: ContainerService | undefined;
  engineHost: EngineHost;
  events: EventBus;
  info: () => Info;
  launcher: Launcher;
  network: Network;
  ports: StackPorts;
  programs: NamespacePrograms;
  renewal: StateRenewal;
  /** Undefined if the child has the host's own. */
  resolvConf: FollowingResolvConf | undefined;
  undo: UndoStack;
}

export class Stack {
  /** What happens in the stack. Connection events are only made while they have a subscriber. */
  readonly events: EventBus;
  /** Undefined if ports cannot be published: with the port drivers `none` and `implicit`. */
  readonly ports: PortDriver | undefined;

  /** See startStack(). */
  constructor(private readonly deps: StackDeps) {
    this.events = deps.events;
    this.ports = deps.ports.driver;
  }

  get info(): Info {
    return this.deps.info();
  }

  /** Starts a program beside the command. Resolves when it runs. Throws CommandError, and NamespaceError. */
  startProgram(program: NewProgram): Promise<StartedProgram> {
    return this.deps.programs.start(program);
  }

  /** Path of the API's socket. */
  get socketPath(): string {
    return statePath(this.deps.info().stateDir, 'apiSocket');
  }

  /** Persistent ports that cannot be published yet. */
  get waitingPorts(): WaitingPort[] {
    return this.deps.ports.waiting?.list() ?? [];
  }

  /** Publishes the ports of the file of persistent ports that are not published yet; those that cannot be now wait. */
  publishPersistent(): Promise<void> {
    return this.deps.ports.publishPersistent();
  }

  /** Recreates the state directory and the sockets in it where they are missing. Never throws: it is tried again. */
  keepInPlace(): Promise<void> {
    return this.deps.renewal.check();
  }

  /**
   * Whether the stack is unused, and has been for so many ms: no container runs or is about to, no port is published
   * except persistent ones, and the API has or had no client.
   */
  async unused(ms: number): Promise<boolean> {
    const { api, containers, ports, renewal } = this.deps;
    const isQuiet = () => {
      const since = renewal.closed ? undefined : api.unusedSince;
      return since !== undefined && performance.now() - since >= ms;
    };
    if (!isQuiet() || this.ports?.list().some((port) => !ports.persistent?.has(port))) return false;
    return (containers ? await containers.inUse() : 0) === 0 && isQuiet();
  }

  /** Resolves with whether everything still runs; not at all where the engine hangs. */
  async healthy(): Promise<boolean> {
    await this.deps.engineHost.roundTrip();
    return !this.deps.launcher.ended;
  }

  /** How the command ended; undefined if it was killed together with the launcher. */
  wait(): Promise<CommandResult | undefined> {
    return this.deps.launcher.wait();
  }

  /**
   * Calls back with each signal that is sent to the process of `child_pid`, or to the process group that it shares with
   * this one, where there is no command.
   */
  onSignal(listener: (number: number) => void): void {
    this.deps.launcher.onSignal(listener);
  }

  /** Passes a signal on to the command; resolves when it has been sent. */
  async signal(number: number): Promise<void> {
    const { engineHost, launcher } = this.deps;
    if (launcher.ended) return;
    launcher.signal(number);
    // The engine's thread sends it, and has done so when it answers a later request.
    return engineHost.roundTrip();
  }

  /** Ends the command if it still runs, and undoes everything. */
  close(): Promise<void> {
    return this.deps.undo.unwind();
  }
}
