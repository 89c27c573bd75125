import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The bridge that lxc-user-nic connects to, and the address of the host in it. */
export const bridge = 'lxcbr0';
export const bridgeAddress = '10.124.0.1';

/** Whether it is there: only root can make it, so tests that an ordinary user runs do without. */
export function hasBridge(): boolean {
  return readFileSync('/proc/net/dev', 'utf8').includes(`${bridge}:`);
}

function command(program: string, ...args: string[]): void {
  const result = spawnSync(program, args, { encoding: 'utf8' });
  if (result.status !== 0)
    throw new Error(`${program} ${args.join(' ')} failed: ${result.stderr || result.error?.message}`);
}

/** Has /sys show the devices of this network namespace, where lxc-user-nic looks for the bridge; cgroups stay. */
function showOwnDevices(directory: string): void {
  const kept = join(directory, 'cgroup');
  mkdirSync(kept);
  command('mount', '--rbind', '/sys/fs/cgroup', kept);
  command('mount', '-t', 'sysfs', 'sysfs', '/sys');
  command('mount', '--rbind', kept, '/sys/fs/cgroup');
  // Else what is below it would go there, too.
  command('mount', '--make-rprivate', kept);
  command('umount', '--lazy', kept);
}

/**
 * Makes the bridge with a server for DHCP and DNS, in a network namespace that is new, and lets the user use it, in a
 * mount namespace that is new. The server is to be killed at the end.
 */
export function makeLxcBridge(user: string, directory: string): ChildProcess {
  showOwnDevices(directory);
  command('ip', 'link', 'add', bridge, 'type', 'bridge');
  command('ip', 'addr', 'add', `${bridgeAddress}/24`, 'dev', bridge);
  command('ip', 'link', 'set', bridge, 'up');
  const allowed = join(directory, 'lxc-usernet');
  writeFileSync(allowed, `${user} veth ${bridge} 10\n`);
  if (!existsSync('/etc/lxc/lxc-usernet')) {
    mkdirSync('/etc/lxc', { recursive: true });
    writeFileSync('/etc/lxc/lxc-usernet', '');
  }
  command('mount', '--bind', allowed, '/etc/lxc/lxc-usernet');
  const dnsmasq = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--pid-file='];
  const network = [`--interface=${bridge}`, '--bind-interfaces', '--except-interface=lo', '--user=root'];
  const dhcp = ['--dhcp-range=10.124.0.50,10.124.0.90,1h', `--dhcp-leasefile=${join(directory, 'leases')}`];
  const names = ['--address=/name.test/10.124.0.1', '--dhcp-authoritative', '--no-ping'];
  return spawn('dnsmasq', [...dnsmasq, ...network, ...dhcp, ...names], { stdio: 'ignore' });
}
