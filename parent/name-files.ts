/** The files of names. Read and written at once, since the start waits for it: other threads would take longer. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The child's /etc/hosts: the host's, and the host name on loopback. */
export function hostsFile(): string {
  const host = read('/etc/hosts') ?? '127.0.0.1 localhost\n::1 localhost\n';
  return `${host}\n127.0.0.1 ${hostname()}\n::1 ${hostname()}\n`;
}

/** The child's /etc/resolv.conf: the network driver's resolvers, with the host's search list and options (resolv.conf(5)). */
export function resolvConf(dns: readonly string[]): string {
  const host = read('/etc/resolv.conf') ?? '';
  const kept = host.split('\n').filter((line) => /^(search|domain|options)\s/.test(line));
  return [...dns.map((ip) => `nameserver ${ip}`), ...kept, ''].join('\n');
}
