/**
 * The profile of containers that request none.
 *
 * System calls that ordinary programs need are allowed. All others fail with ENOSYS, so that programs use their fallback, or
 * with EPERM where an explicit refusal is better. The list is the one that the machine's administrator or distribution has
 * for container engines, or ours where there is none. In either case creating namespaces, mounting file systems and reaching
 * the kernel's keys is reserved for containers with CAP_SYS_ADMIN: in a namespace of its own a program has all capabilities,
 * and with them much more of the kernel to attack.
 */
import { errnoName, errorText } from '../../../../protocol/errors/error-text.js';
import { readRegularFile } from '../../../../protocol/system/regular-file.js';
import { ALLOWED } from './allowed.js';
import { configOf, parseProfile, type SeccompConfig, type SeccompProfile } from './profile.js';

/** The first that exists is used; the administrator's comes first. */
const SYSTEM_PROFILES = ['/etc/containers/seccomp.json', '/usr/share/containers/seccomp.json'];

/** No distribution has programs for it; filters for it take a third of the time that a container takes to start. */
const UNUSED_ARCHITECTURE = 'SCMP_ARCH_X32';
const EPERM = 1;
const ENOSYS = 38;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (clone(2)). */
const NEW_NAMESPACES = 0x7e020000;

/** Never needed, and dangerous: refused even where the system's list allows them. */
const DENIED = [
  'add_key',
  'keyctl',
  'request_key',
  'kexec_file_load',
  'kexec_load',
  'nfsservctl',
  'swapoff',
  'swapon',
  'sysfs',
  'uselib',
  'userfaultfd',
  'ustat',
  'vm86',
  'vm86old',
];

/** Refused without the capability. */
const BY_CAPABILITY: Readonly<Record<string, readonly string[]>> = {
  CAP_DAC_READ_SEARCH: ['open_by_handle_at'],
  CAP_SYS_ADMIN: [
    'bpf',
    'fanotify_init',
    'fsconfig',
    'fsmount',
    'fsopen',
    'fspick',
    'lookup_dcookie',
    'mount',
    'mount_setattr',
    'move_mount',
    'open_tree',
    'open_tree_attr',
    'perf_event_open',
    'pivot_root',
    'quotactl',
    'quotactl_fd',
    'setdomainname',
    'sethostname',
    'setns',
    'umount',
    'umount2',
    'unshare',
  ],
  CAP_SYS_BOOT: ['reboot'],
  CAP_SYS_CHROOT: ['chroot'],
  CAP_SYS_MODULE: ['delete_module', 'finit_module', 'init_module', 'query_module'],
  CAP_SYS_PACCT: ['acct'],
  CAP_SYS_PTRACE: ['kcmp', 'process_madvise'],
  CAP_SYS_RAWIO: ['ioperm', 'iopl'],
  CAP_SYS_TIME: ['clock_settime', 'clock_settime64', 'settimeofday', 'stime'],
  CAP_SYS_TTY_CONFIG: ['vhangup'],
  CAP_SYSLOG: ['syslog'],
};

/** The filter for programs that can have these capabilities. */
export function defaultSeccomp(capabilities: readonly string[], warn: (line: string) => void): SeccompConfig {
  return seccompFrom(systemProfile(warn) ?? OWN, capabilities);
}

/** The filter from a profile that is not the user's choice. Exported for tests. */
export function seccompFrom(profile: SeccompProfile, capabilities: readonly string[]): SeccompConfig {
  return withoutReserved(configOf(profile, capabilities), capabilities);
}

/** The system's profile that was used last: parsing it takes milliseconds, and each start needs it. */
let parsed: { text: string; profile: SeccompProfile } | undefined;

/** Undefined if none exists, or none is valid. */
function systemProfile(warn: (line: string) => void): SeccompProfile | undefined {
  for (const path of SYSTEM_PROFILES) {
    try {
      const text = readRegularFile(path);
      if (parsed?.text !== text) parsed = { text, profile: parseProfile(text, path) };
      return parsed.profile;
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') warn(`cannot use ${path} for containers: ${errorText(error)}`);
    }
  }
  return undefined;
}

/** Used where the system has none. */
export const OWN: SeccompProfile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: ENOSYS,
  syscalls: [
    { names: [...ALLOWED], action: 'SCMP_ACT_ALLOW' },
    ...[0, 8, 0x20000, 0x20008, 0xffffffff].map((persona) => ({
      names: ['personality'],
      action: 'SCMP_ACT_ALLOW' as const,
      args: [{ index: 0, value: persona, op: 'SCMP_CMP_EQ' as const }],
    })),
    ...Object.entries(BY_CAPABILITY).map(([capability, names]) => ({
      names: [...names],
      action: 'SCMP_ACT_ALLOW' as const,
      includes: { caps: [capability] },
    })),
    { names: ['clone', 'clone3'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
  ],
};

/** The filter without what is reserved for other capabilities. */
function withoutReserved(config: SeccompConfig, capabilities: readonly string[]): SeccompConfig {
  const denied = [
    ...DENIED,
    ...Object.entries(BY_CAPABILITY).flatMap(([capability, names]) => (capabilities.includes(capability) ? [] : names)),
  ];
  const confined = !capabilities.includes('CAP_SYS_ADMIN');
  const reserved = new Set([...denied, ...(confined ? ['clone', 'clone3'] : [])]);
  const left = config.syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !reserved.has(name)) }))
    .filter(({ names }) => names.length > 0);
  const { architectures } = config;
  return {
    ...config,
    ...(architectures ? { architectures: architectures.filter((name) => name !== UNUSED_ARCHITECTURE) } : {}),
    syscalls: [...left, ...(confined ? CLONE : []), { names: denied, action: 'SCMP_ACT_ERRNO', errnoRet: EPERM }],
  };
}

/** Threads and processes, but no namespaces. clone3(2), whose arguments a filter cannot see, falls back to clone(2). */
const CLONE: SeccompConfig['syscalls'] = [
  {
    names: ['clone'],
    action: 'SCMP_ACT_ALLOW',
    // s390 has the flags in its second argument.
    args: [{ index: process.arch === 's390x' ? 1 : 0, value: NEW_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
  },
  { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
];
