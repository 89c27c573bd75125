/**
 * Network namespaces that containers share (--net=container:NAME).
 *
 * Theory of operation. A namespace belongs to all containers that run in it, and exists until the last of them ends. The
 * container NAME, whose interfaces and addresses are in it, is started in it again if it was stopped meanwhile, so that the
 * others get its interfaces back; until then they have loopback only. Nothing is recorded for that, and a crash loses
 * nothing: a process keeps the namespace, and the container records have its pid.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { shortId } from '../../../protocol/containers/short-id.js';
import type { SharedNetworkReport } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { ConflictError, ContainerError } from '../errors.js';
import type { ContainerRecord, ContainerStore, RunRecord } from '../storage/container-store.js';
import type { ContainerProcesses } from './container-processes.js';

/** A namespace that is kept, and its path valid, until this is disposed of. */
export interface HeldNamespace extends Disposable {
  readonly path: string;
}

export class SharedNamespaces {
  constructor(
    private readonly store: ContainerStore,
    private readonly processes: ContainerProcesses,
  ) {}

  /** The namespace of a running container, for another one to share. Throws ConflictError if it does not run. */
  of(target: string): HeldNamespace {
    const record = this.store.get(target);
    if (!record) {
      throw new ConflictError(`the container ${shortId(target)}, whose network this one shares, has been removed`, {
        hint: 'create this one again with another --network',
      });
    }
    const held = this.#hold(this.#running(record.id));
    if (held) return held;
    throw new ConflictError(
      `the container ${record.name}, whose network this one shares, is not running; start it first`,
    );
  }

  /** The namespace of a container that does not run, where others are still in it. */
  remaining(id: string): HeldNamespace | undefined {
    for (const sharer of this.#sharers(id)) {
      const held = this.#hold(this.#running(sharer.id));
      if (held) return held;
    }
    return undefined;
  }

  /** Names of the containers that share a container's namespace, or will when they run. */
  sharersOf(id: string): string[] {
    return this.#sharers(id).map(({ name }) => name);
  }

  /** Which container's network a container shares, and its state; undefined for one with a network of its own. */
  report({ id, request }: ContainerRecord): SharedNetworkReport | undefined {
    if (request.network.mode !== 'container') return undefined;
    let owner = request.network.container;
    for (;;) {
      const record = this.store.get(owner);
      if (!record) return { container: owner, state: 'removed' };
      const { network } = record.request;
      if (network.mode !== 'container') {
        const [theirs, ours] = [this.#running(owner), this.#running(id)];
        const state = !theirs ? 'stopped' : ours && identity(theirs) !== identity(ours) ? 'lost' : 'running';
        return { container: owner, name: record.name, state };
      }
      owner = network.container;
    }
  }

  /** The containers that share its namespace, directly or through another one. */
  #sharers(id: string): ContainerRecord[] {
    const direct = this.store
      .all()
      .filter(({ request: { network } }) => network.mode === 'container' && network.container === id);
    return direct.flatMap((record) => [record, ...this.#sharers(record.id)]);
  }

  #running(id: string): RunRecord | undefined {
    const run = this.store.run(id);
    if (run?.status !== 'running' || this.processes.isOfEarlierStack(run)) return undefined;
    return this.processes.isRunning(run) ? run : undefined;
  }

  #hold(run: RunRecord | undefined): HeldNamespace | undefined {
    if (run === undefined) return undefined;
    let fd: number;
    try {
      fd = openSync(netnsOf(run), 'r');
    } catch (error) {
      if (!this.processes.isRunning(run)) return undefined;
      throw new ContainerError(`cannot open the network namespace of the process ${run.pid}: ${errorText(error)}`, 500);
    }
    const dispose = () => closeSync(fd);
    // Its pid may have become another process's in between.
    if (!this.processes.isRunning(run)) {
      dispose();
      return undefined;
    }
    return { path: `/proc/${process.pid}/fd/${fd}`, [Symbol.dispose]: dispose };
  }
}

function netnsOf({ pid = 0 }: RunRecord): string {
  return `/proc/${pid}/ns/net`;
}

/** Identity of its namespace; undefined if it has just ended. */
function identity(run: RunRecord): string | undefined {
  const entry = statSync(netnsOf(run), { throwIfNoEntry: false });
  return entry && `${entry.dev} ${entry.ino}`;
}
