/**
 * Examines the machine: what works, what does not, and what to do about it. Checks are pure functions of a Machine
 * (check.ts), a file for each subject; this-machine.ts is the real one. Nothing here changes the machine.
 */
import type { Check, Finding, Machine } from './check.js';
import { containers } from './containers.js';
import { idMapPrograms, subIds, userNamespaces } from './namespaces.js';
import { builtin, congestionControl, pasta, ping, slirp4netns, tunDevice, unprivilegedPorts } from './network.js';
import { subnets } from './subnets.js';
import { cgroups, openFiles, user, userManager } from './system.js';
import { wireguard } from './tunnels.js';

export type { Finding, Machine } from './check.js';

const checks: readonly Check[] = [
  user,
  userNamespaces,
  subIds,
  idMapPrograms,
  builtin,
  tunDevice,
  slirp4netns,
  pasta,
  unprivilegedPorts,
  ping,
  congestionControl,
  openFiles,
  containers,
  wireguard,
  subnets,
  cgroups,
  userManager,
];

/** Runs all checks, the most basic first. Changes nothing. */
export async function examine(machine: Machine): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) findings.push(await check(machine));
  return findings;
}
