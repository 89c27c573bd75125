/** The files in /etc of a container that concern names: resolv.conf, hostname, and an initial hosts (see peer-registry.ts). */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AttachmentRequest } from '../../../../protocol/containers/types.js';
import { HOST_NAMES } from '../../../../protocol/net/host-names.js';
import { familyOf } from '../../../../protocol/net/ip.js';
import type { HostInfo } from '../../../../protocol/wire/messages.js';
import { ContainerError } from '../../errors.js';
import { readText, write } from '../../storage/atomic-files.js';
import type { ContainerRecord, ContainerStore } from '../../storage/container-store.js';
import { mainNetworkOf } from '../attach-request.js';
import { isInternal, type Network, type ResolvedAttachment, subnetsOf } from '../network.js';
import { type ExtraHost, writeInPlace } from './hosts.js';
import type { PeerRegistry } from './peer-registry.js';
import { containerResolvConf, hostResolvConf, type Reach } from './resolv-conf.js';

const RESOLV_CONF = 'resolv.conf';
/** A file beside it, with the digest of each text that was written, or is about to be. */
const WRITTEN = 'resolv.conf.written';

/** Readable by all users of the container. */
const MODE = 0o644;

export interface NameFilesDeps {
  store: Pick<ContainerStore, 'directoryOf' | 'find'>;
  peers: Pick<PeerRegistry, 'note' | 'prepare'>;
  networks: { resolve(requests: readonly AttachmentRequest[]): Promise<ResolvedAttachment[]> };
  /** The DNS servers of a network, which is served from then on; none where there cannot be one. */
  nameServersOf: (network: Network) => readonly string[];
  host: { info: () => Promise<HostInfo>; refresh: () => Promise<HostInfo> };
  /** The stack's own hosts file, which is not in /etc where its network namespace is detached. */
  stackHosts: string;
}

export class NameFiles {
  constructor(private readonly deps: NameFilesDeps) {}

  /** Directory of the files of a container: that of the container whose network it shares, directly or not. */
  directoryOf({ id, request: { network } }: ContainerRecord): string {
    if (network.mode !== 'container') return this.deps.store.directoryOf(id);
    return this.directoryOf(this.deps.store.find(network.container));
  }

  /** Writes the files of a container that is created or started. Throws ContainerError. */
  async write(record: ContainerRecord): Promise<void> {
    const { id, request, hostname } = record;
    const { network } = request;
    if (network.mode === 'container') return;
    // What the host had a moment ago does not do: nothing would correct it within the next half second.
    const hostInfo = await this.deps.host.refresh();
    const directory = this.deps.store.directoryOf(id);
    const resolvConf = await this.#resolvConf(record, hostInfo);
    const current = await contentOf(directory);
    if (!current.isEdited) {
      await replace(directory, current.text, resolvConf, async (path) => write(path, resolvConf, MODE));
    }
    write(join(directory, 'hostname'), `${hostname}\n`, MODE);
    if (!existsSync(join(directory, 'hosts'))) {
      const text =
        network.mode === 'host' ? ((await readText(this.deps.stackHosts)) ?? (await readText('/etc/hosts')) ?? '') : '';
      write(join(directory, 'hosts'), text, MODE);
    }
    await this.deps.peers.prepare(id, extraHostsOf(record, hostInfo), []);
    await this.note(record);
  }

  /** Updates meta.json of a container that is on no network now. Throws ContainerError. */
  async note(record: ContainerRecord): Promise<void> {
    const { id, name, hostname, request } = record;
    const extraHosts = extraHostsOf(record, await this.deps.host.info());
    await this.deps.peers.note({ id, name, hostname, domainname: request.domainname, extraHosts });
  }

  /**
   * Updates resolv.conf of a running container in place, since it is bind-mounted; a file that the user has edited is kept.
   * Throws ContainerError.
   */
  async follow(record: ContainerRecord): Promise<void> {
    if (record.request.network.mode === 'container') return;
    const directory = this.deps.store.directoryOf(record.id);
    const text = await this.#resolvConf(record, await this.deps.host.info());
    const current = await contentOf(directory);
    if (current.text === text || current.isEdited) return;
    await replace(directory, current.text, text, (path) => writeInPlace(path, text));
  }

