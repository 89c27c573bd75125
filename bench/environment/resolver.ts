// The host's DNS server for one row: programs that read /etc/resolv.conf find it there. Only in a mount namespace of our own.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A loopback address, as that of a host with a resolver of its own. */
export const resolverAddress = '127.0.0.53';
export const resolverPort = 53;

const configuration = '/etc/resolv.conf';

/** Runs `action` while /etc/resolv.conf names our resolver, which an ordinary user may run. */
export async function withResolver<T>(directory: string, action: () => Promise<T>): Promise<T> {
  const file = join(directory, 'resolv.conf');
  writeFileSync(file, `nameserver ${resolverAddress}\n`, { mode: 0o644 });
  writeFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', String(resolverPort));
  mustRun('mount', '--bind', file, configuration);
  try {
    return await action();
  } finally {
    mustRun('umount', '--lazy', configuration);
  }
}

function mustRun(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`);
}
