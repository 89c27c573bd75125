/**
 * OCI hooks, as native/src/oci_hook.c hands them on: the network of a container is set up when an OCI runtime has made its
 * namespaces (createRuntime), and taken away when it is deleted (poststop). For containers of ours, and for those of users
 * who run an OCI runtime themselves; these say what they want by annotations:
 *
 *   rootless-net/networks     JSON list of names; the default network where it is absent
 *   rootless-net/ports        JSON list of what -p takes
 *   rootless-net/name, rootless-net/hostname, rootless-net/domainname
 *   rootless-net/ip, rootless-net/ip6, rootless-net/mac    on the first network
 *
 * Runtimes differ: runc says `creating`, without a pid at poststop; crun says `created`, and pid 0. After a failed
 * createRuntime runc runs poststop, crun does not, nor where another hook fails after ours: what is left then goes with the
 * next createRuntime, or gc. So nothing here depends on status, and poststop may come any number of times, also for what
 * there never was.
 */
import { statSync } from 'node:fs';
import * as z from 'zod';
import { parseAttachmentRequest, parseHostname, parseName } from '../../protocol/container-schemas.js';
import { errorText } from '../../protocol/error-text.js';
import { parsePublish } from '../../protocol/publish-spec.js';
import type { Attachments } from './attachments.js';
import type { Containers } from './containers.js';
import { ContainerError } from './errors.js';
import type { Journal } from './journal.js';
import type { KeyedLock } from './lock.js';

/** What of the state is used (runtime-spec, runtime.md, "State"). */
const stateSchema = z.looseObject({
  // It becomes the name of files, and of an attachment as CNI has it.
  id: z.string().regex(/^[a-zA-Z0-9][\w.-]{0,127}$/),
  pid: z.int().optional(),
  annotations: z.record(z.string(), z.string()).default({}),
});

type State = z.infer<typeof stateSchema>;

const PREFIX = 'rootless-net/';

export class Hooks {
  constructor(
    private readonly containers: Containers,
    private readonly attachments: Attachments,
    private readonly journal: Journal,
    /** Held for containers that are not ours. */
    private readonly locks: KeyedLock,
    /** Takes away what containers have left that went without poststop. */
    private readonly sweep: () => Promise<void>,
    private readonly warn: (line: string) => void,
  ) {}

  /** Throws ContainerError. */
  async run(event: string, body: unknown): Promise<void> {
    const parsed = stateSchema.safeParse(body);
    if (!parsed.success) {
      const where = parsed.error.issues[0]?.path.join('.') ?? '';
      throw new ContainerError(
        `what came is no container's state (OCI runtime specification)${where && `: ${where} is wrong`}`,
      );
    }
    const state = parsed.data;
    const own = this.containers.records.get(state.id) !== undefined;
    if (event === 'createRuntime') {
      if (own) return this.containers.onCreateRuntime(state.id, pidOf(state));
      return this.#create(state).catch((error: unknown) => {
        // crun shows nothing of what a hook says.
        this.warn(`the hook createRuntime of ${state.id} failed: ${errorText(error)}`);
        throw error;
      });
    }
    if (event === 'poststop') return own ? this.containers.onPoststop(state.id) : this.#poststop(state.id);
    throw new ContainerError(`unknown hook ${event}; known are createRuntime and poststop`);
  }

  async #create(state: State): Promise<void> {
    const { id, annotations } = state;
    const text = (name: string) => annotations[`${PREFIX}${name}`] || undefined;
    const checked = <T>(what: string, parse: (given: string) => T): T | undefined => {
      const given = text(what);
      return given === undefined ? undefined : explained(what, () => parse(given));
    };
    const pid = pidOf(state);
    checkNetns(id, pid);
    const first = { ip: text('ip'), ip6: text('ip6'), mac: text('mac') };
    const names = listOf(text('networks'), 'networks');
    const networks = (names.length > 0 ? names : ['bridge']).map((network, index) =>
      explained('networks, ip, ip6, mac', () => parseAttachmentRequest({ network, ...(index === 0 ? first : {}) })),
    );
    const publish = listOf(text('ports'), 'ports').flatMap((port) => explained('ports', () => parsePublish(port)));
    const name = checked('name', parseName) ?? id;
    const hostname = checked('hostname', parseHostname) ?? name;
    const domainname = checked('domainname', parseHostname);
    await this.sweep();
    return this.locks.run(id, async () => {
      await this.attachments.attach({
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
      });
    });
  }

  /** Nobody else will say that the container is removed, so its addresses go, too. */
  #poststop(id: string): Promise<void> {
    return this.locks.run(id, async () => {
      if (await this.journal.read(id)) await this.attachments.detach(id, { addresses: true });
    });
  }
}

/** Throws ContainerError. */
function pidOf({ id, pid = 0 }: State): number {
  if (pid <= 0) throw new ContainerError(`the state of ${id} has no pid, so its network namespace cannot be found`);
  return pid;
}

/** Throws ContainerError where the process is in our network namespace: its devices and routes would become the stack's. */
function checkNetns(id: string, pid: number): void {
  const identity = (owner: string) => {
    const { dev, ino } = statSync(`/proc/${owner}/ns/net`);
    return `${dev} ${ino}`;
  };
  let own: boolean;
  try {
    own = identity(String(pid)) !== identity('self');
  } catch (error) {
    throw new ContainerError(`cannot see the network namespace of ${id}: ${errorText(error)}`);
  }
  if (!own) throw new ContainerError(`the container ${id} has no network namespace of its own; give it one`);
}

/** Throws ContainerError, where what an annotation says cannot be meant. */
function explained<T>(annotation: string, parse: () => T): T {
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
    throw new ContainerError(`the annotation ${PREFIX}${what} is no JSON list of strings: ${text.slice(0, 100)}`);
  }
}