  async #resolvConf({ request }: ContainerRecord, hostInfo: HostInfo): Promise<string> {
    const resolved =
      request.network.mode === 'networks' ? await this.deps.networks.resolve(request.network.networks) : [];
    return containerResolvConf({
      own: this.#nameServer(resolved),
      mode: request.network.mode === 'none' ? 'none' : 'bridge',
      host: hostResolvConf(hostInfo.resolvConf, hostInfo.resolvedConf),
      reach: reachOf(request.network.mode, resolved, hostInfo),
      fallback: hostInfo.dns,
      policed: hostInfo.direct !== '' && (hostInfo.policed || isPoliced(request, resolved)),
      dns: request.dns,
      search: request.dnsSearch,
      options: request.dnsOptions,
    });
  }

  /** One knows the names of all networks that the container is on. */
  #nameServer(resolved: readonly ResolvedAttachment[]): string | undefined {
    const main = mainNetworkOf(resolved);
    const networks = [...(main ? [main] : []), ...resolved.map(({ network }) => network)];
    return networks.flatMap((network) => this.deps.nameServersOf(network))[0];
  }
}

/** Whether a container, or a network of it, has an egress policy. */
function isPoliced({ egress }: ContainerRecord['request'], resolved: readonly ResolvedAttachment[]): boolean {
  return egress.length > 0 || resolved.some(({ network }) => network.egress.length > 0);
}

/** What a container on these networks reaches. */
function reachOf(
  mode: ContainerRecord['request']['network']['mode'],
  resolved: readonly ResolvedAttachment[],
  { reach }: HostInfo,
): Reach {
  if (mode === 'host') return reach;
  // The namespace of another container: unknown.
  if (mode !== 'networks') return { v4: true, v6: true };
  const reaches = resolved.map(({ network }) => reachThrough(network, reach));
  return { v4: reaches.some(({ v4 }) => v4), v6: reaches.some(({ v6 }) => v6) };
}

/** The text of resolv.conf, and whether it differs from what was last written; unknown counts as unedited. */
async function contentOf(directory: string): Promise<{ text: string; isEdited: boolean }> {
  const written = await readText(join(directory, WRITTEN));
  let text: string | undefined;
  try {
    text = await readText(join(directory, RESOLV_CONF));
  } catch {
    // A file that cannot be read, or is too large, was not written here.
    return { text: '', isEdited: written !== undefined };
  }
  if (text === undefined || written === undefined) return { text: text ?? '', isEdited: false };
  return { text, isEdited: !written.includes(digest(text)) };
}

/** Until the file is complete, the old text, the new one and an empty one count as unedited, in case of a crash. */
async function replace(
  directory: string,
  before: string,
  after: string,
  put: (path: string) => Promise<void>,
): Promise<void> {
  if (before !== after) write(join(directory, WRITTEN), [before, after, ''].map(digest).join(''));
  await put(join(directory, RESOLV_CONF));
  write(join(directory, WRITTEN), digest(after));
}

/** A line with the digest of the text. */
function digest(text: string): string {
  return `${createHash('sha256').update(text).digest('hex')}\n`;
}

/** The families that containers reach through a network, where the stack itself reaches `outside`. */
function reachThrough(network: Network, outside: Reach): Reach {
  if (isInternal(network)) return { v4: false, v6: false };
  const subnets = subnetsOf(network).map(({ subnet }) => subnet);
  const has = (v6: boolean) => subnets.length === 0 || subnets.some((subnet) => (familyOf(subnet) === 6) === v6);
  // Containers with a device of their own, such as macvlan, may have a route that the stack lacks.
  const { v4, v6 } = ['bridge', 'ptp'].includes(network.driver) ? outside : { v4: true, v6: true };
  return { v4: v4 && has(false), v6: v6 && has(true) };
}

/** The user-defined entries of the hosts file, and the names of the host that they leave. Throws ContainerError. */
export function extraHostsOf({ request }: ContainerRecord, { hostAddress, hostGatewayIP }: HostInfo): ExtraHost[] {
  const named = request.addHosts.map(({ host, ip }) => {
    if (ip !== 'host-gateway') return { host, ip };
    if (hostGatewayIP === '') throw new ContainerError(`the host has no address for host-gateway of ${host}`);
    return { host, ip: hostGatewayIP };
  });
  // With the stack's network the file is the stack's, which has them.
  if (hostAddress === '' || request.network.mode !== 'networks') return named;
  const free = HOST_NAMES.filter((name) => !named.some(({ host }) => host === name));
  return [...named, ...free.map((host) => ({ host, ip: hostAddress }))];
}
