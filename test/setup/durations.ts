// How long test files take, for runs that divide them; see jobs.ts. A stale number costs balance, and nothing else.
import { nameOf } from './test-files.js';

/** Seconds on a quiet machine, of files that take 4 or more. With --durations a run prints such lines. */
const slow: Readonly<Record<string, number>> = {
  'compat/consumers/docker': 20,
  'compat/consumers/start-scripts': 5,
  'compat/differential/contract': 5,
  'compat/differential/differential': 23,
  'compat/scripts': 5,
  'integration/command/command': 4,
  'integration/command/front': 4,
  'integration/containers/lifecycle/restarts': 5,
  'integration/containers/lifecycle/stacks': 21,
  'integration/containers/network/attachments/network-modes': 6,
  'integration/containers/network/attachments/reachability': 5,
  'integration/containers/network/cni/dhcp': 10,
  'integration/containers/network/cni/exchange': 5,
  'integration/containers/network/cni/macvlan': 5,
  'integration/containers/network/cni/networks': 10,
  'integration/containers/network/name-files/hosts': 8,
  'integration/containers/network/name-files/resolv-conf': 8,
  'integration/containers/network/network-commands': 7,
  'integration/containers/network/shared-network': 7,
  'integration/containers/network/subnets': 4,
  'integration/containers/oci/hooks': 37,
  'integration/containers/oci/options': 4,
  'integration/containers/ports/published/allocation': 5,
  'integration/containers/process/exec': 8,
  'integration/containers/process/interactive': 6,
  'integration/containers/process/logs': 12,
  'integration/containers/recovery/gc': 26,
  'integration/containers/recovery/kills': 41,
  'integration/containers/recovery/offline': 21,
  'integration/containers/recovery/parallel': 13,
  'integration/containers/recovery/recovery': 41,
  'integration/containers/recovery/survivors': 16,
  'integration/network/network': 4,
  'integration/network/outbound/programs': 9,
  'integration/network/restart': 5,
  'integration/ports/agent-flood': 5,
  'integration/ports/builtin': 39,
  'integration/ports/bypass/driver': 22,
  'integration/ports/bypass/hostile': 7,
  'integration/ports/bypass/sockets': 6,
  'integration/ports/servers': 23,
  'integration/ports/slirp4netns': 7,
  'integration/stack/endings': 20,
  'integration/stack/faults/agent-hangs': 7,
  'integration/stack/stacks': 13,
  'integration/stack/state-dir': 4,
  'system/containers': 16,
  'system/install': 9,
  'system/service': 4,
};

/** Seconds of other files. */
const others: Readonly<Record<string, number>> = { 'unit/native': 2, unit: 0.25 };
const usual = 1.5;

/** What a compiled test file takes, in seconds. */
export function estimatedSeconds(file: string): number {
  const name = nameOf(file);
  return slow[name] ?? others[name.split('/').slice(0, 2).join('/')] ?? others[name.split('/')[0] ?? ''] ?? usual;
}

/** Lines for the table above, of what files took in a run. */
export function describeSeconds(seconds: Readonly<Record<string, number>>): string {
  return Object.entries(seconds)
    .filter(([, took]) => took >= 4)
    .map(([file, took]) => `  '${nameOf(file)}': ${Math.round(took)},\n`)
    .sort()
    .join('');
}
