import { pythonProgram } from '../paths.js';

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
