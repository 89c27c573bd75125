/** Capabilities (capabilities(7)), and which of them a container has. */
import { ContainerOptionError } from './option-error.js';

/** In the order of their numbers. */
const ALL_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** Docker's default set. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** Means all capabilities. */
const ALL = 'ALL';

/** The usual spelling of `net_admin`, `CAP_NET_ADMIN` or `all`. Throws ContainerOptionError. */
export function capabilityName(text: string): string {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  if (name === ALL) return ALL;
  if (ALL_CAPABILITIES.includes(`CAP_${name}`)) return `CAP_${name}`;
  throw new ContainerOptionError(
    `invalid capability ${JSON.stringify(text)}: expected a name such as NET_ADMIN (see capabilities(7)), or ALL`,
  );
}

/**
 * Applies --cap-add and --cap-drop to a set as docker does: drops first, then adds; ALL means all except those that the other
 * option names.
 *
 * @param add and `drop` as capabilityName() gives them
 */
export function changedCapabilities(
  set: readonly string[],
  { add, drop }: { add: readonly string[]; drop: readonly string[] },
): string[] {
  if (add.includes(ALL)) return ALL_CAPABILITIES.filter((name) => !drop.includes(name));
  const left = drop.includes(ALL) ? [] : set.filter((name) => !drop.includes(name));
  return [...new Set([...left, ...add])];
}
