/**
 * OCI hooks, as native/src/container/oci_hook.c forwards them: a container is attached to its networks when an OCI runtime
 * has created its namespaces (createRuntime), and detached when it is deleted (poststop). They serve the containers of this
 * engine, and those of users who run an OCI runtime themselves, which are configured by annotations:
 *
 *   rootless-net/networks     JSON list of names; the default network unless given
 *   rootless-net/ports        JSON list of published ports in the syntax of -p
 *   rootless-net/name, rootless-net/hostname, rootless-net/domainname
 *   rootless-net/ip, rootless-net/ip6, rootless-net/mac    on the first network
 *
 * Runtimes differ: runc sends the status `creating`, and no pid at poststop; crun sends `created`, and pid 0. After a failed
 * createRuntime runc runs poststop; crun does not, nor if another hook fails after this one: what remains then is removed
 * by the next createRuntime, or gc. So nothing here depends on the status, and poststop may come any number of times, also
 * for containers that were never attached.
 */
import { statSync } from 'node:fs';
import * as z from 'zod';
import { parseAttachmentRequest, parseHostname, parseName } from '../../../protocol/containers/schemas.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { cniMappingOf } from '../../../protocol/ports/cni-json.js';
import { parsePublish } from '../../../protocol/ports/grammar.js';
import { ConflictError, ContainerError } from '../errors.js';
import type { ContainerManager } from '../lifecycle/manager.js';
import type { AttachRequest } from '../network/attach-request.js';
import type { Attacher } from '../network/attacher.js';
import { DEFAULT_NETWORK } from '../network/network.js';
import type { Journal } from '../storage/journal.js';
import type { KeyedLock } from '../storage/lock.js';

/** The used part of the state (runtime-spec, runtime.md, "State"). */
const stateSchema = z.looseObject({
  // It becomes the name of files, and a container id of CNI.
  id: z.string().regex(/^[a-zA-Z0-9][\w.-]{0,127}$/),
  pid: z.int().optional(),
  annotations: z.record(z.string(), z.string()).default({}),
});

type State = z.infer<typeof stateSchema>;

const PREFIX = 'rootless-net/';
/** How long nobody looks again for containers that have ended without poststop, in ms. */
const RECENTLY = 25;

export interface OCIHooksDeps {
  containers: Pick<ContainerManager, 'store' | 'onCreateRuntime' | 'onPoststop'>;
  attacher: Attacher;
  journal: Journal;
  /** Held for containers of other OCI runtimes. */
  locks: KeyedLock;
  /** Removes what containers that ended without poststop have left; see ContainerLiveness.detachDead(). */
  sweep: (recently?: number) => Promise<boolean>;
  warn: (line: string) => void;
}

export class OCIHooks {
  constructor(private readonly deps: OCIHooksDeps) {}

  /** Throws ContainerError. */
  async run(event: string, body: unknown): Promise<void> {
    const parsed = stateSchema.safeParse(body);
    if (!parsed.success) {
      const where = parsed.error.issues[0]?.path.join('.') ?? '';
      throw new ContainerError(
        `invalid container state: expected that of the OCI runtime specification${where && `; ${where} is wrong`}`,
      );
    }
    const state = parsed.data;
    const own = this.deps.containers.store.get(state.id) !== undefined;
    if (event === 'createRuntime') {
      if (own) return this.deps.containers.onCreateRuntime(state.id, pidOf(state));
      return this.#create(state).catch((error: unknown) => {
        // crun does not show the output of hooks.
        this.deps.warn(`the hook createRuntime of ${state.id} failed: ${errorText(error)}`);
        throw error;
      });
    }
    if (event === 'poststop') return own ? this.deps.containers.onPoststop(state.id) : this.#poststop(state.id);
    throw new ContainerError(`unknown hook ${event}; supported are createRuntime and poststop`);
  }

  async #create(state: State): Promise<void> {
    const { id, annotations } = state;
    const text = (name: string) => annotations[`${PREFIX}${name}`] || undefined;
    const checked = <T>(what: string, parse: (value: string) => T): T | undefined => {
      const value = text(what);
      return value === undefined ? undefined : parseAnnotation(what, () => parse(value));
    };
    const pid = pidOf(state);
    checkNetns(id, pid);
    const first = { ip: text('ip'), ip6: text('ip6'), mac: text('mac') };
    const names = listOf(text('networks'), 'networks');
    const networks = (names.length > 0 ? names : [DEFAULT_NETWORK]).map((network, index) =>
      parseAnnotation('networks, ip, ip6, mac', () =>
        parseAttachmentRequest({ network, ...(index === 0 ? first : {}) }),
      ),
    );
    const publish = listOf(text('ports'), 'ports').map((port) =>
      parseAnnotation('ports', () => cniMappingOf(parsePublish(port))),
    );
    const name = checked('name', parseName) ?? id;
    const hostname = checked('hostname', parseHostname) ?? name;
    const domainname = checked('domainname', parseHostname);
    const request: AttachRequest = {
      id,
      own: false,
      name,
      hostname,
      domainname,
      extraHosts: [],
      netns: `/proc/${pid}/ns/net`,
      pid,
      networks,
      publish,
    };
    // Looking for the dead takes long where many are attached at once. What is in the way may have ended since.
    const swept = await this.deps.sweep(RECENTLY);
    await this.#attach(request).catch(async (error: unknown) => {
      if (swept || !(error instanceof ConflictError)) throw error;
      await this.deps.sweep();
      await this.#attach(request);
    });
  }

  #attach(request: AttachRequest): Promise<void> {
    return this.deps.locks.run(request.id, async () => {
      await this.deps.attacher.attach(request);
    });
  }

  /** Removal of the container is not reported separately, so its addresses are released as well. */
  #poststop(id: string): Promise<void> {
    return this.deps.locks.run(id, async () => {
      if (await this.deps.journal.read(id)) await this.deps.attacher.detachAside(id, { addresses: true, own: false });
    });
  }
}

/** Throws ContainerError. */
function pidOf({ id, pid = 0 }: State): number {
  if (pid <= 0) throw new ContainerError(`the state of ${id} has no pid, so its network namespace cannot be found`);
  return pid;
}

/** Throws ContainerError if the process is in the stack's network namespace, whose devices and routes would change. */
function checkNetns(id: string, pid: number): void {
  const identity = (owner: string) => {
    const { dev, ino } = statSync(`/proc/${owner}/ns/net`);
    return `${dev} ${ino}`;
  };
  let own: boolean;
  try {
    own = identity(String(pid)) !== identity('self');
  } catch (error) {
    throw new ContainerError(`cannot read the network namespace of ${id}: ${errorText(error)}`);
  }
  if (!own) throw new ContainerError(`the container ${id} has no network namespace of its own; give it one`);
}

/** Runs the parser of an annotation. Throws ContainerError, which names the annotation. */
function parseAnnotation<T>(annotation: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new ContainerError(`annotation ${PREFIX}${annotation}: ${errorText(error)}`);
  }
}

/** Throws ContainerError. */
function listOf(text: string | undefined, what: string): string[] {
  if (text === undefined) return [];
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch {
    throw new ContainerError(
      `invalid annotation ${PREFIX}${what}: expected a JSON list of strings, not ${text.slice(0, 100)}`,
    );
  }
}
