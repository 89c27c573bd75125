/**
 * Step of the start: /etc/hosts and /etc/resolv.conf of the namespaces. Read and written synchronously, since the start
 * waits for them: other threads would take longer.
 */
import { closeSync, ftruncateSync, readFileSync, readSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import type { NetworkDriverInfo } from '../../protocol/api/types.js';
import { HOST_NAMES } from '../../protocol/net/host-names.js';
import { ownHostsLine } from '../dns/own-names.js';
import { NetworkError } from '../errors.js';
import { type Launcher, LauncherRequestError } from '../namespaces/launcher.js';
import type { Network } from '../network/driver.js';
import { type HostReach, hostAddressInside } from '../network/host/gateway.js';
import type { StateDir } from '../state/state-dir.js';
import { hasOwnNetwork, type StartContext } from './options.js';

/**
 * Writes the files into the state directory, and has them mounted where the command has a network of its own. Resolves
 * with the resolv.conf, undefined if the command has the host's. Throws NetworkError.
 */
export async function writeNameFiles(
  { options, log, undo }: StartContext,
  { launcher, network, stateDir }: { launcher: Launcher; network: Network; stateDir: StateDir },
): Promise<FollowingResolvConf | undefined> {
  if (!network.info) return undefined;
  const dns = network.info.dns ?? [];
  const text = resolvConf(dns);
  const files = [
    [
      '/etc/hosts',
      'hosts',
      hostsFile(`${hostNames(network.info, options.network)}${ownHostsLine(options.name?.text)}`),
    ],
    ['/etc/resolv.conf', 'resolvConf', text],
  ] as const;
  const mounted = hasOwnNetwork(options);
  const copied = options.copyUp.includes('/etc');
  await Promise.all(
    files.map(async ([target, name, content]) => {
      const source = stateDir.write(name, content);
      if (!mounted) return;
      try {
        await launcher.request('bind-file', source, target, copied ? 'replace' : 'keep');
      } catch (error) {
        if (!(error instanceof LauncherRequestError)) throw error;
        if (copied) throw new NetworkError(`cannot set up ${target}: ${error.message}`);
        log.warn(`${target} is the host's: ${error.message}; use --copy-up=/etc`);
      }
    }),
  );
  if (!copied && mounted)
    log.debug('mounting /etc/resolv.conf without copying up /etc: it may change when the host changes its own');
  const following = new FollowingResolvConf(stateDir.open('resolvConf'), dns, text);
  undo.push('close resolv.conf', () => following.close());
  return following;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Lines of hosts(5) for names of the host; "" where nothing of it can be reached. */
export function hostNames(network: NetworkDriverInfo, reach: HostReach): string {
  const ip = hostAddressInside(network, reach);
  return ip === '' ? '' : `${ip} ${HOST_NAMES.join(' ')}\n`;
}

/**
 * The child's /etc/hosts: the host's, and the host name on loopback. Names of the host come first: on the host, the same
 * ones may lead elsewhere.
 */
function hostsFile(namesOfHost: string): string {
  const host = read('/etc/hosts') ?? '127.0.0.1 localhost\n::1 localhost\n';
  return `${namesOfHost}${host}\n127.0.0.1 ${hostname()}\n::1 ${hostname()}\n`;
}

/** The child's /etc/resolv.conf: the network driver's DNS servers, with the host's search list and options (resolv.conf(5)). */
export function resolvConf(dns: readonly string[]): string {
  const host = read('/etc/resolv.conf') ?? '';
  const kept = host.split('\n').filter((line) => /^(search|domain|options)\s/.test(line));
  return [...dns.map((ip) => `nameserver ${ip}`), ...kept, ''].join('\n');
}

/** The child's /etc/resolv.conf as a mounted file, held by a descriptor: its path may lead to another file by now. */
export class FollowingResolvConf {
  #written: Buffer;

  /**
   * @param fd of the file, open for reading and writing; it is closed by close()
   * @param text what has been written to it
   */
  constructor(
    private readonly fd: number,
    private readonly dns: readonly string[],
    text: string,
  ) {
    this.#written = Buffer.from(text);
  }

  /**
   * Writes the host's current search list and options, unless the file was edited inside. Throws system errors.
   */
  follow(): void {
    const data = Buffer.from(resolvConf(this.dns));
    if (data.equals(this.#written) || this.#isEdited()) return;
    this.#written = data;
    // In place: it is mounted.
    for (let at = 0; at < data.length; ) at += writeSync(this.fd, data, at, data.length - at, at);
    ftruncateSync(this.fd, data.length);
  }

  close(): void {
    closeSync(this.fd);
  }

  #isEdited(): boolean {
    const found = Buffer.alloc(this.#written.length + 1);
    const length = readSync(this.fd, found, 0, found.length, 0);
    return !found.subarray(0, length).equals(this.#written);
  }
}
