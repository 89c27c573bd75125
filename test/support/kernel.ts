// What the kernel has that not all have.
import { spawnSync } from 'node:child_process';
import { pythonProgram } from './paths.js';

/** Whether it can make a device of that kind on top of another one. */
export function hasDeviceKind(kind: string): boolean {
  const script = `ip link add name over0 type veth peer name under0 && ip link add link over0 name top0 type ${kind}`;
  return spawnSync('unshare', ['--user', '--map-root-user', '--net', 'sh', '-c', script]).status === 0;
}

/** What test/programs/python/processes/without.py can hide. */
export type KernelFeature =
  | 'tproxy'
  | 'nat'
  | 'receive-mark'
  | 'veth'
  | 'nf_tables'
  | 'policy-routing'
  | 'packet-sockets'
  | 'ipv6';

/**
 * The words that run a program as on a kernel that lacks these: in a user namespace of its own, or, after those of another
 * wrapper that makes one, in that one (`nested`).
 */
export function without(features: readonly KernelFeature[], { nested = false } = {}): string[] {
  const unshare = nested ? [] : ['unshare', '--user', '--map-root-user'];
  return [...unshare, 'python3', '-c', pythonProgram('processes/without'), features.join()];
}
