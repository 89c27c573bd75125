/** Examines the machine: what works, what does not, and what to do about it. */
import type { Check, Finding, Machine } from './check.js';
import { containers } from './containers.js';
import { idMapPrograms, subIds, userNamespaces } from './namespaces.js';
import { congestionControl, pasta, ping, slirp4netns, tunDevice, unprivilegedPorts } from './network.js';
import { cgroups, openFiles, userManager, whoWeAre } from './system.js';

export type { Finding, Machine } from './check.js';

const checks: readonly Check[] = [
  whoWeAre,
  userNamespaces,
  subIds,
  idMapPrograms,
  tunDevice,
  slirp4netns,
  pasta,
  unprivilegedPorts,
  ping,
  congestionControl,
  openFiles,
  containers,
  cgroups,
  userManager,
];

/** In an order in which people would ask. Changes nothing. */
export async function examine(machine: Machine): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) findings.push(await check(machine));
  return findings;
}
