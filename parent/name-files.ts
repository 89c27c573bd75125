import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

/** The child's /etc/hosts: the host's, and the host name on loopback. */
export async function hostsFile(): Promise<string> {
  const host = await readFile('/etc/hosts', 'utf8').catch(() => '127.0.0.1 localhost\n::1 localhost\n');
  return `${host}\n127.0.0.1 ${hostname()}\n::1 ${hostname()}\n`;
}

/** The child's /etc/resolv.conf: the network driver's resolvers, with the host's search list and options (resolv.conf(5)). */
export async function resolvConf(dns: readonly string[]): Promise<string> {
  const host = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  const kept = host.split('\n').filter((line) => /^(search|domain|options)\s/.test(line));
  return [...dns.map((ip) => `nameserver ${ip}`), ...kept, ''].join('\n');
}
