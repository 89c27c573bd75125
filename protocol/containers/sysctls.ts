/** Sysctls that a container can set, since they belong to its namespaces. */
import { ContainerOptionError } from './option-error.js';

/** Of an IPC namespace (ipc_namespaces(7)). */
const OF_IPC =
  /^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|msg_next_id|sem_next_id|shm_next_id)|fs\.mqueue\.[a-z_]+)$/;
const OF_NETWORK = /^net\.[\w./@:+-]+$/;

export type SysctlNamespace = 'network' | 'ipc';

/** The namespace that a sysctl belongs to; undefined for those of the whole machine. */
export function sysctlNamespace(name: string): SysctlNamespace | undefined {
  if (OF_NETWORK.test(name) && !name.split(/[./]/).includes('')) return 'network';
  return OF_IPC.test(name) ? 'ipc' : undefined;
}

/** The name with dots, also if slashes separate its parts (sysctl.d(5)). */
export function sysctlName(text: string): string {
  return text.includes('.') ? text : text.replaceAll('/', '.');
}

/** Throws ContainerOptionError. */
export function checkSysctl(name: string, value: string): void {
  if (name === 'kernel.hostname' || name === 'kernel.domainname') {
    throw new ContainerOptionError(`sysctl ${name} is not allowed`, {
      hint: `use --${name === 'kernel.hostname' ? 'hostname' : 'domainname'}`,
    });
  }
  if (sysctlNamespace(name) === undefined) {
    throw new ContainerOptionError(
      `sysctl ${JSON.stringify(name)} is not allowed: it belongs to the whole machine; allowed are net.*, fs.mqueue.* and kernel.msg*, kernel.sem and kernel.shm*`,
    );
  }
  if (value === '' || /[\0\n]/.test(value)) {
    throw new ContainerOptionError(`invalid value ${JSON.stringify(value)} of the sysctl ${name}`);
  }
}

/** Path of a sysctl below /proc/sys. */
export function sysctlFile(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}

/** Whether a sysctl belongs to one device, which may not exist yet. */
export function isOfDevice(name: string): boolean {
  return /^net\.(ipv[46]|mpls)\.(conf|neigh)\.(?!(all|default)\.)/.test(name);
}
